//! The cache key: length-prefixed fields, hashed once, compared on a hit.

mod probe;

use std::{
    fmt,
    hash::{Hash, Hasher},
    iter::repeat_n,
    sync::Arc,
};

use bytes::BufMut;
use xxhash_rust::xxh3::xxh3_128;

pub use self::probe::KeyProbe;

/// First byte of the field block; raise it when a field is added, so that old stored keys never match.
const SCHEMA: u8 = 1;

/// What identifies a resource. Every field is required, so there is no way to build a key without an authority or a tenant
/// (CVE-2026-2836 was a key of paths alone).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port as the client named them, lower-cased by the caller.
    pub authority: &'a str,
    /// The tenant, empty where there is only one.
    pub tenant: &'a str,
    /// The path, as sent or normalised by the policy.
    pub path: &'a str,
    /// The query without its `?`, as sent or canonical by the policy.
    pub query: &'a str,
}

impl<'a> KeyParts<'a> {
    /// In the order of the field block.
    const fn fields(&self) -> [&'a str; BASE_FIELDS] {
        [self.scheme, self.authority, self.tenant, self.path, self.query]
    }
}

/// A resource, or one variant of it, as every tier knows it.
///
/// Cheap to clone. Equality compares the fields, not only the 128-bit digest, so a collision is a miss and never another's answer.
///
/// One piece of memory, as there are millions of them: the digest, the length of the base's fields, and all fields.
#[derive(Clone, PartialEq, Eq)]
pub struct CacheKey(Arc<[u8]>);

const DIGEST: usize = size_of::<u128>();
/// Where the fields begin.
const FIELDS: usize = DIGEST + size_of::<u32>();

impl CacheKey {
    /// The base key of a resource: the one a variant index, or the only variant, is stored under.
    #[must_use]
    pub fn new(parts: &KeyParts<'_>) -> Self {
        KeyProbe::new(parts).to_key()
    }

    /// The key of one variant of this resource: `selecting` is the normalised value of each header that `Vary` names (RFC 9111 §4.1),
    /// `None` where the request lacks it.
    #[must_use]
    pub fn variant<'a>(&self, selecting: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        let base = self.base_fields();
        let mut block = Vec::with_capacity(base.len() + 64);
        block.put_slice(base);
        for (name, value) in selecting {
            put_field(&mut block, name.as_bytes());
            block.put_u8(u8::from(value.is_some()));
            put_field(&mut block, value.unwrap_or_default());
        }
        Self::from_block(&block, base.len())
    }

    /// The key under which fills of one range of this representation meet: `range` as the request says it. Nothing is stored under it.
    #[must_use]
    pub fn part(&self, range: &[u8]) -> Self {
        let mut block = Vec::with_capacity(self.fields().len() + range.len() + 16);
        block.put_slice(self.fields());
        put_field(&mut block, b"\0range");
        put_field(&mut block, range);
        Self::from_block(&block, self.base_fields().len())
    }

    /// The key whose [`fields`](Self::fields) these are; `None` for bytes that are no key's.
    #[must_use]
    pub fn from_fields(fields: &[u8]) -> Option<Self> {
        let mut rest = fields.strip_prefix(&[SCHEMA])?;
        for _ in 0..BASE_FIELDS {
            std::str::from_utf8(take_field(&mut rest)?).ok()?;
        }
        let base_len = fields.len() - rest.len();
        while !rest.is_empty() {
            take_selecting(&mut rest)?;
        }
        Some(Self::from_block(fields, base_len))
    }

    /// Whether it is of one variant and not of the resource.
    #[must_use]
    pub fn is_variant(&self) -> bool {
        self.fields().len() > self.base_fields().len()
    }

    /// The resource's key.
    #[must_use]
    pub fn base(&self) -> Self {
        if self.is_variant() {
            let base = self.base_fields();
            Self::from_block(base, base.len())
        } else {
            self.clone()
        }
    }

    /// The headers that select this variant with their normalised values, as [`variant`](Self::variant) took them; none for a base key.
    pub fn selecting(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let mut rest = &self.fields()[self.base_fields().len()..];
        std::iter::from_fn(move || {
            let (name, value) = take_selecting(&mut rest)?;
            Some((std::str::from_utf8(name).ok()?, value))
        })
    }

    fn from_block(fields: &[u8], base_len: usize) -> Self {
        Self::hashed(Self::digest_of(fields), fields, base_len)
    }

    fn hashed(digest: u128, fields: &[u8], base_len: usize) -> Self {
        // Of a length that is known, so that it is made in its place.
        let mut block: Arc<[u8]> = repeat_n(0, FIELDS + fields.len()).collect();
        let mut rest = Arc::get_mut(&mut block).expect("nobody else has it yet");
        rest.put_u128_le(digest);
        rest.put_slice(&length(&fields[..base_len]));
        rest.put_slice(fields);
        Self(block)
    }

    /// The digest of the key that has these fields.
    #[must_use]
    pub fn digest_of(fields: &[u8]) -> u128 {
        xxh3_128(fields)
    }

    /// The xxh3 digest of the fields: what tiers index by.
    #[must_use]
    pub fn digest(&self) -> u128 {
        u128::from_le_bytes(*self.0.first_chunk().expect(WHOLE))
    }

    /// The digest in hexadecimal digits, as [`Display`](fmt::Display) shows it: part of the names that tiers outside the process use.
    #[must_use]
    pub fn hex(&self) -> [u8; 2 * DIGEST] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 2 * DIGEST];
        for (two, byte) in text.as_chunks_mut().0.iter_mut().zip(self.digest().to_be_bytes()) {
            *two = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        text
    }

    /// The length-prefixed fields: what a tier compares on a hit.
    #[must_use]
    pub fn fields(&self) -> &[u8] {
        &self.0[FIELDS..]
    }

    /// Those of the resource.
    fn base_fields(&self) -> &[u8] {
        let (len, fields) = self.0[DIGEST..].split_first_chunk().expect(WHOLE);
        &fields[..u32::from_le_bytes(*len) as usize]
    }

    /// The parts this key, or the base of this variant, was built from.
    #[must_use]
    pub fn parts(&self) -> KeyParts<'_> {
        let mut rest = &self.base_fields()[1..];
        let mut next = || {
            let field = take_field(&mut rest).expect("a key has all its fields");
            std::str::from_utf8(field).expect("fields are built from &str")
        };
        KeyParts { scheme: next(), authority: next(), tenant: next(), path: next(), query: next() }
    }

    /// Bytes of its fields.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.fields().len()
    }
}

/// scheme, authority, tenant, path, query
const BASE_FIELDS: usize = 5;

const WHOLE: &str = "a key has its digest and its length";

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let (field, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    *rest = tail;
    Some(field)
}

/// A selecting header and its value, if the request has it.
fn take_selecting<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let name = take_field(rest)?;
    let (is_there, tail) = rest.split_first()?;
    *rest = tail;
    let value = take_field(rest)?;
    Some((name, (*is_there == 1).then_some(value)))
}

fn put_field(block: &mut Vec<u8>, field: &[u8]) {
    block.put_slice(&length(field));
    block.put_slice(field);
}

fn length(field: &[u8]) -> [u8; 4] {
    u32::try_from(field.len()).expect("a header or URI is far below 4 GiB").to_le_bytes()
}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The low half is uniform already; `IdentityHasher`-style hashers can use it as it is.
        state.write_u64(self.digest() as u64);
    }
}

/// Hexadecimal digest: safe to log, says nothing of the query.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.hex()).expect("digits are ASCII"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: KeyParts<'_> =
        KeyParts { scheme: "http", authority: "pitchey.example", tenant: "", path: "/api/stats", query: "limit=10" };

    #[test]
    fn the_digest_is_stable_across_versions() {
        // A golden value: a change here makes every stored entry of every deployment unreachable.
        assert_eq!(CacheKey::new(&PARTS).to_string(), "c0198fe00cc7281a55a2024dd825bf5b");
    }

    #[test]
    fn every_part_matters() {
        let key = CacheKey::new(&PARTS);
        let others = [
            KeyParts { scheme: "https", ..PARTS },
            KeyParts { authority: "pitchey.example:8080", ..PARTS },
            KeyParts { tenant: "t", ..PARTS },
            KeyParts { path: "/api/stats/", ..PARTS },
            KeyParts { query: "limit=11", ..PARTS },
            // The same bytes, cut elsewhere.
            KeyParts { path: "/api/statsl", query: "imit=10", ..PARTS },
        ];
        for other in others {
            assert_ne!(key, CacheKey::new(&other), "{other:?}");
        }
    }

    #[test]
    fn parts_come_back_from_a_variant() {
        let key = CacheKey::new(&PARTS);
        let variant = key.variant([("accept-encoding", Some(&b"gzip"[..])), ("accept", None)]);
        assert_ne!(key, variant);
        assert_eq!(variant.parts(), PARTS);
        assert_eq!(
            variant.variant([("accept", None)]),
            key.variant([("accept", None)]),
            "a variant's variant is the base's"
        );
        assert_ne!(key.variant([("accept", None)]), key.variant([("accept", Some(&b""[..]))]), "absent is not empty");
    }

    #[test]
    fn a_part_is_of_one_range_of_one_variant() {
        let key = CacheKey::new(&PARTS);
        let variant = key.variant([("accept", None)]);
        assert_ne!(key.part(b"bytes=0-1"), key);
        assert_ne!(key.part(b"bytes=0-1"), key.part(b"bytes=0-2"));
        assert_ne!(key.part(b"bytes=0-1"), variant.part(b"bytes=0-1"));
        assert_eq!(variant.part(b"bytes=0-1").parts(), PARTS);
    }

    #[test]
    fn a_key_comes_back_from_its_fields() {
        let key = CacheKey::new(&PARTS);
        let variant = key.variant([("accept-encoding", Some(&b"gzip"[..])), ("accept", None), ("x", Some(b""))]);
        for key in [&key, &variant] {
            let again = CacheKey::from_fields(key.fields()).unwrap();
            assert_eq!((&again, again.parts(), again.is_variant()), (key, key.parts(), key.is_variant()));
        }
        let selecting: Vec<_> = variant.selecting().collect();
        assert_eq!(selecting, [("accept-encoding", Some(&b"gzip"[..])), ("accept", None), ("x", Some(b""))]);
        assert_eq!((variant.base(), key.base(), key.selecting().count()), (key.clone(), key.clone(), 0));
        for cut in 0..variant.fields().len() {
            let fields = &variant.fields()[..cut];
            let whole = CacheKey::from_fields(fields);
            assert!(whole.is_none_or(|key| key.fields() == fields && key.parts() == PARTS), "cut at {cut}");
        }
    }

    #[test]
    fn a_digest_collision_is_not_equality() {
        let (one, other) = (CacheKey::new(&PARTS), CacheKey::new(&KeyParts { path: "/x", ..PARTS }));
        let forged = CacheKey::hashed(one.digest(), other.fields(), other.base_fields().len());
        assert_ne!(one, forged);
    }
}
