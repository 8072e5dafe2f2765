//! Tags: the names under which entries are purged.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::KeyParts;

/// Tags of so many bytes, kind and lengths included, are hashed in one piece.
const SHORT: usize = 192;

/// A tag, hashed once to 64 bits. A collision can only purge more than was asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagHash(u64);

impl TagHash {
    fn of(kind: u8, parts: &[&[u8]]) -> Self {
        // At once, where it fits: the state of a hash that is fed in pieces is larger than most tags.
        let mut text = [0; SHORT];
        let len = 1 + parts.iter().map(|part| 8 + part.len()).sum::<usize>();
        if let Some(mut rest) = text.get_mut(..len) {
            rest[0] = kind;
            rest = &mut rest[1..];
            for part in parts {
                let (count, after) = rest.split_at_mut(8);
                count.copy_from_slice(&(part.len() as u64).to_le_bytes());
                let (here, after) = after.split_at_mut(part.len());
                here.copy_from_slice(part);
                rest = after;
            }
            return Self(xxh3_64(&text[..len]));
        }
        let mut hasher = Xxh3::new();
        hasher.update(&[kind]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.digest())
    }

    /// Everything in the cache.
    #[must_use]
    pub fn all() -> Self {
        Self::of(b'*', &[])
    }

    /// A tag that the origin named, in `Cache-Tag` or `Surrogate-Key`. One name space for the whole cache.
    #[must_use]
    pub fn user(tag: &str) -> Self {
        Self::of(b't', &[tag.as_bytes()])
    }

    /// A group that an origin named in `Cache-Groups`: of that origin only (RFC 9875 §2.1).
    #[must_use]
    pub fn group(scheme: &str, authority: &str, tenant: &str, group: &str) -> Self {
        Self::of(b'g', &[scheme.as_bytes(), authority.as_bytes(), tenant.as_bytes(), group.as_bytes()])
    }

    /// Every variant of one base key.
    #[must_use]
    pub fn key(parts: &KeyParts<'_>) -> Self {
        let KeyParts { scheme, authority, tenant, path, query } = *parts;
        Self::of(b'k', &[scheme.as_bytes(), authority.as_bytes(), tenant.as_bytes(), path.as_bytes(), query.as_bytes()])
    }

    /// Every path of one authority below `prefix`, which ends at a `/`.
    #[must_use]
    pub fn prefix(authority: &str, tenant: &str, prefix: &str) -> Self {
        Self::of(b'p', &[authority.as_bytes(), tenant.as_bytes(), prefix.as_bytes()])
    }

    /// Everything under one authority.
    #[must_use]
    pub fn authority(authority: &str) -> Self {
        Self::of(b'a', &[authority.as_bytes()])
    }

    /// Everything of one tenant.
    #[must_use]
    pub fn tenant(tenant: &str) -> Self {
        Self::of(b'n', &[tenant.as_bytes()])
    }

    /// Everything on a route whose answers are declared not to depend on who asks.
    #[must_use]
    pub fn route(tenant: &str, name: &str) -> Self {
        Self::of(b'r', &[tenant.as_bytes(), name.as_bytes()])
    }

    /// From its stored form.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its stored form.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for TagHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The tags of one entry: the ones the origin named and the ones its key implies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagSet(Box<[TagHash]>);

impl TagSet {
    /// Most tags that an origin may name on one answer: enough for a list of 100 rows; the rest are dropped by the caller,
    /// who must then refuse to store ([`NoStore::Tags`](crate::NoStore::Tags)), or a purge would miss the entry.
    pub const USER_TAGS_MAX: usize = 128;
    /// Most tags that an entry may gather from several answers: a 304, a part.
    pub const GATHERED_MAX: usize = 2 * Self::USER_TAGS_MAX;
    /// Path levels that carry a prefix tag of their own; a deeper prefix purge is rounded up to this depth.
    pub const PREFIX_LEVELS_MAX: usize = 8;

    /// The implied tags of `parts`, and the tags and groups that the origin named.
    #[must_use]
    pub fn new<'a>(
        parts: &KeyParts<'_>,
        user: impl IntoIterator<Item = &'a str>,
        groups: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut tags = vec![
            TagHash::all(),
            TagHash::tenant(parts.tenant),
            TagHash::authority(parts.authority),
            TagHash::key(parts),
        ];
        tags.extend(prefixes(parts.path).map(|prefix| TagHash::prefix(parts.authority, parts.tenant, prefix)));
        tags.extend(user.into_iter().map(TagHash::user));
        let KeyParts { scheme, authority, tenant, .. } = *parts;
        tags.extend(groups.into_iter().map(|group| TagHash::group(scheme, authority, tenant, group)));
        tags.sort_unstable();
        tags.dedup();
        Self(tags.into())
    }

    /// From hashes, as a tier stored them.
    #[must_use]
    pub fn from_hashes(mut tags: Vec<TagHash>) -> Self {
        tags.sort_unstable();
        tags.dedup();
        Self(tags.into())
    }

    /// The same and one more.
    #[must_use]
    pub fn and(&self, tag: TagHash) -> Self {
        Self::from_hashes(self.0.iter().copied().chain([tag]).collect())
    }

    /// The tags of both sets: what a 304 leaves an entry with.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_hashes(self.0.iter().chain(other.0.iter()).copied().collect())
    }

    /// The hashes, sorted.
    #[must_use]
    pub fn as_slice(&self) -> &[TagHash] {
        &self.0
    }
}

/// Prefixes of `path` that end at a `/`, shortest first, at most [`TagSet::PREFIX_LEVELS_MAX`].
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    // By bytes: to search for a character costs more than to look at a path.
    let slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/');
    slashes.map(|(at, _)| &path[..=at]).take(TagSet::PREFIX_LEVELS_MAX)
}

/// The directory that covers `prefix`, which has a tag: cut back to the last `/` and to [`TagSet::PREFIX_LEVELS_MAX`] levels, so it may purge
/// more than was asked for, never less.
///
/// ```
/// assert_eq!(edge_cache_core::covering_prefix("/books/ol"), "/books/");
/// ```
#[must_use]
pub fn covering_prefix(prefix: &str) -> &str {
    prefixes(prefix).last().unwrap_or("/")
}

impl TagHash {
    /// The tag that covers a purge of every path starting with `prefix`.
    #[must_use]
    pub fn covering_prefix(authority: &str, tenant: &str, prefix: &str) -> Self {
        Self::prefix(authority, tenant, covering_prefix(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: KeyParts<'_> =
        KeyParts { scheme: "http", authority: "a.example", tenant: "", path: "/api/pitches/12", query: "" };

    #[test]
    fn a_path_carries_a_tag_for_each_directory() {
        let tags = TagSet::new(&PARTS, [], []);
        for prefix in ["/", "/api/", "/api/pitches/"] {
            assert!(tags.as_slice().contains(&TagHash::prefix("a.example", "", prefix)), "{prefix}");
        }
        assert!(!tags.as_slice().contains(&TagHash::prefix("b.example", "", "/")));
    }

    #[test]
    fn a_prefix_purge_covers_at_least_what_was_asked() {
        assert_eq!(covering_prefix("/api/pit"), "/api/");
        assert_eq!(covering_prefix("/api/"), "/api/");
        assert_eq!(covering_prefix("nothing"), "/");
        assert_eq!(covering_prefix("/1/2/3/4/5/6/7/8/9/"), "/1/2/3/4/5/6/7/");
    }

    #[test]
    fn a_tag_is_hashed_the_same_whatever_its_length() {
        for len in 0..3 * SHORT {
            let tag = "x".repeat(len);
            let mut hasher = Xxh3::new();
            hasher.update(&[&b"t"[..], &(len as u64).to_le_bytes(), tag.as_bytes()].concat());
            assert_eq!(TagHash::user(&tag).bits(), hasher.digest(), "{len}");
        }
    }

    #[test]
    fn hashing_is_length_prefixed() {
        let left = KeyParts { authority: "ab", tenant: "c", ..PARTS };
        let right = KeyParts { authority: "a", tenant: "bc", ..PARTS };
        assert_ne!(TagHash::key(&left), TagHash::key(&right));
        assert_ne!(TagHash::user("x"), TagHash::tenant("x"));
    }

    #[test]
    fn a_group_belongs_to_its_origin() {
        let of = |parts: &KeyParts<'_>| TagSet::new(parts, [], ["g"]);
        let group = TagHash::group("http", "a.example", "", "g");
        assert!(of(&PARTS).as_slice().contains(&group));
        for other in [KeyParts { authority: "b.example", ..PARTS }, KeyParts { scheme: "https", ..PARTS }] {
            assert!(!of(&other).as_slice().contains(&group), "{other:?}");
        }
    }
}
