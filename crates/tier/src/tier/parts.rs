//! Stored parts of representations: which bytes they hold, and how they come together (RFC 9111 §3.3, §3.4).

use bytes::BytesMut;
use edge_cache_core::{Entry, Head, Kind, PackedHeaders, TagSet, Timestamp};
use edge_cache_policy::{
    coding, conditional,
    range::{self, Held},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::fill::content_length;

const WHOLE: (Kind, StatusCode) = (Kind::Response, StatusCode::OK);
const PART: (Kind, StatusCode) = (Kind::Partial, StatusCode::PARTIAL_CONTENT);

/// The bytes that an entry holds; `None` where it is no representation, or damaged.
pub(super) fn held(entry: &Entry) -> Option<Held> {
    let len = entry.body().len() as u64;
    match entry.head().kind {
        Kind::Response => Some(Held::whole(len)),
        Kind::Partial => {
            Held::announced(entry.head().headers.get(&header::CONTENT_RANGE)?).filter(|held| held.len == len)
        }
        Kind::VariantIndex => None,
    }
}

/// A part as it is kept: its `Content-Range` as the bytes that came have it. `None` where they do not fit it.
pub(super) fn received(entry: &Entry) -> Option<Entry> {
    let (head, len) = (entry.head(), entry.body().len() as u64);
    let said = head.headers.get(&header::CONTENT_RANGE)?;
    let held = Held::received(said, len)?;
    let fits = Held::announced(said) == Some(held);
    // Fewer bytes than announced are all there were only where the length of the message says so (RFC 9112 §8).
    if !fits && content_length(head) != Some(len) {
        return None;
    }
    if fits && !held.is_whole() {
        return Some(entry.clone());
    }
    let mut headers = head.headers.unpack();
    describe(&mut headers, &held);
    let (kind, status) = if held.is_whole() { WHOLE } else { PART };
    let head = Head { kind, status, headers: PackedHeaders::pack(&headers), ..Head::clone(head) };
    Some(Entry::new(head, entry.body().clone(), entry.start()))
}

/// Says in `headers` which bytes are held.
fn describe(headers: &mut HeaderMap, held: &Held) {
    coding::forget_digests(headers);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(held.len));
    if held.is_whole() {
        headers.remove(header::CONTENT_RANGE);
    } else {
        headers.insert(header::CONTENT_RANGE, range::content_range(&(held.first..held.end()), held.complete));
    }
}

/// Both parts as one entry: where they share a strong validator and touch, are at most `max` bytes, and have no more tags than one entry may. It has the headers of
/// the older as far as the newer does not say them anew: it need not (RFC 9111 §3.4, RFC 9110 §15.3.7).
///
/// It is as old as the older one is in the order of purges, so that what purges either purges it.
pub(super) fn combine(old: &Entry, new: &Entry, now: Timestamp, max: u64) -> Option<Entry> {
    let (old_held, new_held) = (held(old)?, held(new)?);
    let said = new.head().headers.unpack();
    if !same_validator(&old.head().headers.unpack(), &said, now)
        || old.head().fence.incarnation != new.head().fence.incarnation
        || !is_older(old, new.head())
    {
        return None;
    }
    let joined = old_held.join(&new_held).filter(|joined| joined.len <= max)?;
    let mut bytes = BytesMut::zeroed(usize::try_from(joined.len).ok()?);
    for (held, entry) in [(old_held, old), (new_held, new)] {
        let at = usize::try_from(held.first - joined.first).ok()?;
        bytes[at..at + entry.body().len()].copy_from_slice(entry.body());
    }
    let mut headers = conditional::freshen(&old.head().headers, &said);
    describe(&mut headers, &joined);
    let (kind, status) = if joined.is_whole() { WHOLE } else { PART };
    let head = together(old, new.head(), kind, status, &headers);
    (head.tags.as_slice().len() <= TagSet::GATHERED_MAX).then(|| Entry::new(head, bytes.freeze(), old.start()))
}

/// Whether two parts may be put together: by an equal strong validator (RFC 9110 §15.3.7.3).
fn same_validator(one: &HeaderMap, other: &HeaderMap, now: Timestamp) -> bool {
    let (one, other) = (range::strong_validator(one, now), range::strong_validator(other, now));
    one.is_some() && one == other
}

/// Whether `old` is the older one in the order of purges too: what they make together has its fence, and must die of what either dies of.
fn is_older(old: &Entry, new: &Head) -> bool {
    old.head().fence.seq <= new.fence.seq
}

fn together(old: &Entry, new: &Head, kind: Kind, status: StatusCode, headers: &HeaderMap) -> Head {
    Head {
        kind,
        status,
        headers: PackedHeaders::pack(headers),
        fence: old.head().fence,
        tags: new.tags.union(&old.head().tags),
        ..Head::clone(new)
    }
}

/// Whether an answer to the question for the rest of `held` is of no use: a part that does not complete it.
pub(super) fn is_useless<B>(held: &Entry, answer: &Response<B>, now: Timestamp) -> bool {
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => !completes(held, answer.headers(), now),
        StatusCode::RANGE_NOT_SATISFIABLE => true,
        _ => false,
    }
}

fn completes(old: &Entry, answer: &HeaderMap, now: Timestamp) -> bool {
    let said = answer.get(header::CONTENT_RANGE).and_then(|said| Held::announced(said.as_bytes()));
    let (Some(rest), Some(held)) = (said, held(old)) else { return false };
    let whole = rest.first == held.end() && held.join(&rest).is_some_and(|joined| joined.is_whole());
    let len = answer.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    if len.is_some_and(|len: u64| len != rest.len) {
        // It would break off for everybody.
        return false;
    }
    whole && same_validator(&old.head().headers.unpack(), answer, now)
}

/// The head of the whole that `old` and the part of `rest` make, and the length of the part.
pub(super) fn completed(old: &Entry, rest: &Head) -> Option<(Head, u64)> {
    let part = Held::announced(rest.headers.get(&header::CONTENT_RANGE)?)?;
    let joined = held(old)?.join(&part).filter(|_| is_older(old, rest))?;
    let mut headers = conditional::freshen(&old.head().headers, &rest.headers.unpack());
    describe(&mut headers, &joined);
    Some((together(old, rest, Kind::Response, StatusCode::OK, &headers), part.len))
}
