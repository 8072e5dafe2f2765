//! A single byte range out of a stored whole (RFC 9110 §14).

use std::ops::Range;

use http::{HeaderMap, HeaderValue, header};

/// What a `Range` header asks of a representation of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No range, one that may be ignored (another unit, several ranges, malformed), or `If-Range` does not hold: the whole.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing within the representation: 416.
    Unsatisfiable,
}

/// Judges the `Range` and `If-Range` of a GET against the stored answer's headers.
#[must_use]
pub fn asked(request: &HeaderMap, stored: &HeaderMap, len: u64) -> Asked {
    let Some(range) = request.get(header::RANGE) else { return Asked::Whole };
    if request.get(header::IF_RANGE).is_some_and(|condition| !still_the_same(condition, stored)) {
        return Asked::Whole;
    }
    parse(range.as_bytes(), len).unwrap_or(Asked::Whole)
}

/// `If-Range` compares strongly: a weak tag never holds (RFC 9110 §13.1.5).
fn still_the_same(condition: &HeaderValue, stored: &HeaderMap) -> bool {
    let condition = condition.as_bytes();
    if condition.starts_with(b"\"") {
        return stored.get(header::ETAG).is_some_and(|etag| etag.as_bytes() == condition);
    }
    !condition.starts_with(b"W/") && stored.get(header::LAST_MODIFIED).is_some_and(|date| date.as_bytes() == condition)
}

fn parse(value: &[u8], len: u64) -> Option<Asked> {
    let (unit, spec) = std::str::from_utf8(value).ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    let range = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => len.saturating_sub(number(last)?)..len,
        (false, true) => number(first)?..len,
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(len)
        }
    };
    Some(if range.start >= len || range.is_empty() { Asked::Unsatisfiable } else { Asked::Part(range) })
}

/// The `Content-Range` of a part.
#[must_use]
pub fn content_range(part: &Range<u64>, len: u64) -> HeaderValue {
    let text = format!("bytes {}-{}/{len}", part.start, part.end - 1);
    HeaderValue::try_from(text).expect("digits make a header value")
}

/// The `Content-Range` of a 416.
#[must_use]
pub fn unsatisfied(len: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{len}")).expect("digits make a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges() {
        for (text, want) in [
            ("bytes=0-3", Some(Asked::Part(0..4))),
            ("bytes=8-99", Some(Asked::Part(8..10))),
            ("BYTES=9-", Some(Asked::Part(9..10))),
            ("bytes=-4", Some(Asked::Part(6..10))),
            ("bytes=-99", Some(Asked::Part(0..10))),
            ("bytes=10-", Some(Asked::Unsatisfiable)),
            ("bytes=-0", Some(Asked::Unsatisfiable)),
            ("bytes=0-1,3-4", None),
            ("bytes=4-3", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(parse(text.as_bytes(), 10), want, "{text}");
        }
        assert_eq!(content_range(&(0..4), 10), "bytes 0-3/10");
    }

    #[test]
    fn if_range_compares_strongly() {
        let request = |condition: &'static str| {
            let mut map = HeaderMap::new();
            map.insert(header::RANGE, HeaderValue::from_static("bytes=0-3"));
            map.insert(header::IF_RANGE, HeaderValue::from_static(condition));
            map
        };
        let mut stored = HeaderMap::new();
        stored.insert(header::ETAG, HeaderValue::from_static("\"a\""));
        assert_eq!(asked(&request("\"a\""), &stored, 10), Asked::Part(0..4));
        assert_eq!(asked(&request("\"b\""), &stored, 10), Asked::Whole);
        assert_eq!(asked(&request("W/\"a\""), &stored, 10), Asked::Whole);
    }
}
