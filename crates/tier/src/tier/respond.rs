//! Answers from what is stored.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use edge_cache_core::{
    CacheKey, Entry, Freshness, Fwd, Handoff, Head, Kind, Outcome, PackedHeaders, Served, Source, TierName, Timestamp,
    headers::CDN_CACHE_CONTROL, marker::Start,
};
use edge_cache_policy::{
    cache_status::{self, Member},
    coding,
    conditional::{self, Conditions},
    range::{self, Asked, Held},
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{parts, plan::Planned};
use crate::{
    TierBody,
    flight::{Landed, LandedBody},
    shared_body::Reader,
};

/// What of a request shapes its answer.
pub(super) struct Ask<'a> {
    pub(super) head: bool,
    pub(super) conditions: &'a Conditions,
    pub(super) headers: &'a HeaderMap,
    /// The asker is an outer tier that wants a newer answer: a 304 to it must come with what it confirms.
    pub(super) refresh: bool,
}

/// A fresh hit, or a stale one for the reason in `detail`.
pub(super) fn hit<RB>(
    tier: TierName,
    key: &CacheKey,
    entry: &Entry,
    ask: &Ask<'_>,
    now: Timestamp,
    detail: Option<&'static str>,
) -> Response<TierBody<RB>> {
    let freshness = &entry.head().freshness;
    let mut response = whole(entry, entry.head().headers.unpack(), ask, now).map(TierBody::full);
    let ttl = freshness.ttl_secs(now);
    cache_status::append(response.headers_mut(), tier, Member::Hit { ttl, detail });
    let served = if now < freshness.fresh_until { Served::Hit } else { Served::Stale };
    finish(response, (served, Some(tier)), key, Source::Entry(entry.clone()), entry.start())
}

/// A stale entry in place of an origin that failed, by an answer or without one, or is too slow: declared by `fwd=stale` (RFC 9211 §2.2).
pub(super) fn stale<RB>(
    tier: TierName,
    key: &CacheKey,
    entry: &Entry,
    ask: &Ask<'_>,
    now: Timestamp,
    (detail, answered): (&'static str, Option<StatusCode>),
) -> Response<TierBody<RB>> {
    let mut response = whole(entry, entry.head().headers.unpack(), ask, now).map(TierBody::full);
    let ttl = Some(entry.head().freshness.ttl_secs(now));
    let member = Member::Forward {
        fwd: Fwd::Stale,
        fwd_status: answered.filter(|answered| *answered != response.status()),
        ttl,
        stored: false,
        collapsed: false,
        detail: Some(detail),
    };
    cache_status::append(response.headers_mut(), tier, member);
    finish(response, (Served::Stale, Some(tier)), key, Source::Entry(entry.clone()), entry.start())
}

/// How a fill's answer is to be labelled.
pub(super) struct Filled {
    pub(super) fwd: Fwd,
    pub(super) collapsed: bool,
    /// A remark.
    pub(super) detail: Option<&'static str>,
    /// What the inner tier said it did, and its `Cache-Status`, for the leader.
    pub(super) inner: Option<Inner>,
}

/// What an inner tier said of the answer it handed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Inner {
    pub(super) status: Vec<HeaderValue>,
    /// The status that it answered with.
    pub(super) answered: Option<StatusCode>,
    pub(super) outcome: Option<Outcome>,
    /// Fields that may not be stored, and so are the leader's alone.
    pub(super) withheld: Option<Arc<HeaderMap>>,
    /// What is stored of the headers, where it need not be unpacked. Boxed: it is moved.
    pub(super) headers: Option<Box<HeaderMap>>,
}

impl Inner {
    /// Takes what only the leader gets of an answer, and leaves the head for all.
    pub(super) fn take(&mut self, planned: Planned) -> Arc<Head> {
        let Planned { head, headers, withheld } = planned;
        self.withheld = (!withheld.is_empty()).then(|| Arc::new(withheld));
        self.headers = Some(Box::new(headers));
        head
    }
}

/// The answer of a fill for `base`, to its leader or a waiter. `None` when the body's beginning is gone.
pub(super) fn landed<RB>(
    (tier, base): (TierName, &CacheKey),
    landed: &Landed,
    ask: &Ask<'_>,
    now: Timestamp,
    how: Filled,
    reader: Option<Reader>,
) -> Option<Response<TierBody<RB>>> {
    let head = landed.head();
    let mut inner = how.inner.unwrap_or_default();
    let headers = inner.headers.take().map_or_else(|| head.headers.unpack(), |headers| *headers);
    let mut response = match &landed.body {
        LandedBody::Whole(entry) => whole(entry, headers, ask, now).map(TierBody::full),
        LandedBody::Growing(_, body) => {
            let mut response = if !ask.refresh && ask.conditions.hold(head.status, &headers, now) {
                not_modified(headers).map(TierBody::full)
            } else if ask.head {
                with(head.status, headers, TierBody::empty())
            } else {
                growing(head, headers, ask, now, reader.or_else(|| body.reader())?)
            };
            stamp_age(response.headers_mut(), head.freshness.age(now));
            response
        }
    };
    let cut = matches!(landed.body, LandedBody::Growing(..)) && response.status() != head.status;
    let inner_hit =
        matches!(inner.outcome, Some(Outcome { served: Served::Hit | Served::Stale | Served::Coalesced, .. }));
    let Freshness { born, stored, .. } = head.freshness;
    if !how.collapsed && !inner_hit && stored.since(born).as_secs() == 0 && now.since(stored).as_secs() == 0 {
        // Made for this very request: an `Age` would say it was not (RFC 9111 §5.1).
        response.headers_mut().remove(header::AGE);
    }
    if let Some(withheld) = inner.withheld.as_deref() {
        response.headers_mut().extend(withheld.clone());
    }
    for member in inner.status {
        response.headers_mut().append(edge_cache_core::headers::CACHE_STATUS, member);
    }
    let member = Member::Forward {
        fwd: how.fwd,
        fwd_status: inner.answered.filter(|answered| *answered != response.status()),
        ttl: landed.stored.then(|| head.freshness.ttl_secs(now)),
        stored: landed.stored,
        collapsed: how.collapsed,
        detail: how.detail,
    };
    cache_status::append(response.headers_mut(), tier, member);
    // A miss here that was a hit further in is a hit of the tier that had it.
    let (served, from) = match inner.outcome {
        _ if how.collapsed => (Served::Coalesced, None),
        Some(Outcome { served: served @ (Served::Hit | Served::Stale | Served::Coalesced), tier }) => (served, tier),
        _ => (Served::Miss, None),
    };
    if !landed.stored || (cut && response.status() != StatusCode::PARTIAL_CONTENT) {
        // Not for an outer tier to keep under this head: it plans by what the answer itself says.
        response.extensions_mut().insert(Outcome { served, tier: from });
        return Some(response);
    }
    // A range that was cut from the whole is handed up as the part it is, with the tags, the instants and the fence of the whole.
    let source = match &landed.body {
        LandedBody::Whole(entry) => Source::Entry(entry.clone()),
        LandedBody::Growing(head, _) if cut => Source::Fill(part_head(head, response.headers())),
        LandedBody::Growing(head, _) => Source::Fill(Arc::clone(head)),
    };
    let key = landed.variant.as_ref().map_or(base, |variant| &variant.key);
    let mut response = finish(response, (served, from), key, source, landed.start);
    if let Some(handoff) = response.extensions_mut().get_mut::<Handoff>() {
        handoff.withheld = inner.withheld;
    }
    Some(response)
}

/// The head of a part whose answer has these headers.
fn part_head(whole: &Head, answer: &HeaderMap) -> Arc<Head> {
    let mut headers = whole.headers.unpack();
    coding::forget_digests(&mut headers);
    for name in [header::CONTENT_RANGE, header::CONTENT_LENGTH] {
        if let Some(value) = answer.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let (kind, status) = (Kind::Partial, StatusCode::PARTIAL_CONTENT);
    Arc::new(Head { kind, status, headers: PackedHeaders::pack(&headers), ..Head::clone(whole) })
}

/// An answer made here because nobody else gives one.
pub(super) fn made<RB>(tier: TierName, status: StatusCode, fwd: Fwd, detail: &'static str) -> Response<TierBody<RB>> {
    let mut response = with(status, HeaderMap::new(), TierBody::empty());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    let member =
        Member::Forward { fwd, fwd_status: None, ttl: None, stored: false, collapsed: false, detail: Some(detail) };
    cache_status::append(response.headers_mut(), tier, member);
    response.extensions_mut().insert(Outcome { served: Served::Error, tier: None });
    response
}

fn finish<RB>(
    mut response: Response<TierBody<RB>>,
    (served, tier): (Served, Option<TierName>),
    key: &CacheKey,
    from: Source,
    start: Start,
) -> Response<TierBody<RB>> {
    let handoff = Handoff { key: key.clone(), from, start, withheld: None };
    response.extensions_mut().insert(Outcome { served, tier });
    response.extensions_mut().insert(handoff);
    response
}

/// `headers` are those of the entry.
fn whole(entry: &Entry, headers: HeaderMap, ask: &Ask<'_>, now: Timestamp) -> Response<Bytes> {
    let mut response = ageless(entry, headers, ask, now);
    stamp_age(response.headers_mut(), entry.head().freshness.age(now));
    response
}

/// What is stored, as an answer to `ask` but for its `Age`; `headers` are those of the entry.
pub(super) fn ageless(entry: &Entry, mut headers: HeaderMap, ask: &Ask<'_>, now: Timestamp) -> Response<Bytes> {
    let head = entry.head();
    // Of a part too the condition asks whether the client holds the representation.
    let status = if head.kind == Kind::Partial { StatusCode::OK } else { head.status };
    if ask.conditions.hold(status, &headers, now) {
        not_modified(headers)
    } else if ask.head {
        if !headers.contains_key(header::CONTENT_LENGTH) && !entry.body().is_empty() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(entry.body().len()));
        }
        with(head.status, headers, Bytes::new())
    } else {
        part(entry, ask, headers, now)
    }
}

fn part(entry: &Entry, ask: &Ask<'_>, mut headers: HeaderMap, now: Timestamp) -> Response<Bytes> {
    let (head, body) = (entry.head(), entry.body());
    let held = parts::held(entry).filter(|_| head.kind == Kind::Partial || head.status == StatusCode::OK);
    let Some(held) = held else { return with(head.status, headers, body.clone()) };
    let cut = |part: &Range<u64>| {
        let at = |position: u64| usize::try_from(position - held.first).expect("a stored body fits in memory");
        body.slice(at(part.start)..at(part.end))
    };
    match held.asked(ask.headers, &headers, now) {
        // A part is handed on as it came where no more is known of what was asked.
        Asked::Whole | Asked::Missing => with(head.status, headers, body.clone()),
        Asked::Part(part) => {
            name_part(&mut headers, &part, held.complete);
            with(StatusCode::PARTIAL_CONTENT, headers, cut(&part))
        }
        Asked::Parts(parts) => {
            let body = several(&mut headers, &parts, held.complete, head, cut);
            with(StatusCode::PARTIAL_CONTENT, headers, body)
        }
        Asked::Unsatisfiable => unsatisfiable(headers, held.complete),
    }
}

fn name_part(headers: &mut HeaderMap, part: &Range<u64>, complete: Option<u64>) {
    coding::forget_digests(headers);
    headers.insert(header::CONTENT_RANGE, range::content_range(part, complete));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
}

/// Several parts in one body, `multipart/byteranges` (RFC 9110 §14.6).
fn several(
    headers: &mut HeaderMap,
    parts: &[Range<u64>],
    complete: Option<u64>,
    head: &Head,
    cut: impl Fn(&Range<u64>) -> Bytes,
) -> Bytes {
    // What is stored came from one origin, which does not guess when we stored it.
    let boundary = format!("edge-cache-{}-{}", head.freshness.stored.as_millis(), complete.unwrap_or_default());
    let kind = headers.remove(header::CONTENT_TYPE);
    headers.remove(header::CONTENT_RANGE);
    coding::forget_digests(headers);
    let mut body = BytesMut::new();
    for part in parts {
        body.put_slice(format!("--{boundary}\r\n").as_bytes());
        if let Some(kind) = &kind {
            body.put_slice(b"Content-Type: ");
            body.put_slice(kind.as_bytes());
            body.put_slice(b"\r\n");
        }
        body.put_slice(b"Content-Range: ");
        body.put_slice(range::content_range(part, complete).as_bytes());
        body.put_slice(b"\r\n\r\n");
        body.put_slice(&cut(part));
        body.put_slice(b"\r\n");
    }
    body.put_slice(format!("--{boundary}--\r\n").as_bytes());
    let kind = format!("multipart/byteranges; boundary={boundary}");
    headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(kind).expect("letters and digits make a header value"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    body.freeze()
}

fn unsatisfiable(mut headers: HeaderMap, complete: Option<u64>) -> Response<Bytes> {
    conditional::not_modified(&mut headers);
    // What is stored is fresh, this answer is of one request: a cache on the way that kept it would give it to those who ask for the whole.
    for name in [header::EXPIRES, header::ETAG, header::LAST_MODIFIED, CDN_CACHE_CONTROL] {
        headers.remove(name);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(complete) = complete {
        headers.insert(header::CONTENT_RANGE, range::unsatisfied(complete));
    }
    with(StatusCode::RANGE_NOT_SATISFIABLE, headers, Bytes::new())
}

/// A body that still comes, or the one range of it that is asked for, where its length is known.
fn growing<RB>(
    head: &Head,
    mut headers: HeaderMap,
    ask: &Ask<'_>,
    now: Timestamp,
    reader: Reader,
) -> Response<TierBody<RB>> {
    let len = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    let whole = head.kind == Kind::Response && head.status == StatusCode::OK;
    match len.filter(|_| whole).map(|len| Held::whole(len).asked(ask.headers, &headers, now)) {
        Some(Asked::Part(part)) => {
            name_part(&mut headers, &part, len);
            with(StatusCode::PARTIAL_CONTENT, headers, TierBody::growing_part(reader, &part))
        }
        Some(Asked::Unsatisfiable) => unsatisfiable(headers, len).map(TierBody::full),
        // Several ranges of what is not there yet: the whole is an answer too.
        _ => with(head.status, headers, TierBody::growing(reader)),
    }
}

fn not_modified(mut headers: HeaderMap) -> Response<Bytes> {
    conditional::not_modified(&mut headers);
    with(StatusCode::NOT_MODIFIED, headers, Bytes::new())
}

fn with<B>(status: StatusCode, headers: HeaderMap, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn stamp_age(headers: &mut HeaderMap, age: Duration) {
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
}
