//! Keys as the map has them.

use std::hash::{Hash, Hasher};

use edge_cache_core::{CacheKey, KeyProbe};
use equivalent::Equivalent;

/// The fields of a key, and as much of its digest as the map goes by, as there may be millions of them. The map asks for it of each key that it moves, which it
/// does over and over where memory is full: to make it of the fields would be to fetch them, too, from memory that nobody has touched for long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeptKey {
    digest: u64,
    fields: Box<[u8]>,
}

impl KeptKey {
    pub(crate) fn new(key: &CacheKey) -> Self {
        Self { digest: key.digest() as u64, fields: key.fields().into() }
    }

    pub(crate) fn key(&self) -> CacheKey {
        CacheKey::from_fields(&self.fields).expect("these are the fields of a key")
    }

    pub(crate) fn weight_bytes(&self) -> usize {
        self.fields.len()
    }
}

impl Hash for KeptKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the key does.
        state.write_u64(self.digest);
    }
}

impl Equivalent<KeptKey> for CacheKey {
    fn equivalent(&self, kept: &KeptKey) -> bool {
        *self.fields() == *kept.fields
    }
}

impl Equivalent<KeptKey> for KeyProbe {
    fn equivalent(&self, kept: &KeptKey) -> bool {
        *self.fields() == *kept.fields
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use edge_cache_core::KeyParts;

    use super::*;

    #[test]
    fn a_kept_key_is_its_key() {
        let parts = KeyParts { scheme: "https", authority: "shop.example", tenant: "t", path: "/", query: "a=1" };
        let (probe, base) = (KeyProbe::new(&parts), CacheKey::new(&parts));
        let variant = base.variant([("accept", Some(&b"a"[..]))]);
        let hasher = RandomState::new();
        for key in [&base, &variant] {
            let kept = KeptKey::new(key);
            assert!(key.equivalent(&kept) && kept.key() == *key);
            assert_eq!(hasher.hash_one(&kept), hasher.hash_one(key));
        }
        assert!(probe.equivalent(&KeptKey::new(&base)) && !probe.equivalent(&KeptKey::new(&variant)));
        assert_eq!(hasher.hash_one(&probe), hasher.hash_one(KeptKey::new(&base)));
        assert!(!base.equivalent(&KeptKey::new(&variant)));
    }
}
