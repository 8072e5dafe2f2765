//! Headers that steer an origin without being part of the key: whoever sends one would shape the answer stored for all.
//!
//! A name counts in every spelling that an origin may take for it: to whoever hands headers on as variables of an environment (CGI, WSGI, PHP),
//! `X_Forwarded_Host` is `X-Forwarded-Host`.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

/// The ones that common servers and frameworks obey, sorted.
const NAMES: [&str; 29] = [
    "forwarded",
    "front-end-https",
    "proxy",
    "x-arr-ssl",
    "x-base-url",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-forwarded",
    "x-host",
    "x-http-destinationurl",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-http-path-override",
    "x-matched-path",
    "x-method-override",
    "x-now-route-matches",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-proto",
    "x-react-router-prerender-data",
    "x-react-router-spa-mode",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-url-scheme",
];

/// Beginnings of names that nobody but a proxy or the framework itself has a reason to send.
const FAMILIES: [&str; 3] = ["x-forwarded-", "x-invoke-", "x-middleware-"];

/// Of a family, and what a gateway itself adds to.
const KEPT: &str = "x-forwarded-for";

/// Headers that must reach the key or the protocol: they cannot be declared to steer.
const NEEDED: [&str; 22] = [
    "accept-encoding",
    "authorization",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "pragma",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    KEPT,
];

/// Whether a request has one of them, or one of `further`.
#[must_use]
pub fn any(headers: &HeaderMap, further: &[HeaderName]) -> bool {
    headers.keys().any(steers) || names_any(headers, further)
}

/// Whether a request has one of `further`.
#[must_use]
pub fn names_any(headers: &HeaderMap, further: &[HeaderName]) -> bool {
    !further.is_empty() && headers.keys().any(|name| further.iter().any(|one| is_spelling(name, one)))
}

/// Whether `name` may be one of `further`: the key and the protocol do not need it.
#[must_use]
pub fn may_be_declared(name: &HeaderName) -> bool {
    NEEDED.binary_search(&&*hyphened(name)).is_err()
}

/// Whether a name is worth a closer look.
pub(crate) fn may_steer(name: &HeaderName) -> bool {
    match name.as_str().as_bytes() {
        [b'x', second, ..] => !second.is_ascii_alphanumeric(),
        [b'f' | b'p', ..] => NAMES[..3].contains(&&*hyphened(name)),
        _ => false,
    }
}

/// Takes them off a request that may be answered for others, and `further` too.
pub fn strip(headers: &mut HeaderMap, further: &[HeaderName]) {
    let is_one = |name: &HeaderName| steers(name) || further.iter().any(|one| is_spelling(name, one));
    // Few requests have any.
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_one(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn steers(name: &HeaderName) -> bool {
    if !may_steer(name) || name.as_str() == KEPT {
        return false;
    }
    let spelt = hyphened(name);
    FAMILIES.iter().any(|family| spelt.starts_with(family)) || NAMES.binary_search(&&*spelt).is_ok()
}

fn is_spelling(name: &HeaderName, of: &HeaderName) -> bool {
    let pairs = || name.as_str().bytes().zip(of.as_str().bytes());
    name.as_str().len() == of.as_str().len() && pairs().all(|(one, other)| plain(one) == plain(other))
}

/// The spelling of a name that stands for all those that an origin may take for one another: whatever is neither letter nor digit is a hyphen.
/// One that is spelt so already is not copied.
///
/// ```
/// use edge_cache_policy::steering::hyphened;
/// use http::HeaderName;
///
/// assert_eq!(hyphened(&HeaderName::from_static("x_forwarded.host")), "x-forwarded-host");
/// ```
#[must_use]
pub fn hyphened(name: &HeaderName) -> Cow<'_, str> {
    let name = name.as_str();
    if name.bytes().all(|byte| plain(byte) == byte) {
        return name.into();
    }
    name.bytes().map(|byte| char::from(plain(byte))).collect::<String>().into()
}

/// As environments see it: everything but letters and digits is the same.
const fn plain(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte } else { b'-' }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(names: &[&str]) -> HeaderMap {
        names.iter().map(|name| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_static("1"))).collect()
    }

    fn left(names: &[&str], further: &[&'static str]) -> Vec<String> {
        let further: Vec<_> = further.iter().map(|name| HeaderName::from_static(name)).collect();
        let mut headers = map(names);
        let any = any(&headers, &further);
        strip(&mut headers, &further);
        assert_eq!(any, headers.len() < names.len(), "{names:?}");
        let mut left: Vec<_> = headers.keys().map(ToString::to_string).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn every_name_is_looked_for_in_every_spelling() {
        assert!(NAMES.is_sorted() && NEEDED.is_sorted());
        let families = FAMILIES.map(|family| format!("{family}any"));
        for name in NAMES.into_iter().chain(families.iter().map(String::as_str)) {
            for spelt in [name.to_owned(), name.replace('-', "_"), name.replace('-', ".")] {
                assert!(left(&[&spelt], &[]).is_empty(), "{spelt}");
                assert!(may_steer(&HeaderName::try_from(&spelt).unwrap()), "{spelt}");
            }
        }
    }

    #[test]
    fn what_steers_goes_and_the_rest_stays() {
        let sent = ["x-forwarded-host", "x-forwarded-for", "accept", "forwarded", "x-own", "from", "priority", "xhost"];
        assert_eq!(left(&sent, &[]), ["accept", "from", "priority", "x-forwarded-for", "x-own", "xhost"]);
        assert!(left(&["x_forwarded_for"], &[]).is_empty(), "no gateway writes it so");
    }

    #[test]
    fn further_names_go_too() {
        assert_eq!(left(&["x-own", "accept", "X_OWN", "x-owner"], &["x-own"]), ["accept", "x-owner"]);
        let own = [HeaderName::from_static("accept")];
        assert!(names_any(&map(&["accept"]), &own) && !names_any(&map(&["accept-language"]), &own));
        assert!(!names_any(&map(&["accept"]), &[]));
    }

    #[test]
    fn what_key_and_protocol_need_cannot_be_declared() {
        for name in NEEDED {
            assert!(!may_be_declared(&HeaderName::from_static(name)), "{name}");
        }
        assert!(!may_be_declared(&HeaderName::from_static("accept_encoding")));
        assert!(may_be_declared(&HeaderName::from_static("x-own")));
    }
}
