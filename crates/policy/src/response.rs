//! Whether an answer may be stored, and for how long it is fresh (RFC 9111 §3, §4.2).

use std::time::Duration;

use edge_cache_core::{Freshness, NoStore, Timestamp, headers::CDN_CACHE_CONTROL, route::Route};
use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::{CacheControl, Mode, Scope, date, delta_seconds, identity, vary::Vary};

/// What must be known of the request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The rules.
    pub mode: Mode,
    /// What is declared about the route.
    pub route: &'a Route,
    /// The request that went inward carried `Authorization`.
    pub authorization: bool,
    /// The request said `no-store`.
    pub no_store: bool,
    /// When it went inward.
    pub requested: Timestamp,
    /// When the answer's head came.
    pub received: Timestamp,
    /// Evenly drawn from `[0, 1)`, for jitter.
    pub unit: f64,
}

/// How to store an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The instants of the entry's life.
    pub freshness: Freshness,
    /// Fields that `no-cache="…"` or `private="…"` forbid to store.
    pub withheld: Vec<HeaderName>,
}

/// Lifetimes, under `guarded`, of what is not there and says nothing of its own.
const NOT_FOUND_TTL: Duration = Duration::from_secs(5);
const GONE_TTL: Duration = Duration::from_secs(60);
/// Longest heuristic lifetime: beyond a day the age of `Last-Modified` says little.
const HEURISTIC_MAX: Duration = Duration::from_secs(86_400);

/// Decides whether an answer is stored, and its instants.
///
/// # Errors
/// The first reason against it.
pub fn plan(asked: &Asked<'_>, status: StatusCode, headers: &HeaderMap) -> Result<Plan, NoStore> {
    let guarded = asked.mode == Mode::Guarded;
    let targeted = CacheControl::targeted(headers, &CDN_CACHE_CONTROL);
    let is_targeted = targeted.is_some();
    let cc = targeted.unwrap_or_else(|| CacheControl::of(headers, &header::CACHE_CONTROL));
    let explicit = explicit_lifetime(&cc, is_targeted, headers, asked);

    forbidden(asked, status, headers, &cc, explicit.is_some())?;

    let (lifetime, declared) = match explicit {
        Some(lifetime) => (lifetime, true),
        None => (default_lifetime(asked, status, headers, &cc), false),
    };
    // What is not there has a lifetime of its own, which the route's does not stretch.
    let negative = !declared && matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
    let no_cache = cc.no_cache == Scope::All;
    let mut lifetime = if no_cache { Duration::ZERO } else { lifetime };
    if guarded && !lifetime.is_zero() {
        lifetime = jittered(lifetime, declared, asked.unit);
        if !negative {
            lifetime = clamped(lifetime, asked.route);
        }
    }

    // `s-maxage` is `proxy-revalidate` too (RFC 9111 §5.2.2.10). The field lets an explicit window win over it, and so does `guarded`.
    let strict = cc.must_revalidate || cc.proxy_revalidate || no_cache || (!guarded && cc.s_maxage.is_some());
    let window = |explicit: Option<u64>, route: Option<Duration>| match explicit.map(Duration::from_secs) {
        _ if strict => Duration::ZERO,
        Some(window) => window,
        None if guarded && !negative && cc.s_maxage.is_none() => route.unwrap_or_default(),
        None => Duration::ZERO,
    };
    let while_revalidate = window(cc.stale_while_revalidate, asked.route.stale_while_revalidate);
    let if_error = window(cc.stale_if_error, asked.route.stale_if_error);

    let validators = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    if lifetime.is_zero() && !validators && while_revalidate.is_zero() && if_error.is_zero() {
        return Err(NoStore::NoFreshness);
    }
    let born = asked.received - initial_age(headers, asked);
    let fresh_until = born + lifetime;
    let freshness = Freshness {
        born,
        stored: asked.received,
        fresh_until,
        revalidate_until: fresh_until + while_revalidate,
        error_until: fresh_until + if_error,
        stale_allowed: !strict && cc.s_maxage.is_none(),
    };
    Ok(Plan { freshness, withheld: withheld(cc) })
}

/// Whether an answer is a failure that something stale may stand in for: the four of RFC 5861 §4, under `guarded` any server error.
#[must_use]
pub fn is_failure(status: StatusCode, mode: Mode) -> bool {
    match mode {
        Mode::Rfc => matches!(status.as_u16(), 500 | 502..=504),
        Mode::Guarded => status.is_server_error(),
    }
}

/// Whether an answer says itself how long it is fresh: what the answer to a POST must say to stand for later GETs (RFC 9110 §9.3.3).
#[must_use]
pub fn names_its_freshness(headers: &HeaderMap) -> bool {
    let targeted = CacheControl::targeted(headers, &CDN_CACHE_CONTROL);
    let expires = targeted.is_none() && headers.contains_key(header::EXPIRES);
    let cc = targeted.unwrap_or_else(|| CacheControl::of(headers, &header::CACHE_CONTROL));
    cc.max_age.or(cc.s_maxage).is_some() || expires
}

fn forbidden(
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    cc: &CacheControl,
    explicit: bool,
) -> Result<(), NoStore> {
    let guarded = asked.mode == Mode::Guarded;
    let understood = is_understood(status);
    let rules = [
        (asked.no_store, NoStore::RequestNoStore),
        (guarded && asked.route.uncacheable, NoStore::Route),
        // `must-understand` lifts `no-store` where the status is understood (RFC 9111 §5.2.2.3).
        (cc.no_store && !(cc.must_understand && understood), NoStore::ResponseNoStore),
        (cc.must_understand && !understood, NoStore::Status),
        (cc.private == Scope::All, NoStore::Private),
        (asked.authorization && !(cc.public || cc.s_maxage.is_some() || cc.must_revalidate), NoStore::Authorization),
        (!storable_status(status, guarded, explicit, cc.public), NoStore::Status),
        (guarded && headers.contains_key(header::SET_COOKIE), NoStore::SetCookie),
        (Vary::of(headers) == Vary::Star, NoStore::VaryStar),
        (guarded && identity::varies(&asked.route.identity, headers), NoStore::VaryCredentials),
        (guarded && !fits_content_type(asked.route, status, headers), NoStore::ContentType),
    ];
    rules.into_iter().find_map(|(broken, why)| broken.then_some(Err(why))).unwrap_or(Ok(()))
}

/// Statuses that may be stored without explicit freshness (RFC 9110 §15.1).
fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses whose caching rules this cache implements (RFC 9111 §3): those of RFC 9110 but 304.
fn is_understood(status: StatusCode) -> bool {
    is_heuristic(status)
        || matches!(status.as_u16(), 302 | 303 | 307 | 400..=403 | 406..=409 | 411..=417 | 421 | 422 | 426 | 500 | 502..=505)
}

fn storable_status(status: StatusCode, guarded: bool, explicit: bool, public: bool) -> bool {
    let code = status.as_u16();
    // An answer about a stored representation is none itself, and one about a range is none to the whole.
    if matches!(code, 304 | 416) || status.is_informational() {
        return false;
    }
    // Nor is an error that one request may have provoked (a header too long, a method that another field overrides) for anybody else. What is not
    // there is not there for all: that is worth a while.
    if guarded && (status.is_client_error() || status.is_server_error()) && !matches!(code, 404 | 410) {
        return false;
    }
    is_heuristic(status) || explicit || public
}

fn fits_content_type(route: &Route, status: StatusCode, headers: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let sent = headers.get(header::CONTENT_TYPE).map_or(&b""[..], http::HeaderValue::as_bytes);
    // One client's, and without an end, whatever it says of its freshness.
    if sent.get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS)) {
        return false;
    }
    if route.content_types.is_empty() || !matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        return true;
    }
    route
        .content_types
        .iter()
        .any(|want| sent.get(..want.len()).is_some_and(|start| start.eq_ignore_ascii_case(want.as_bytes())))
}

fn explicit_lifetime(cc: &CacheControl, targeted: bool, headers: &HeaderMap, asked: &Asked<'_>) -> Option<Duration> {
    if let Some(seconds) = cc.s_maxage.or(cc.max_age) {
        return Some(Duration::from_secs(seconds));
    }
    // A targeted field stands for `Cache-Control` and `Expires` both (RFC 9213 §2.2).
    let mut lines = headers.get_all(header::EXPIRES).iter();
    let expires = lines.next().filter(|_| !targeted)?;
    // Two lines are one value that is no date, and so already past (RFC 9111 §4.2.1, §5.3).
    let until = date_of(expires.as_bytes(), asked).filter(|_| lines.next().is_none());
    Some(until.map_or(Duration::ZERO, |until| until.since(sent(headers, asked))))
}

fn date_of(value: &[u8], asked: &Asked<'_>) -> Option<Timestamp> {
    date::parse(value, asked.received)
}

/// When the answer was sent: its `Date`, else when it came.
fn sent(headers: &HeaderMap, asked: &Asked<'_>) -> Timestamp {
    headers.get(header::DATE).and_then(|date| date_of(date.as_bytes(), asked)).unwrap_or(asked.received)
}

fn default_lifetime(asked: &Asked<'_>, status: StatusCode, headers: &HeaderMap, cc: &CacheControl) -> Duration {
    if asked.mode == Mode::Guarded {
        match status {
            StatusCode::NOT_FOUND => return NOT_FOUND_TTL,
            StatusCode::GONE => return GONE_TTL,
            _ if is_heuristic(status) => {
                if let Some(ttl) = asked.route.ttl {
                    return ttl;
                }
            }
            _ => {}
        }
    }
    if !is_heuristic(status) && !cc.public {
        return Duration::ZERO;
    }
    let Some(modified) = headers.get(header::LAST_MODIFIED).and_then(|v| date_of(v.as_bytes(), asked)) else {
        return Duration::ZERO;
    };
    (sent(headers, asked).since(modified) / 10).min(HEURISTIC_MAX)
}

/// RFC 9111 §4.2.3: the larger of what `Date` and `Age` say, in whole seconds as both are written.
fn initial_age(headers: &HeaderMap, asked: &Asked<'_>) -> Duration {
    let received = asked.received;
    let apparent = (received.as_secs() - sent(headers, asked).as_secs()).max(0).unsigned_abs();
    // Only the first member counts, and only if it is digits (RFC 9111 §5.1).
    let age = headers.get(header::AGE).and_then(|v| v.as_bytes().split(|b| *b == b',').next().map(<[u8]>::trim_ascii));
    let said = age.and_then(delta_seconds).map_or(Duration::ZERO, Duration::from_secs);
    // Under `guarded` the response delay counts only where an upstream cache said an age: else the answer was made in it.
    let delay = received.since(asked.requested);
    let corrected = if said.is_zero() && asked.mode == Mode::Guarded { said } else { said + delay };
    corrected.max(Duration::from_secs(apparent))
}

fn clamped(lifetime: Duration, route: &Route) -> Duration {
    let raised = route.ttl_min.map_or(lifetime, |min| lifetime.max(min));
    route.ttl_max.map_or(raised, |max| raised.min(max))
}

/// Spreads expiries: up to 10 % off what the origin said, 10 % either way of our own default.
fn jittered(lifetime: Duration, declared: bool, unit: f64) -> Duration {
    let factor = if declared { 1.0 - 0.1 * unit } else { 0.9 + 0.2 * unit };
    // A lifetime that no longer fits is one that never ends, jittered or not.
    Duration::try_from_secs_f64(lifetime.as_secs_f64() * factor).unwrap_or(lifetime)
}

fn withheld(cc: CacheControl) -> Vec<HeaderName> {
    [cc.no_cache, cc.private]
        .into_iter()
        .flat_map(|scope| match scope {
            Scope::Fields(fields) => fields,
            Scope::None | Scope::All => Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
