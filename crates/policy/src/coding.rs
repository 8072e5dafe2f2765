//! Content codings that this cache applies itself (RFC 9110 §8.4): which of them a client prefers, and which answers gain by one.

use http::{HeaderMap, HeaderValue, header};

use crate::{CacheControl, vary::thousandths};

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

/// The coding among `codings` that a request weighs highest; of equals the one named first. `None` where it takes none of them.
#[must_use]
pub fn preferred(headers: &HeaderMap, codings: &[Coding]) -> Option<Coding> {
    let accepted: Vec<(String, u16)> = headers
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
        let named = |name: &str| accepted.iter().find(|(accepted, _)| accepted == name).map(|(_, weight)| *weight);
        named(coding.as_str()).or_else(|| named("*")).unwrap_or(0)
    };
    // The first of the highest.
    codings.iter().copied().rev().max_by_key(|coding| weight(*coding)).filter(|coding| weight(*coding) > 0)
}

/// Asks the origin for just this coding, so that spellings of one wish are one variant; for none where there is none.
pub fn ask_for(headers: &mut HeaderMap, coding: Option<Coding>) {
    match coding {
        Some(coding) => drop(headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding.as_str()))),
        None => drop(headers.remove(header::ACCEPT_ENCODING)),
    }
}

/// Whether an answer of at least `bytes_min` bytes gains by a coding and may be given one: text, not coded yet, not a part, and nothing
/// says `no-transform` (RFC 9111 §5.2.2.6).
#[must_use]
pub fn gains(headers: &HeaderMap, bytes_min: u64) -> bool {
    let len = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    let plain = !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_RANGE);
    plain
        && len.is_none_or(|len| len >= bytes_min)
        && !CacheControl::of(headers, &header::CACHE_CONTROL).no_transform
        && headers.get(header::CONTENT_TYPE).is_some_and(|kind| is_text(kind.as_bytes()))
}

/// Text gains by compression; images, archives and what is coded by nature do not.
fn is_text(kind: &[u8]) -> bool {
    let kind = kind.to_ascii_lowercase();
    let any = |needle: &[u8]| kind.windows(needle.len()).any(|window| window == needle);
    kind.starts_with(b"text/") || any(b"json") || any(b"xml") || any(b"javascript")
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
        for (accepted, want) in [
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("GZIP", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *", Some(Coding::Brotli)),
            ("identity", None),
            ("br;q=0", None),
            ("", None),
        ] {
            assert_eq!(preferred(&map(&[("accept-encoding", accepted)]), &ALL), want, "{accepted}");
        }
        assert_eq!(preferred(&HeaderMap::new(), &ALL), None);
        assert_eq!(preferred(&map(&[("accept-encoding", "br")]), &[Coding::Gzip]), None);
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
