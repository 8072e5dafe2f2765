//! Keys as the map has them.

use std::hash::{Hash, Hasher};

use edge_cache_core::{CacheKey, KeyProbe};
use equivalent::Equivalent;

/// The fields of a key and nothing else, as there may be millions of them. The map knows where it put them: it asks for their digest only
/// when it grows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeptKey(Box<[u8]>);

impl KeptKey {
    pub(crate) fn new(key: &CacheKey) -> Self {
        Self(key.fields().into())
    }

    pub(crate) fn key(&self) -> CacheKey {
        CacheKey::from_fields(&self.0).expect("these are the fields of a key")
    }

    pub(crate) fn weight_bytes(&self) -> usize {
        self.0.len()
    }
}

impl Hash for KeptKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the key does.
        state.write_u64(CacheKey::digest_of(&self.0) as u64);
    }
}

impl Equivalent<KeptKey> for CacheKey {
    fn equivalent(&self, kept: &KeptKey) -> bool {
        *self.fields() == *kept.0
    }
}

impl Equivalent<KeptKey> for KeyProbe {
    fn equivalent(&self, kept: &KeptKey) -> bool {
        *self.fields() == *kept.0
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
