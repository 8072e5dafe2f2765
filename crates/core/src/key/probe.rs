//! A key that is looked for, and mostly not kept.

use std::hash::{Hash, Hasher};

use equivalent::Equivalent;

use super::{CacheKey, KeyParts, SCHEMA, length};

/// Longest field block that needs no memory of its own: most URLs are shorter.
const IN_PLACE: usize = 256;

/// The base key of a resource, made to be looked for: it lives on the stack, and equals the [`CacheKey`] of the same parts.
///
/// ```
/// use edge_cache_core::{CacheKey, KeyParts, KeyProbe};
/// use equivalent::Equivalent;
///
/// let parts = KeyParts { scheme: "http", authority: "shop.example", tenant: "", path: "/", query: "" };
/// let probe = KeyProbe::new(&parts);
/// assert!(probe.equivalent(&CacheKey::new(&parts)));
/// assert_eq!(probe.to_key(), CacheKey::new(&parts));
/// ```
#[derive(Debug)]
pub struct KeyProbe {
    digest: u128,
    fields: Fields,
}

#[derive(Debug)]
struct Fields {
    in_place: [u8; IN_PLACE],
    len: usize,
    /// The block, where it is longer.
    long: Option<Vec<u8>>,
}

impl Fields {
    fn new(parts: &KeyParts<'_>) -> Self {
        let len = 1 + parts.fields().iter().map(|field| field.len() + 4).sum::<usize>();
        let (mut in_place, mut long) = ([0; IN_PLACE], None);
        match in_place.get_mut(..len) {
            Some(block) => write(block, parts),
            None => write(long.insert(vec![0; len]), parts),
        }
        Self { in_place, len, long }
    }

    fn as_slice(&self) -> &[u8] {
        self.long.as_deref().unwrap_or_else(|| &self.in_place[..self.len])
    }
}

/// Writes the field block of `parts` into `block`, which is as long.
fn write(block: &mut [u8], parts: &KeyParts<'_>) {
    let (schema, mut rest) = block.split_first_mut().expect("a block begins with its schema");
    *schema = SCHEMA;
    for field in parts.fields() {
        let (len, more) = rest.split_at_mut(4);
        let (bytes, more) = more.split_at_mut(field.len());
        len.copy_from_slice(&length(field.as_bytes()));
        bytes.copy_from_slice(field.as_bytes());
        rest = more;
    }
}

impl KeyProbe {
    /// The key of a resource.
    #[must_use]
    pub fn new(parts: &KeyParts<'_>) -> Self {
        let fields = Fields::new(parts);
        Self { digest: CacheKey::digest_of(fields.as_slice()), fields }
    }

    /// The same, to be kept.
    #[must_use]
    pub fn to_key(&self) -> CacheKey {
        let fields = self.fields.as_slice();
        CacheKey::hashed(self.digest, fields, fields.len())
    }

    /// The length-prefixed fields: as [`CacheKey::fields`] of the same parts.
    #[must_use]
    pub fn fields(&self) -> &[u8] {
        self.fields.as_slice()
    }

    /// The xxh3 digest of the fields.
    #[must_use]
    pub const fn digest(&self) -> u128 {
        self.digest
    }
}

impl Hash for KeyProbe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As a `CacheKey` does.
        state.write_u64(self.digest as u64);
    }
}

impl Equivalent<CacheKey> for KeyProbe {
    fn equivalent(&self, key: &CacheKey) -> bool {
        self.digest == key.digest() && self.fields() == key.fields()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_the_key_of_its_parts() {
        for path in ["/", &format!("/{}", "x".repeat(2 * IN_PLACE))] {
            let parts = KeyParts { scheme: "https", authority: "shop.example", tenant: "t", path, query: "a=1" };
            let (probe, key) = (KeyProbe::new(&parts), CacheKey::new(&parts));
            assert!(probe.equivalent(&key) && probe.to_key() == key && probe.digest() == key.digest());
            assert_eq!(probe.to_key().parts(), parts);
            assert!(!probe.equivalent(&CacheKey::new(&KeyParts { query: "a=2", ..parts })));
            assert!(!probe.equivalent(&key.variant([("accept", None)])), "a variant is another key");
        }
    }

    #[test]
    fn a_digest_collision_is_not_equality() {
        let parts = KeyParts { scheme: "http", authority: "h", tenant: "", path: "/", query: "" };
        let other = CacheKey::new(&KeyParts { path: "/x", ..parts });
        let forged = KeyProbe { digest: other.digest(), fields: KeyProbe::new(&parts).fields };
        assert!(!forged.equivalent(&other));
    }
}
