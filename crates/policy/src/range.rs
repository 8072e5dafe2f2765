//! Byte ranges out of what is stored, and what a 206 brought (RFC 9110 §14, RFC 9111 §3.3 and §3.4).

use std::ops::Range;

use edge_cache_core::Timestamp;
use http::{HeaderMap, HeaderValue, header};

use crate::date;

/// Ranges that are answered in one message; a request for more is answered whole (RFC 9110 §14.2 lets a server do so).
pub const RANGES_MAX: usize = 16;

/// Which bytes of a representation are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Position of the first.
    pub first: u64,
    /// How many.
    pub len: u64,
    /// How many the representation has, where that is known.
    pub complete: Option<u64>,
}

/// What a `Range` header asks of them. Positions are those of the representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No range, one that may be ignored (another unit, malformed, too many or overlapping ranges), or `If-Range` does not hold.
    Whole,
    /// These bytes, all of them held.
    Part(Range<u64>),
    /// These parts, all of them held: more than one, none overlapping.
    Parts(Vec<Range<u64>>),
    /// Nothing within the representation: 416.
    Unsatisfiable,
    /// Bytes that are not held.
    Missing,
}

impl Held {
    /// The whole of a representation of `len` bytes.
    #[must_use]
    pub const fn whole(len: u64) -> Self {
        Self { first: 0, len, complete: Some(len) }
    }

    /// What a 206 with this `Content-Range` and a body of `len` bytes brought: the first position counts, and the bytes really
    /// received. `None` where the field is missing, of another unit, or too short for the body.
    #[must_use]
    pub fn received(content_range: &[u8], len: u64) -> Option<Self> {
        let Self { first, len: said, complete } = Self::announced(content_range)?;
        if len == 0 || len > said {
            return None;
        }
        // A sender that says it goes to the end and sends less has told where the end is.
        let to_the_end = complete == Some(first + said);
        Some(Self { first, len, complete: if to_the_end { Some(first + len) } else { complete } })
    }

    /// What a `Content-Range` announces: `bytes 4-9/10` or `bytes 4-9/*`.
    #[must_use]
    pub fn announced(content_range: &[u8]) -> Option<Self> {
        let (unit, rest) = std::str::from_utf8(content_range).ok()?.trim().split_once(' ')?;
        let (range, complete) = rest.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (position(first)?, position(last)?);
        let complete = if complete == "*" { None } else { Some(position(complete)?) };
        let fits = first <= last && last < u64::MAX && complete.is_none_or(|complete| last < complete);
        (unit.eq_ignore_ascii_case("bytes") && fits).then(|| Self { first, len: last - first + 1, complete })
    }

    /// The position after the last byte.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.first + self.len
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.first == 0 && self.complete == Some(self.len)
    }

    /// Both together, where they touch or overlap and tell the same length: a representation of which more is held.
    #[must_use]
    pub fn join(&self, other: &Self) -> Option<Self> {
        let touch = self.first <= other.end() && other.first <= self.end();
        let agree = self.complete.is_none() || other.complete.is_none() || self.complete == other.complete;
        let first = self.first.min(other.first);
        let len = self.end().max(other.end()) - first;
        let complete = self.complete.or(other.complete);
        let fits = complete.is_none_or(|complete| first + len <= complete);
        (touch && agree && fits).then_some(Self { first, len, complete })
    }

    /// Judges the `Range` and `If-Range` of a GET against the stored answer's headers.
    #[must_use]
    pub fn asked(&self, request: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> Asked {
        let mut lines = request.get_all(header::RANGE).iter();
        let (Some(range), None) = (lines.next(), lines.next()) else { return Asked::Whole };
        if request.get(header::IF_RANGE).is_some_and(|condition| !still_the_same(condition, stored, now)) {
            return Asked::Whole;
        }
        self.resolve(range.as_bytes()).unwrap_or(Asked::Whole)
    }

    /// `None` where the header may be ignored.
    fn resolve(&self, value: &[u8]) -> Option<Asked> {
        let specs = specs(value)?;
        let mut parts = Vec::with_capacity(specs.len());
        for spec in &specs {
            match self.place(spec) {
                Some(part) if part.is_empty() => {}
                Some(part) => parts.push(part),
                None => return Some(Asked::Missing),
            }
        }
        if let [part] = &parts[..] {
            return Some(Asked::Part(part.clone()));
        }
        let mut sorted = parts.clone();
        sorted.sort_unstable_by_key(|part| part.start);
        if sorted.windows(2).any(|two| two[1].start < two[0].end) {
            // Overlapping ranges ask for more bytes than there are.
            return None;
        }
        Some(if parts.is_empty() { Asked::Unsatisfiable } else { Asked::Parts(parts) })
    }

    /// The bytes that a spec stands for: empty where the representation has none there, `None` where they are not held.
    fn place(&self, spec: &Spec) -> Option<Range<u64>> {
        let end = |last: u64| self.complete.map_or(last + 1, |complete| complete.min(last + 1));
        let part = match *spec {
            Spec::Suffix(n) => self.complete?.saturating_sub(n)..self.complete?,
            Spec::From(first) => first..self.complete?.max(first),
            Spec::Between(first, last) => first..end(last).max(first),
        };
        let held = self.first <= part.start && part.end <= self.end();
        (held || part.is_empty()).then_some(part)
    }
}

/// One range as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    Between(u64, u64),
    From(u64),
    Suffix(u64),
}

/// The ranges of a `Range` header of bytes; `None` where it is of another unit, malformed, or has more than [`RANGES_MAX`].
fn specs(value: &[u8]) -> Option<Vec<Spec>> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let members = set.split(',').map(str::trim).filter(|member| !member.is_empty());
    let specs: Vec<_> = members.take(RANGES_MAX + 1).map(spec).collect::<Option<_>>()?;
    (1..=RANGES_MAX).contains(&specs.len()).then_some(specs)
}

fn spec(text: &str) -> Option<Spec> {
    let (first, last) = text.split_once('-')?;
    match (first.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) => position(last).map(Spec::Suffix),
        (false, true) => position(first).map(Spec::From),
        (false, false) => {
            let (first, last) = (position(first)?, position(last)?);
            // So that the position after the last is a number too.
            (first <= last).then_some(Spec::Between(first, last.min(u64::MAX - 1)))
        }
    }
}

fn position(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
}

/// Whether a request asks for one range alone: what an origin answers with bytes that can be kept.
#[must_use]
pub fn is_single(request: &HeaderMap) -> bool {
    let mut lines = request.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    specs(line.as_bytes()).is_some_and(|specs| specs.len() == 1)
}

/// Takes off a `Range` that asks an origin for more than it has: several lines, too many ranges, or some that overlap. What cannot be read goes too: it
/// means nothing (RFC 9110 §14.2). Other units than bytes are the origin's to judge.
pub fn bound(request: &mut HeaderMap) {
    let mut lines = request.get_all(header::RANGE).iter();
    let Some(line) = lines.next() else { return };
    let foreign = line
        .as_bytes()
        .split(|byte| *byte == b'=')
        .next()
        .is_some_and(|unit| !unit.trim_ascii().eq_ignore_ascii_case(b"bytes"));
    let good = foreign || specs(line.as_bytes()).is_some_and(|specs| !overlap(&specs));
    if lines.next().is_some() || !good {
        request.remove(header::RANGE);
        request.remove(header::IF_RANGE);
    }
}

/// Whether two of them overlap however long the representation is; of what reaches to its end only one may be there.
fn overlap(specs: &[Spec]) -> bool {
    let to_the_end = specs.iter().filter(|spec| !matches!(spec, Spec::Between(..))).count();
    let mut places: Vec<_> = specs
        .iter()
        .filter_map(|spec| match *spec {
            Spec::Between(first, last) => Some((first, last)),
            Spec::From(first) => Some((first, u64::MAX)),
            Spec::Suffix(_) => None,
        })
        .collect();
    places.sort_unstable();
    to_the_end > 1 || places.windows(2).any(|two| two[1].0 <= two[0].1)
}

/// `If-Range` compares strongly: a weak tag never holds, nor does a date that is not a strong validator (RFC 9110 §13.1.5).
fn still_the_same(condition: &HeaderValue, stored: &HeaderMap, now: Timestamp) -> bool {
    let condition = condition.as_bytes();
    if condition.starts_with(b"\"") {
        return stored.get(header::ETAG).is_some_and(|etag| etag.as_bytes() == condition);
    }
    !condition.starts_with(b"W/") && strong_date(stored, now).is_some_and(|date| date.as_bytes() == condition)
}

/// `Last-Modified`, where it is a strong validator: at least a second before the answer was sent (RFC 9110 §8.8.2.2).
fn strong_date(stored: &HeaderMap, now: Timestamp) -> Option<&HeaderValue> {
    let (modified, sent) = (stored.get(header::LAST_MODIFIED)?, stored.get(header::DATE)?);
    let at = |value: &HeaderValue| date::parse(value.as_bytes(), now);
    (at(modified)?.as_secs() < at(sent)?.as_secs()).then_some(modified)
}

/// The strong validator of a stored answer, as `If-Range` takes it; what lets two parts be put together (RFC 9111 §3.4).
#[must_use]
pub fn strong_validator(stored: &HeaderMap, now: Timestamp) -> Option<&HeaderValue> {
    match stored.get(header::ETAG) {
        Some(etag) => Some(etag).filter(|etag| etag.as_bytes().starts_with(b"\"")),
        None => strong_date(stored, now),
    }
}

/// The `Content-Range` of a part of what is held.
#[must_use]
pub fn content_range(part: &Range<u64>, complete: Option<u64>) -> HeaderValue {
    let complete = complete.map_or_else(|| "*".to_owned(), |complete| complete.to_string());
    let text = format!("bytes {}-{}/{complete}", part.start, part.end - 1);
    HeaderValue::try_from(text).expect("digits make a header value")
}

/// The `Content-Range` of a 416.
#[must_use]
pub fn unsatisfied(complete: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{complete}")).expect("digits make a header value")
}

/// The `Range` that completes what ends at `end`.
#[must_use]
pub fn rest_from(end: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes={end}-")).expect("digits make a header value")
}

#[cfg(test)]
mod tests;
