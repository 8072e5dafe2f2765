//! The variant index: which request headers select a variant of a resource, and which variants are kept (RFC 9111 §4.1).

use bytes::{BufMut, Bytes, BytesMut};
use edge_cache_core::CacheKey;
use edge_cache_policy::vary;
use http::{HeaderMap, HeaderName, header};

/// Variants kept of one resource; the oldest is forgotten.
pub(crate) const VARIANTS_MAX: usize = 16;

/// Stored under the base key of a resource whose answers carry `Vary`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VariantIndex {
    /// The names of the newest answer's `Vary`, sorted.
    pub(crate) names: Vec<HeaderName>,
    /// The variants, oldest first.
    pub(crate) variants: Vec<Known>,
}

/// A variant that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    digest: u128,
    /// Its language and the `Accept-Language` it is stored under, where the answer names one language.
    language: Option<(String, Bytes)>,
}

/// The variant that an answer is.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// The names that select it.
    pub(crate) index: VariantIndex,
    /// The key it is stored under.
    pub(crate) key: CacheKey,
    /// The request's `Accept-Language` as variants compare it, where that is one of the names.
    pub(crate) accept_language: Option<Bytes>,
}

impl Variant {
    /// The variant of an answer with this `Vary` to a request with these headers.
    pub(crate) fn of(names: Vec<HeaderName>, base: &CacheKey, headers: &HeaderMap) -> Self {
        let by_language = names.contains(&header::ACCEPT_LANGUAGE);
        let accepted = by_language.then(|| vary::selecting(headers, &header::ACCEPT_LANGUAGE)).flatten();
        let accept_language = accepted.map(|value| Bytes::copy_from_slice(&value));
        let index = VariantIndex { names, variants: Vec::new() };
        let key = index.select(base, headers);
        Self { index, key, accept_language }
    }
}

impl Variant {
    /// The variant whose key this is; `None` for a key that names headers that cannot be.
    pub(crate) fn of_key(key: &CacheKey) -> Option<Self> {
        let mut names = Vec::new();
        let mut accept_language = None;
        for (name, value) in key.selecting() {
            names.push(HeaderName::try_from(name).ok()?);
            if name == header::ACCEPT_LANGUAGE.as_str() {
                accept_language = value.map(Bytes::copy_from_slice);
            }
        }
        Some(Self { index: VariantIndex { names, variants: Vec::new() }, key: key.clone(), accept_language })
    }
}

impl VariantIndex {
    /// The key that `headers` select.
    pub(crate) fn select(&self, base: &CacheKey, headers: &HeaderMap) -> CacheKey {
        self.select_with(base, headers, None)
    }

    fn select_with(&self, base: &CacheKey, headers: &HeaderMap, accept_language: Option<&[u8]>) -> CacheKey {
        let values: Vec<_> = self
            .names
            .iter()
            .map(|name| match accept_language.filter(|_| *name == header::ACCEPT_LANGUAGE) {
                Some(value) => Some(value.into()),
                None => vary::selecting(headers, name),
            })
            .collect();
        base.variant(self.names.iter().map(HeaderName::as_str).zip(values.iter().map(Option::as_deref)))
    }

    /// The key of a kept variant in just the language that `headers` prefer to every other, all else being equal.
    pub(crate) fn select_by_language(&self, base: &CacheKey, headers: &HeaderMap) -> Option<CacheKey> {
        let preferred = self.names.contains(&header::ACCEPT_LANGUAGE).then(|| vary::preferred_language(headers))??;
        self.variants.iter().rev().find_map(|known| {
            let (language, accepted) = known.language.as_ref()?;
            let key = (*language == preferred).then(|| self.select_with(base, headers, Some(accepted)))?;
            (key.digest() == known.digest).then_some(key)
        })
    }

    /// The variants of both, `newer` last; `None` where they are selected by different headers: then the newer one alone counts.
    pub(crate) fn followed_by(mut self, newer: Self) -> Option<Self> {
        if self.names != newer.names {
            return None;
        }
        self.variants.retain(|known| newer.variants.iter().all(|new| new.digest != known.digest));
        self.variants.extend(newer.variants);
        let over = self.variants.len().saturating_sub(VARIANTS_MAX);
        self.variants.drain(..over);
        Some(self)
    }

    /// Whether `variant` is one of those kept. One that was pushed out is dead, though its entry may still lie in the store.
    pub(crate) fn holds(&self, variant: &CacheKey) -> bool {
        self.variants.iter().any(|known| known.digest == variant.digest())
    }

    /// Notes that `variant` is kept; returns whether the index changed.
    pub(crate) fn note(&mut self, variant: &CacheKey, language: Option<(String, Bytes)>) -> bool {
        let new = Known { digest: variant.digest(), language };
        if let Some(known) = self.variants.iter_mut().find(|known| known.digest == new.digest) {
            let changed = *known != new;
            *known = new;
            return changed;
        }
        if self.variants.len() >= VARIANTS_MAX {
            self.variants.remove(0);
        }
        self.variants.push(new);
        true
    }

    /// Layout: count of names `u8`; per name length `u16` and text; then 16 bytes a variant.
    ///
    /// Where a variant's language is known, [`WITH_LANGUAGES`] comes first, and after each variant's 16 bytes the length `u16` and text
    /// of its language and of the `Accept-Language` it is stored under, both 0 where there is none. Who does not know that layout finds
    /// 255 names and gives up: a miss.
    pub(crate) fn encode(&self) -> Bytes {
        let languages = self.variants.iter().any(|known| known.language.is_some());
        let mut out = BytesMut::new();
        if languages {
            out.put_u8(WITH_LANGUAGES);
        }
        let names = self.names.len().min(NAMES_MAX);
        out.put_u8(u8::try_from(names).expect("capped above"));
        for name in &self.names[..names] {
            put_text(&mut out, name.as_str().as_bytes());
        }
        for known in &self.variants {
            out.put_slice(&known.digest.to_le_bytes());
            if languages {
                let (language, accepted) =
                    known.language.as_ref().map_or((&b""[..], &b""[..]), |(l, a)| (l.as_bytes(), a));
                put_text(&mut out, language);
                put_text(&mut out, accepted);
            }
        }
        out.freeze()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let mut rest = bytes.clone();
        let languages = *rest.first()? == WITH_LANGUAGES;
        if languages {
            rest = rest.slice(1..);
        }
        let names = usize::from(*rest.first()?);
        rest = rest.slice(1..);
        if names > NAMES_MAX {
            return None;
        }
        let names = (0..names).map(|_| HeaderName::from_bytes(&take_text(&mut rest)?).ok()).collect::<Option<_>>()?;
        let mut variants = Vec::new();
        while !rest.is_empty() {
            if rest.len() < 16 || variants.len() == VARIANTS_MAX {
                return None;
            }
            let digest = u128::from_le_bytes(rest.split_to(16)[..].try_into().ok()?);
            let mut language = None;
            if languages {
                let (name, accepted) = (take_text(&mut rest)?, take_text(&mut rest)?);
                let name = String::from_utf8(name.into()).ok()?;
                language = (!name.is_empty()).then_some((name, accepted));
            }
            variants.push(Known { digest, language });
        }
        Some(Self { names, variants })
    }
}

/// Marks the layout with languages; no index has so many names.
const WITH_LANGUAGES: u8 = u8::MAX;
const NAMES_MAX: usize = 254;

fn put_text(out: &mut BytesMut, text: &[u8]) {
    // A language list that long selects nothing that is worth to be found by language.
    let text = if text.len() > usize::from(u16::MAX) { &[] } else { text };
    out.put_u16_le(u16::try_from(text.len()).expect("checked above"));
    out.put_slice(text);
}

fn take_text(rest: &mut Bytes) -> Option<Bytes> {
    let len = rest.get(..2)?;
    let len = usize::from(u16::from_le_bytes([len[0], len[1]]));
    if rest.len() < 2 + len {
        return None;
    }
    Some(rest.split_to(2 + len).slice(2..))
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
        index.note(&base(), None);
        // Written out: older nodes read this layout.
        let mut want = b"\x02\x06\0accept\x0f\0accept-encoding".to_vec();
        want.extend_from_slice(&base().digest().to_le_bytes());
        assert_eq!(index.encode(), want);
        assert_eq!(VariantIndex::decode(&index.encode()), Some(index.clone()));

        index.note(&base().variant([("x", None)]), Some(("de".into(), Bytes::from_static(b"de,en"))));
        let bytes = index.encode();
        assert_eq!(VariantIndex::decode(&bytes), Some(index.clone()));
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
    fn a_variant_in_the_preferred_language_is_found() {
        let names = || vec![http::header::ACCEPT, http::header::ACCEPT_LANGUAGE];
        let asks = |language: &'static str, accept: &'static str| {
            let mut map = HeaderMap::new();
            map.insert("accept-language", HeaderValue::from_static(language));
            map.insert("accept", HeaderValue::from_static(accept));
            map
        };
        let stored = Variant::of(names(), &base(), &asks("en, de", "a"));
        let mut index = stored.index;
        index.note(&stored.key, Some(("de".into(), stored.accept_language.unwrap())));
        assert_eq!(index.select_by_language(&base(), &asks("fr;q=0.5, de", "a")), Some(stored.key.clone()));
        assert_eq!(index.select_by_language(&base(), &asks("fr, de;q=0.5", "a")), None, "French is liked better");
        assert_eq!(index.select_by_language(&base(), &asks("fr;q=0.5, de", "b")), None, "another variant in all else");
        assert_eq!(index.select_by_language(&base(), &asks("de, fr", "a")), None, "both are liked as well");
        index.names = vec![http::header::ACCEPT];
        assert_eq!(index.select_by_language(&base(), &asks("de", "a")), None, "language does not select");
    }

    #[test]
    fn keeps_a_bounded_number() {
        let mut index = index();
        for n in 0..40 {
            let value = n.to_string();
            assert!(index.note(&base().variant([("x", Some(value.as_bytes()))]), None));
        }
        assert_eq!(index.variants.len(), VARIANTS_MAX);
        assert!(!index.note(&base().variant([("x", Some(&b"39"[..]))]), None), "the newest is known");
    }
}
