//! Answers from what is stored.

use std::{sync::Arc, time::Duration};

use edge_cache_core::{Entry, Fwd, Head, Outcome, Served, TierName, Timestamp};
use edge_cache_policy::{
    cache_status::{self, Member},
    conditional::{self, Conditions},
    range,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

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
    entry: &Entry,
    ask: &Ask<'_>,
    now: Timestamp,
    detail: Option<&'static str>,
) -> Response<TierBody<RB>> {
    let freshness = &entry.head().freshness;
    let mut response = whole(entry, ask, now);
    let ttl = freshness.ttl_secs(now);
    cache_status::append(response.headers_mut(), tier, Member::Hit { ttl, detail });
    let served = if now < freshness.fresh_until { Served::Hit } else { Served::Stale };
    finish(response, served, Some(tier), entry.head(), Some(entry))
}

/// A stale entry in place of an origin that failed or is too slow: declared by `fwd=stale` (RFC 9211 §2.2).
pub(super) fn stale<RB>(
    tier: TierName,
    entry: &Entry,
    ask: &Ask<'_>,
    now: Timestamp,
    detail: &'static str,
) -> Response<TierBody<RB>> {
    let mut response = whole(entry, ask, now);
    let ttl = Some(entry.head().freshness.ttl_secs(now));
    let member = Member::Forward {
        fwd: Fwd::Stale,
        fwd_status: None,
        ttl,
        stored: false,
        collapsed: false,
        detail: Some(detail),
    };
    cache_status::append(response.headers_mut(), tier, member);
    finish(response, Served::Stale, Some(tier), entry.head(), Some(entry))
}

/// How a fill's answer is to be labelled.
pub(super) struct Filled {
    pub(super) fwd: Fwd,
    pub(super) collapsed: bool,
    /// What the inner tier said it did, and its `Cache-Status`, for the leader.
    pub(super) inner: Option<Inner>,
}

/// What an inner tier said of the answer it handed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Inner {
    pub(super) status: Vec<HeaderValue>,
    pub(super) outcome: Option<Outcome>,
    /// Fields that may not be stored, and so are the leader's alone.
    pub(super) withheld: HeaderMap,
}

/// The answer of a fill, to its leader or a waiter. `None` when the body's beginning is gone.
pub(super) fn landed<RB>(
    tier: TierName,
    landed: &Landed,
    ask: &Ask<'_>,
    now: Timestamp,
    how: Filled,
    reader: Option<Reader>,
) -> Option<Response<TierBody<RB>>> {
    let head = &landed.head;
    let inner = how.inner.unwrap_or_default();
    let mut response = match &landed.body {
        LandedBody::Whole(entry) => whole(entry, ask, now),
        LandedBody::Growing(body) => {
            let headers = head.headers.unpack();
            let mut response = if !ask.refresh && ask.conditions.hold(head.status, &headers) {
                not_modified(headers)
            } else if ask.head {
                with(head.status, headers, TierBody::empty())
            } else {
                let reader = reader.or_else(|| body.reader())?;
                with(head.status, headers, TierBody::growing(reader))
            };
            stamp_age(response.headers_mut(), head.freshness.age(now));
            response
        }
    };
    let inner_hit =
        matches!(inner.outcome, Some(Outcome { served: Served::Hit | Served::Stale | Served::Coalesced, .. }));
    if !how.collapsed && !inner_hit && head.freshness.age(now).is_zero() {
        // Made for this very request: an `Age` would say it was not (RFC 9111 §5.1).
        response.headers_mut().remove(header::AGE);
    }
    response.headers_mut().extend(inner.withheld);
    for member in inner.status {
        response.headers_mut().append(edge_cache_core::headers::CACHE_STATUS, member);
    }
    let member = Member::Forward {
        fwd: how.fwd,
        fwd_status: None,
        ttl: landed.stored.then(|| head.freshness.ttl_secs(now)),
        stored: landed.stored,
        collapsed: how.collapsed,
        detail: None,
    };
    cache_status::append(response.headers_mut(), tier, member);
    // A miss here that was a hit further in is a hit of the tier that had it.
    let (served, from) = match inner.outcome {
        _ if how.collapsed => (Served::Coalesced, None),
        Some(Outcome { served: served @ (Served::Hit | Served::Stale | Served::Coalesced), tier }) => (served, tier),
        _ => (Served::Miss, None),
    };
    let entry = match &landed.body {
        LandedBody::Whole(entry) => Some(entry),
        LandedBody::Growing(_) => None,
    };
    if !landed.stored {
        // Not for an outer tier to keep either: it plans by what the answer itself says.
        response.extensions_mut().insert(Outcome { served, tier: from });
        return Some(response);
    }
    Some(finish(response, served, from, head, entry))
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
    served: Served,
    tier: Option<TierName>,
    head: &Arc<Head>,
    entry: Option<&Entry>,
) -> Response<TierBody<RB>> {
    let handoff = edge_cache_core::Handoff { head: Arc::clone(head), entry: entry.cloned() };
    response.extensions_mut().insert(Outcome { served, tier });
    response.extensions_mut().insert(handoff);
    response
}

fn whole<RB>(entry: &Entry, ask: &Ask<'_>, now: Timestamp) -> Response<TierBody<RB>> {
    let head = entry.head();
    let mut headers = head.headers.unpack();
    let mut response = if ask.conditions.hold(head.status, &headers) {
        not_modified(headers)
    } else if ask.head {
        if !headers.contains_key(header::CONTENT_LENGTH) && !entry.body().is_empty() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(entry.body().len()));
        }
        with(head.status, headers, TierBody::empty())
    } else {
        part(entry, ask, headers)
    };
    stamp_age(response.headers_mut(), head.freshness.age(now));
    response
}

fn part<RB>(entry: &Entry, ask: &Ask<'_>, mut headers: HeaderMap) -> Response<TierBody<RB>> {
    let (status, body) = (entry.head().status, entry.body());
    let len = body.len() as u64;
    let asked = match status {
        StatusCode::OK => range::asked(ask.headers, &headers, len),
        _ => range::Asked::Whole,
    };
    match asked {
        range::Asked::Whole => with(status, headers, TierBody::full(body.clone())),
        range::Asked::Part(part) => {
            headers.insert(header::CONTENT_RANGE, range::content_range(&part, len));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
            let at = |offset: u64| usize::try_from(offset).expect("a stored body fits in memory");
            with(StatusCode::PARTIAL_CONTENT, headers, TierBody::full(body.slice(at(part.start)..at(part.end))))
        }
        range::Asked::Unsatisfiable => {
            conditional::not_modified(&mut headers);
            headers.insert(header::CONTENT_RANGE, range::unsatisfied(len));
            with(StatusCode::RANGE_NOT_SATISFIABLE, headers, TierBody::empty())
        }
    }
}

fn not_modified<RB>(mut headers: HeaderMap) -> Response<TierBody<RB>> {
    conditional::not_modified(&mut headers);
    with(StatusCode::NOT_MODIFIED, headers, TierBody::empty())
}

fn with<RB>(status: StatusCode, headers: HeaderMap, body: TierBody<RB>) -> Response<TierBody<RB>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn stamp_age(headers: &mut HeaderMap, age: Duration) {
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
}
