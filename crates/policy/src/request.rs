//! What a request asks of the cache (RFC 9111 §5.2.1) and what it says of its sender.

use std::time::Duration;

use edge_cache_core::{
    Bypass, Freshness, Judgement, PackedHeaders, Timestamp,
    headers::{CDN_CACHE_CONTROL, PRIORITY},
    route::Identity,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use sfv::{Dictionary, ListEntry, Parser};

use crate::{CacheControl, Mode, hop, steering::may_steer};

/// The directives of a request that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Nothing of this exchange may be stored.
    pub no_store: bool,
    /// Answer only from the cache, or 504.
    pub only_if_cached: bool,
    /// A stored answer must be revalidated.
    pub no_cache: bool,
    /// Greatest age in seconds that will do.
    pub max_age: Option<u64>,
    /// Freshness in seconds that must be left.
    pub min_fresh: Option<u64>,
    /// Staleness in seconds that will do.
    pub max_stale: Option<u64>,
}

/// Reads the directives. What makes the origin work (`no-cache`, `max-age`, `min-fresh`, `Pragma`) counts under
/// [`Mode::Rfc`] or from a trusted client only: else any reload is a query.
#[must_use]
pub fn directives(headers: &HeaderMap, mode: Mode, trusted: bool) -> Directives {
    let present = headers.contains_key(header::CACHE_CONTROL);
    if !present && !headers.contains_key(header::PRAGMA) {
        return Directives::default();
    }
    let cc = CacheControl::of(headers, &header::CACHE_CONTROL);
    let always = Directives { no_store: cc.no_store, only_if_cached: cc.only_if_cached, ..Directives::default() };
    if mode == Mode::Guarded && !trusted {
        return always;
    }
    let pragma = !present
        && headers.get_all(header::PRAGMA).iter().any(|line| {
            line.as_bytes().split(|b| *b == b',').any(|d| d.trim_ascii().eq_ignore_ascii_case(b"no-cache"))
        });
    Directives {
        no_cache: pragma || cc.no_cache != crate::Scope::None,
        max_age: cc.max_age,
        min_fresh: cc.min_fresh,
        max_stale: cc.max_stale,
        ..always
    }
}

/// What may be done with a stored answer for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Serve it as it is.
    Serve {
        /// Whether it is stale and the client said that this will do.
        stale: bool,
    },
    /// Serve it, and revalidate it in the background (RFC 5861 §3).
    ServeAndRefresh,
    /// Revalidate it first.
    Validate {
        /// The request demands it, though the answer is fresh.
        by_request: bool,
    },
}

/// Judges a stored answer for a request (RFC 9111 §4).
#[must_use]
pub fn reuse(freshness: &Freshness, directives: &Directives, now: Timestamp) -> Reuse {
    let too_old = is_too_old(freshness, directives, now);
    let by_request = Reuse::Validate { by_request: true };
    if directives.no_cache {
        return by_request;
    }
    match freshness.judge(now) {
        Judgement::Fresh { .. } if too_old => by_request,
        Judgement::Fresh { ttl } if directives.min_fresh.is_some_and(|min| ttl.as_secs() < min) => by_request,
        Judgement::Fresh { .. } => Reuse::Serve { stale: false },
        _ if too_old => Reuse::Validate { by_request: false },
        judgement => {
            let staleness = now.since(freshness.fresh_until).as_secs();
            match (directives.max_stale, judgement) {
                // Who wants freshness to be left wants nothing stale, whatever else he says.
                (Some(max), _) if freshness.stale_allowed && staleness <= max && directives.min_fresh.is_none() => {
                    Reuse::Serve { stale: true }
                }
                (None, Judgement::StaleWhileRevalidate)
                    if directives.max_age.is_none() && directives.min_fresh.is_none() =>
                {
                    Reuse::ServeAndRefresh
                }
                _ => Reuse::Validate { by_request: false },
            }
        }
    }
}

/// Whether a request forbids to answer it stale even when the origin fails: it asks for validation, for a lower age, or for freshness
/// that is left (RFC 9111 §5.2.1). What it allows by `max-stale` it does not forbid.
#[must_use]
pub fn wants_no_stale(freshness: &Freshness, directives: &Directives, now: Timestamp) -> bool {
    let staleness = now.since(freshness.fresh_until).as_secs();
    let stale = now >= freshness.fresh_until && directives.max_stale.is_none();
    directives.no_cache
        || is_too_old(freshness, directives, now)
        || (directives.max_age.is_some() && stale)
        || directives.max_stale.is_some_and(|max| staleness > max)
        || directives
            .min_fresh
            .is_some_and(|min| now >= freshness.fresh_until || freshness.fresh_until.since(now).as_secs() < min)
}

/// Whether an answer that is still fresh need not be revalidated though a request asks for a lower age: `immutable` (RFC 8246) says that
/// nothing would come of it. `no-cache` asks for validation itself, and gets it.
#[must_use]
pub fn is_immutable(stored: &PackedHeaders, freshness: &Freshness, directives: &Directives, now: Timestamp) -> bool {
    let wanted = directives.no_cache || directives.min_fresh.is_some();
    !wanted && matches!(freshness.judge(now), Judgement::Fresh { .. }) && said(stored).immutable
}

/// Whether a stored answer says itself for how long it may stand in for an origin that fails. That limit holds for an origin that cannot
/// be reached too, which is one of the failures (RFC 5861 §4).
#[must_use]
pub fn limits_errors(stored: &PackedHeaders) -> bool {
    said(stored).stale_if_error.is_some()
}

/// What a stored answer said to this cache.
fn said(stored: &PackedHeaders) -> CacheControl {
    let stored = stored.unpack();
    let targeted = CacheControl::targeted(&stored, &CDN_CACHE_CONTROL);
    targeted.unwrap_or_else(|| CacheControl::of(&stored, &header::CACHE_CONTROL))
}

/// Whether an answer is older than the request wants. Not even the same instant is young enough for `max-age=0`: that is how browsers ask
/// for a reload.
fn is_too_old(freshness: &Freshness, directives: &Directives, now: Timestamp) -> bool {
    directives.max_age.is_some_and(|max| max == 0 || freshness.age(now) > Duration::from_secs(max))
}

/// Whether a request says nothing beside what it wants: no condition, range, directive or credentials, nothing of another protocol, no header that
/// `Connection` names, and nothing that may [steer](crate::steering). One look over the few names that most requests have, in place of a search for each of these.
#[must_use]
pub fn is_bare(headers: &HeaderMap) -> bool {
    const TELLING: [HeaderName; 11] = [
        header::RANGE,
        header::COOKIE,
        header::PRAGMA,
        header::UPGRADE,
        header::IF_MATCH,
        header::IF_RANGE,
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ];
    // The lengths of these names.
    const LENGTHS: u32 = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 13 | 1 << 17 | 1 << 19;
    headers.iter().all(|(name, value)| {
        let len = name.as_str().len();
        let maybe = len < 32 && LENGTHS & (1 << len) != 0;
        let telling = || TELLING.contains(name) || *name == header::CONNECTION && !hop::names_none(value);
        !(may_steer(name) || maybe && telling())
    })
}

/// Whether the method can be answered from the cache.
#[must_use]
pub fn cacheable_method(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The protocols that a request asks for in place of HTTP on its connection, such as WebSocket (RFC 9110 §7.8).
///
/// `Upgrade` counts over HTTP/1.1 only and where `Connection` names it; what a proxy in front forgot to take off is nobody's wish. `h2c`
/// and `TLS` are ignored, as a server may: clients offer them on requests that want nothing but an answer, and a tunnel of requests
/// would go past every rule here.
#[must_use]
pub fn asks_to_switch(version: Version, headers: &HeaderMap) -> Vec<&[u8]> {
    let members =
        |name: HeaderName| headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    if version != Version::HTTP_11
        || !headers.contains_key(header::UPGRADE)
        || !members(header::CONNECTION).any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    {
        return Vec::new();
    }
    let is_http = |protocol: &[u8]| {
        let name = protocol.split(|b| *b == b'/').next().unwrap_or_default();
        [&b"h2c"[..], b"tls", b"http"].iter().any(|http| name.eq_ignore_ascii_case(http))
    };
    members(header::UPGRADE).map(<[u8]>::trim_ascii).filter(|p| !p.is_empty() && !is_http(p)).collect()
}

/// The urgency of background work: nobody waits for it (RFC 9218 §4.1).
const BACKGROUND: i64 = 7;

/// Whether the client says that nobody waits. A field that does not parse says nothing (RFC 9218 §4).
#[must_use]
pub fn is_background(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(PRIORITY).iter();
    let Some(first) = lines.next() else { return false };
    let mut joined = first.as_bytes().to_vec();
    for line in lines {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    let Ok(members) = Parser::new(&joined).parse::<Dictionary>() else { return false };
    let Some(ListEntry::Item(urgency)) = members.get("u") else { return false };
    urgency.bare_item.as_integer().map(i64::from) == Some(BACKGROUND)
}

/// Whether a request changes nothing at its origin: those methods that are registered as safe (RFC 9110 §9.2.1 and §16.1.1; RFC 3253, 4918, 5323; QUERY). Others may.
#[must_use]
pub fn is_safe(method: &Method) -> bool {
    let registered = || matches!(method.as_str(), "PROPFIND" | "QUERY" | "REPORT" | "SEARCH");
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) || registered()
}

/// Applies a route's declaration to the sender's credentials: takes off what the answer does not depend on. Under [`Mode::Rfc`] nothing
/// is declared.
///
/// Returns whether the request that is left carries `Authorization`.
///
/// # Errors
/// [`Bypass::Credentials`] where the answer may depend on who asks.
pub fn identity(headers: &mut HeaderMap, identity: &Identity, mode: Mode) -> Result<bool, Bypass> {
    if mode == Mode::Rfc {
        // To the letter: what the answer says decides (RFC 9111 §3.5), and no header is taken off.
        return Ok(headers.contains_key(header::AUTHORIZATION));
    }
    match identity {
        Identity::Free => {
            headers.remove(header::COOKIE);
            headers.remove(header::AUTHORIZATION);
            Ok(false)
        }
        Identity::Session { cookies } => {
            let known = |cookie: &[u8]| cookies.iter().any(|name| cookie == name.as_bytes());
            if headers.contains_key(header::AUTHORIZATION) || cookie_names(headers).any(known) {
                return Err(Bypass::Credentials);
            }
            headers.remove(header::COOKIE);
            Ok(false)
        }
        Identity::Private if headers.contains_key(header::COOKIE) => Err(Bypass::Credentials),
        Identity::Private => Ok(headers.contains_key(header::AUTHORIZATION)),
    }
}

fn cookie_names(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).flat_map(|line| {
        line.split(|b| *b == b';').filter_map(|pair| pair.split(|b| *b == b'=').next()).map(<[u8]>::trim_ascii)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn entry() -> Freshness {
        let at = Timestamp::from_secs;
        Freshness {
            born: at(100),
            stored: at(100),
            fresh_until: at(160),
            revalidate_until: at(190),
            error_until: at(400),
            stale_allowed: true,
        }
    }

    fn judged(line: &'static str, at: i64) -> Reuse {
        let directives = directives(&map(&[("cache-control", line)]), Mode::Rfc, false);
        reuse(&entry(), &directives, Timestamp::from_secs(at))
    }

    #[test]
    fn request_directives_narrow_and_widen_reuse() {
        assert_eq!(judged("x", 130), Reuse::Serve { stale: false });
        assert_eq!(judged("no-cache", 130), Reuse::Validate { by_request: true });
        assert_eq!(judged("max-age=30", 130), Reuse::Serve { stale: false });
        assert_eq!(judged("max-age=29", 130), Reuse::Validate { by_request: true });
        assert_eq!(judged("max-age=0", 100), Reuse::Validate { by_request: true }, "a reload");
        assert_eq!(judged("min-fresh=30", 130), Reuse::Serve { stale: false });
        assert_eq!(judged("min-fresh=31", 130), Reuse::Validate { by_request: true });
        assert_eq!(judged("x", 170), Reuse::ServeAndRefresh);
        assert_eq!(judged("x", 200), Reuse::Validate { by_request: false });
        assert_eq!(judged("max-stale", 5000), Reuse::Serve { stale: true });
        assert_eq!(judged("max-stale=9", 170), Reuse::Validate { by_request: false });
    }

    #[test]
    fn max_stale_cannot_override_must_revalidate() {
        let strict = Freshness { stale_allowed: false, ..entry() };
        let asked = Directives { max_stale: Some(u64::MAX), ..Directives::default() };
        assert_eq!(
            reuse(&strict, &asked, strict.fresh_until + Duration::from_secs(1)),
            Reuse::Validate { by_request: false }
        );
    }

    #[test]
    fn what_a_client_wants_fresh_is_not_served_stale_when_the_origin_fails() {
        let wants = |line: &'static str, at: i64| {
            let directives = directives(&map(&[("cache-control", line)]), Mode::Rfc, false);
            wants_no_stale(&entry(), &directives, Timestamp::from_secs(at))
        };
        assert!(wants("no-cache", 130) && wants("max-age=29", 130) && wants("min-fresh=31", 130));
        assert!(wants("max-age=999", 170), "without max-stale a client with max-age wants nothing stale");
        assert!(wants("max-stale=5", 170) && !wants("max-stale=10", 170));
        assert!(!wants("x", 170) && !wants("max-stale", 170) && !wants("max-age=999, max-stale=60", 170));
    }

    #[test]
    fn what_is_immutable_is_not_validated_for_a_lower_age() {
        let immutable = |line: &'static str, stored: &'static str, at: i64| {
            let stored = PackedHeaders::pack(&map(&[("cache-control", stored)]));
            let directives = directives(&map(&[("cache-control", line)]), Mode::Rfc, false);
            is_immutable(&stored, &entry(), &directives, Timestamp::from_secs(at))
        };
        assert!(immutable("max-age=0", "max-age=60, Immutable", 130));
        assert!(!immutable("max-age=0", "max-age=60", 130) && !immutable("max-age=0", "max-age=60, immutable", 170));
        assert!(!immutable("no-cache", "immutable", 130) && !immutable("min-fresh=50", "immutable", 130));
    }

    #[test]
    fn what_says_more_than_what_it_wants_is_not_bare() {
        let plain = map(&[("host", "h"), ("accept", "*/*"), ("accept-encoding", "gzip"), ("user-agent", "x")]);
        assert!(is_bare(&plain) && is_bare(&HeaderMap::new()));
        assert!(is_bare(&map(&[("connection", "keep-alive")])) && is_bare(&map(&[("connection", "close")])));
        for name in [
            "range",
            "cookie",
            "pragma",
            "upgrade",
            "if-match",
            "if-range",
            "authorization",
            "cache-control",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "x-forwarded-host",
            "x_host",
            "forwarded",
            "proxy",
            "connection",
        ] {
            let mut telling = plain.clone();
            telling.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
            assert!(!is_bare(&telling), "{name}");
        }
    }

    #[test]
    fn only_other_protocols_than_h2c_are_asked_for() {
        let asks = |version, upgrade: &'static str, connection: &'static str| {
            let headers = map(&[("upgrade", upgrade), ("connection", connection)]);
            asks_to_switch(version, &headers)
                .iter()
                .map(|p| String::from_utf8_lossy(p).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(asks(Version::HTTP_11, "websocket", "keep-alive, Upgrade"), ["websocket"]);
        assert_eq!(asks(Version::HTTP_11, "h2c, foo/1,, TLS/1.2, HTTP/2.0", "upgrade"), ["foo/1"]);
        let none: [&str; 0] = [];
        assert_eq!(asks(Version::HTTP_11, "websocket", "close"), none, "nobody's wish");
        assert_eq!(asks(Version::HTTP_10, "websocket", "upgrade"), none);
        assert_eq!(asks_to_switch(Version::HTTP_11, &HeaderMap::new()).len(), 0);
    }

    #[test]
    fn guarded_ignores_reloads_of_strangers() {
        let reload = map(&[("cache-control", "no-cache, no-store, only-if-cached"), ("pragma", "no-cache")]);
        let stranger = directives(&reload, Mode::Guarded, false);
        assert!(!stranger.no_cache && stranger.no_store && stranger.only_if_cached);
        assert!(directives(&reload, Mode::Guarded, true).no_cache);
        assert!(directives(&map(&[("pragma", "x, No-Cache")]), Mode::Rfc, false).no_cache);
        let both = map(&[("pragma", "no-cache"), ("cache-control", "max-age=1")]);
        assert!(!directives(&both, Mode::Rfc, false).no_cache, "Cache-Control makes Pragma void");
    }

    #[test]
    fn credentials_are_private_unless_declared() {
        let jar = || map(&[("cookie", "a=1; pitchey-session=x"), ("accept", "*/*")]);
        assert_eq!(identity(&mut jar(), &Identity::Private, Mode::Guarded), Err(Bypass::Credentials));
        assert_eq!(identity(&mut jar(), &Identity::Private, Mode::Rfc), Ok(false));
        let bearer = || map(&[("authorization", "Bearer x")]);
        assert_eq!(identity(&mut bearer(), &Identity::Private, Mode::Guarded), Ok(true));

        let mut kept = jar();
        assert_eq!((identity(&mut kept, &Identity::Free, Mode::Rfc), kept.len()), (Ok(false), 2), "to the letter");
        let mut taken = jar();
        assert_eq!(identity(&mut taken, &Identity::Free, Mode::Guarded), Ok(false));
        assert!(!taken.contains_key("cookie"), "what the answer does not depend on is not forwarded");

        let session = Identity::Session { cookies: vec!["pitchey-session".into()] };
        assert_eq!(identity(&mut jar(), &session, Mode::Guarded), Err(Bypass::Credentials));
        assert_eq!(identity(&mut bearer(), &session, Mode::Guarded), Err(Bypass::Credentials));
        let mut other = map(&[("cookie", "_ga=pitchey-session")]);
        assert_eq!(identity(&mut other, &session, Mode::Guarded), Ok(false));
        assert!(other.is_empty());
    }

    #[test]
    fn only_the_least_urgency_is_background() {
        let background = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PRIORITY, HeaderValue::from_static(line));
            }
            is_background(&headers)
        };
        for lines in [&["u=7"][..], &["u=7, i"], &["i, u=7;x"], &["i", "u=7"], &["u=1", "u=7"]] {
            assert!(background(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["u=3"],
            &["u=0"],
            &["u"],
            &["u=8"],
            &["u=70"],
            &["u=7.0"],
            &["u=\"7\""],
            &["u=(7)"],
            &["U=7"],
            &["u=7,"],
            &["u=7 x"],
            &["urgency=7"],
        ] {
            assert!(!background(lines), "{lines:?}");
        }
    }
}
