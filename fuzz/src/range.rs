use std::ops::Range;

use edge_cache_core::Timestamp;
use edge_cache_policy::range::{self, Asked, Held, RANGES_MAX};
use http::{HeaderMap, header};

use crate::lines::{self, NOW};

/// The first line is the `Content-Range` of what is held (or of 10 bytes held whole), the second a `Range`, the others are headers of the
/// request, and behind an empty line those of the stored answer.
///
/// What is answered lies within what is held, in at most 16 parts without an overlap; what is announced reads back; two parts make one only
/// where nothing between them is missing.
pub fn check(data: &[u8]) {
    let mut lines = lines::of(data);
    let content_range = lines.next().unwrap_or_default();
    let held = Held::announced(content_range).unwrap_or_else(|| Held::whole(10));
    announced(content_range, &held);

    let mut request = HeaderMap::new();
    if let Some(range) = lines.next().and_then(lines::value) {
        request.append(header::RANGE, range);
    }
    let others: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    request.extend(lines::headers(others.into_iter()));
    let stored = lines::headers(lines);
    let asked = held.asked(&request, &stored, NOW);
    let parts = match &asked {
        Asked::Part(part) => std::slice::from_ref(part),
        Asked::Parts(parts) => {
            assert!((2..=RANGES_MAX).contains(&parts.len()), "{} parts", parts.len());
            parts
        }
        Asked::Whole | Asked::Unsatisfiable | Asked::Missing => &[],
    };
    lie_within(parts, &held);
    if range::is_single(&request) {
        assert!(!matches!(asked, Asked::Parts(_)), "one range is not several");
    }
    if asked != Asked::Whole {
        assert_eq!(request.get_all(header::RANGE).iter().count(), 1, "two lines are no range");
    }
    if held.is_whole() {
        assert_ne!(asked, Asked::Missing, "nothing is missing of the whole");
    }
    request.remove(header::IF_RANGE);
    let unconditional = held.asked(&request, &stored, NOW);
    assert!(asked == Asked::Whole || asked == unconditional, "a condition takes the range away or leaves it");
    let _validator = range::strong_validator(&stored, Timestamp::from_millis(i64::MIN));
}

fn lie_within(parts: &[Range<u64>], held: &Held) {
    for (at, part) in parts.iter().enumerate() {
        assert!(part.start < part.end, "a part has bytes");
        assert!(held.first <= part.start && part.end <= held.end(), "{part:?} of {held:?}");
        assert!(held.complete.is_none_or(|complete| part.end <= complete));
        let overlaps = |other: &Range<u64>| other.start < part.end && part.start < other.end;
        assert!(!parts[at + 1..].iter().any(overlaps), "no byte is sent twice: {parts:?}");
        let said = range::content_range(part, held.complete);
        let read = Held::announced(said.as_bytes()).expect("what is sent can be read");
        assert_eq!((read.first, read.end(), read.complete), (part.start, part.end, held.complete));
        // What is cut out of what is held and put back changes nothing.
        assert_eq!(held.join(&read), Some(*held));
        assert_eq!(read.join(held), Some(*held));
        let (before, behind) = (Held { len: part.start - held.first, ..*held }, read);
        if let Some(joined) = before.join(&behind) {
            assert_eq!((joined.first, joined.end()), (held.first, part.end), "they touch");
        }
    }
}

fn announced(text: &[u8], held: &Held) {
    assert!(held.len > 0 && held.first.checked_add(held.len).is_some(), "{held:?}");
    assert!(held.complete.is_none_or(|complete| held.end() <= complete), "{held:?}");
    let rest = range::rest_from(held.end());
    let mut request = HeaderMap::new();
    request.insert(header::RANGE, rest);
    assert!(range::is_single(&request), "what completes a part is one range");
    for len in [0, 1, held.len / 2, held.len, held.len.saturating_add(1), u64::MAX] {
        let Some(received) = Held::received(text, len) else { continue };
        assert!(len > 0 && received.len == len && received.len <= held.len, "no more than was said");
        assert_eq!(received.first, held.first);
        assert!(received.complete.is_none_or(|complete| received.end() <= complete));
        assert_eq!(received.join(&received), Some(received));
    }
}
