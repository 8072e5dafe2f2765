//! The variant index: which request headers select a variant of a resource, and which variants are kept (RFC 9111 §4.1).

use bytes::{BufMut, Bytes, BytesMut};
use edge_cache_core::CacheKey;
use edge_cache_policy::vary;
use http::{HeaderMap, HeaderName};

/// Variants kept of one resource (rule 2); the oldest is forgotten.
pub(crate) const VARIANTS_MAX: usize = 16;

/// Stored under the base key of a resource whose answers carry `Vary`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VariantIndex {
    /// The names of the newest answer's `Vary`, sorted.
    pub(crate) names: Vec<HeaderName>,
    /// Digests of the variants' keys, 16 bytes each, oldest first.
    pub(crate) variants: Vec<Bytes>,
}

impl VariantIndex {
    /// The key that `headers` select.
    pub(crate) fn select(&self, base: &CacheKey, headers: &HeaderMap) -> CacheKey {
        let values: Vec<_> = self.names.iter().map(|name| vary::selecting(headers, name)).collect();
        base.variant(self.names.iter().map(HeaderName::as_str).zip(values.iter().map(Option::as_deref)))
    }

    /// Whether `variant` is one of those kept. One that was pushed out is dead, though its entry may still lie in the store.
    pub(crate) fn holds(&self, variant: &CacheKey) -> bool {
        self.variants.iter().any(|known| known[..] == variant.digest().to_le_bytes())
    }

    /// Notes that `variant` is kept; returns whether the index changed.
    pub(crate) fn note(&mut self, variant: &CacheKey) -> bool {
        if self.holds(variant) {
            return false;
        }
        let digest = Bytes::copy_from_slice(&variant.digest().to_le_bytes());
        if self.variants.len() >= VARIANTS_MAX {
            self.variants.remove(0);
        }
        self.variants.push(digest);
        true
    }

    /// Layout: count of names `u8`; per name length `u16` and text; then 16 bytes a variant.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(u8::try_from(self.names.len()).unwrap_or(u8::MAX));
        for name in self.names.iter().take(usize::from(u8::MAX)) {
            out.put_u16_le(u16::try_from(name.as_str().len()).expect("http caps a name at 64 KiB"));
            out.put_slice(name.as_str().as_bytes());
        }
        for variant in &self.variants {
            out.put_slice(variant);
        }
        out.freeze()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let mut at = 1;
        let names = (0..*bytes.first()?).map(|_| {
            let len = bytes.get(at..at + 2)?;
            let len = usize::from(u16::from_le_bytes([len[0], len[1]]));
            let name = HeaderName::from_bytes(bytes.get(at + 2..at + 2 + len)?).ok()?;
            at += 2 + len;
            Some(name)
        });
        let names = names.collect::<Option<Vec<_>>>()?;
        let rest = bytes.slice(at..);
        if !rest.len().is_multiple_of(16) {
            return None;
        }
        let variants = (0..rest.len() / 16).map(|n| rest.slice(n * 16..(n + 1) * 16)).collect();
        Some(Self { names, variants })
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::KeyParts;
    use http::HeaderValue;

    use super::*;

    fn base() -> CacheKey {
        CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path: "/", query: "" })
    }

    fn index() -> VariantIndex {
        VariantIndex { names: vec![http::header::ACCEPT, http::header::ACCEPT_ENCODING], variants: Vec::new() }
    }

    #[test]
    fn comes_back_from_its_bytes() {
        let mut index = index();
        index.note(&base());
        assert_eq!(VariantIndex::decode(&index.encode()), Some(index.clone()));
        let bytes = index.encode();
        for cut in 0..bytes.len() {
            assert_ne!(VariantIndex::decode(&bytes.slice(..cut)), Some(index.clone()));
        }
    }

    #[test]
    fn selects_by_the_named_headers_only() {
        let with = |name: &'static str, value: &'static str| {
            let mut map = HeaderMap::new();
            map.insert(name, HeaderValue::from_static(value));
            index().select(&base(), &map)
        };
        assert_ne!(with("accept", "a"), with("accept", "b"));
        assert_eq!(with("x", "a"), with("x", "b"));
    }

    #[test]
    fn keeps_a_bounded_number() {
        let mut index = index();
        for n in 0..40 {
            let value = n.to_string();
            assert!(index.note(&base().variant([("x", Some(value.as_bytes()))])));
        }
        assert_eq!(index.variants.len(), VARIANTS_MAX);
        assert!(!index.note(&base().variant([("x", Some(&b"39"[..]))])), "the newest is known");
    }
}
