//! Content codings that this cache applies itself (RFC 9110 §8.4): which of them a client prefers, and which answers gain by one.

use edge_cache_core::headers::CDN_CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{CacheControl, Scope, vary::thousandths};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// A coding that the cache can apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `zstd` (RFC 8878).
    Zstd,
    /// `br` (RFC 7932).
    Brotli,
    /// `gzip` (RFC 1952).
    Gzip,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// Those of `codings` that a request takes, the one that it weighs highest first; of equals the one named first.
#[must_use]
pub fn accepted(headers: &HeaderMap, codings: &[Coding]) -> Vec<Coding> {
    let said: Vec<(String, u16)> = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|member| {
            let mut parts = member.split(';').map(str::trim);
            let name = parts.next()?.to_ascii_lowercase();
            let weight = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
            Some((name, weight.map_or(Some(1000), thousandths)?))
        })
        .collect();
    let weight = |coding: Coding| {
        let named = |name: &str| said.iter().find(|(said, _)| said == name).map(|(_, weight)| *weight);
        named(coding.as_str()).or_else(|| named("*")).unwrap_or(0)
    };
    let mut taken: Vec<_> = codings.iter().copied().filter(|coding| weight(*coding) > 0).collect();
    taken.sort_by_key(|coding| std::cmp::Reverse(weight(*coding)));
    taken
}

/// Whether a request says `no-transform` (RFC 9111 §5.2.1.6).
#[must_use]
pub fn is_forbidden(request: &HeaderMap) -> bool {
    CacheControl::of(request, &header::CACHE_CONTROL).no_transform
}

/// Asks the origin for these codings and no others, so that spellings of one wish are one variant.
pub fn ask_for(headers: &mut HeaderMap, codings: &[Coding]) {
    if codings.is_empty() {
        headers.remove(header::ACCEPT_ENCODING);
        return;
    }
    let names: Vec<_> = codings.iter().map(|coding| coding.as_str()).collect();
    let names = HeaderValue::try_from(names.join(", ")).expect("tokens make a header value");
    headers.insert(header::ACCEPT_ENCODING, names);
}

/// Whether an answer of at least `bytes_min` bytes gains by a coding and may be given one: text for anyone, not coded yet, not a part,
/// without a digest of its bytes, and nothing says `no-transform` (RFC 9111 §5.2.2.6).
#[must_use]
pub fn gains(headers: &HeaderMap, bytes_min: u64) -> bool {
    const BOUND: [HeaderName; 7] = [
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        // Of these bytes and no others (RFC 9530).
        CONTENT_DIGEST,
        HeaderName::from_static("repr-digest"),
        HeaderName::from_static("digest"),
        CONTENT_MD5,
        // For one client: text that holds a secret is not ours to compress (BREACH).
        header::SET_COOKIE,
    ];
    let len = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    if len.is_some_and(|len| len < bytes_min)
        || !headers.get(header::CONTENT_TYPE).is_some_and(|kind| is_text(kind.as_bytes()))
    {
        return false;
    }
    // Whichever of the two decides for this cache: what either forbids is not done.
    let withheld = [header::CACHE_CONTROL, CDN_CACHE_CONTROL].iter().any(|name| {
        let cc = CacheControl::of(headers, name);
        cc.no_transform || cc.no_store || cc.private != Scope::None
    });
    !withheld && !BOUND.iter().any(|name| headers.contains_key(name))
}

/// Text gains by compression; images, archives and what is coded by nature do not.
fn is_text(kind: &[u8]) -> bool {
    let has = |needle: &[u8]| kind.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
    kind.first_chunk::<5>().is_some_and(|start| start.eq_ignore_ascii_case(b"text/"))
        || has(b"json")
        || has(b"xml")
        || has(b"javascript")
}

/// Takes off what was said of the bytes that came with it, for a message with others (RFC 9530 §2). What is said of the whole representation stays.
pub fn forget_digests(headers: &mut HeaderMap) {
    for name in [CONTENT_DIGEST, CONTENT_MD5] {
        headers.remove(name);
    }
}

/// An entity tag for other bytes than it was made for: weak (RFC 9110 §8.8.3.3).
pub fn weaken(headers: &mut HeaderMap) {
    if let Some(etag) = headers.get(header::ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")) {
        let weak = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()).expect("a header value and two letters");
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn weights_come_first_and_then_our_order() {
        use Coding::{Brotli, Gzip, Zstd};
        for (said, want) in [
            ("gzip, deflate, br", &[Brotli, Gzip][..]),
            ("gzip, deflate, br, zstd", &[Zstd, Brotli, Gzip]),
            ("gzip;q=1.0, br;q=0.5", &[Gzip, Brotli]),
            ("GZIP", &[Gzip]),
            ("*", &[Zstd, Brotli, Gzip]),
            ("zstd;q=0, *", &[Brotli, Gzip]),
            ("identity", &[]),
            ("br;q=0", &[]),
            ("", &[]),
        ] {
            let mut headers = map(&[("accept-encoding", said)]);
            let taken = accepted(&headers, &ALL);
            assert_eq!(taken, want, "{said}");
            ask_for(&mut headers, &taken);
            assert_eq!(accepted(&headers, &ALL).len(), want.len(), "{said}");
        }
        assert_eq!(accepted(&HeaderMap::new(), &ALL), []);
        assert_eq!(accepted(&map(&[("accept-encoding", "br")]), &[Gzip]), []);
    }

    #[test]
    fn what_gains() {
        let gains = |lines: &[(&'static str, &'static str)]| gains(&map(lines), 100);
        let json = ("content-type", "application/json");
        assert!(gains(&[json]) && gains(&[json, ("content-length", "100")]) && gains(&[("content-type", "Text/HTML")]));
        for (name, value) in [
            ("content-length", "99"),
            ("content-encoding", "gzip"),
            ("content-range", "bytes 0-1/2"),
            ("cache-control", "max-age=9, No-Transform"),
            ("cache-control", "private"),
            ("cache-control", "no-store"),
            ("set-cookie", "a=b"),
            ("content-digest", "sha-256=:x:"),
        ] {
            assert!(!gains(&[json, (name, value)]), "{name}");
        }
        assert!(!gains(&[("content-type", "image/png")]) && !gains(&[]));
    }

    #[test]
    fn tags_become_weak_once() {
        let mut headers = map(&[("etag", "\"a\"")]);
        weaken(&mut headers);
        weaken(&mut headers);
        assert_eq!(headers["etag"], "W/\"a\"");
    }
}
