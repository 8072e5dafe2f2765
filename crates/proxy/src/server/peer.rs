//! Whom a connection and a request come from, and over what.
//!
//! Whoever connects can say anything in `Forwarded` and `X-Forwarded-*`. It is believed of trusted proxies, and of the addresses that they hand on as far as
//! those are trusted too: read from the right, the first that is not is the client. Of anybody else it is taken off.

use std::net::IpAddr;

use edge_cache::{
    policy::split_unquoted,
    settings::{ForwardedHeader, TrustedProxies},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, header,
    request::Parts,
    uri::{Authority, Scheme},
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its address; `None` in the file system.
    pub(super) address: Option<IpAddr>,
    /// Whether its word about clients is taken.
    pub(super) is_proxy: bool,
    /// Whether the connection is over TLS.
    pub(super) secure: bool,
}

/// Whom a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client's address, where it is known.
    pub(super) client: Option<IpAddr>,
    /// Whether the client asked over TLS.
    pub(super) secure: bool,
}

/// Whose word is taken, and where it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    pub(super) proxies: TrustedProxies,
    pub(super) header: ForwardedHeader,
    /// Whether they begin connections with a PROXY header.
    pub(super) proxy_header: bool,
}

impl Peer {
    /// Whom a request on this connection is from.
    pub(super) fn origin(&self, headers: &HeaderMap, trust: &Trust) -> Origin {
        let Self { address: client, is_proxy, secure } = *self;
        if !is_proxy {
            return Origin { client, secure };
        }
        let (hops, scheme) = match trust.header {
            ForwardedHeader::XForwardedFor => (forwarded_for(headers), last(headers, &FORWARDED_PROTO)),
            ForwardedHeader::Forwarded => forwarded(headers),
        };
        let secure = scheme.map_or(secure, |scheme| scheme.eq_ignore_ascii_case(b"https"));
        Origin { client: client_among(&hops, client, &trust.proxies), secure }
    }
}

/// The first, from the right, that is no trusted proxy. What cannot be read ends the search: whoever wrote it names nobody.
fn client_among(hops: &[Option<IpAddr>], peer: Option<IpAddr>, proxies: &TrustedProxies) -> Option<IpAddr> {
    let mut client = peer;
    for hop in hops.iter().rev() {
        let Some(address) = hop else { break };
        client = Some(*address);
        if !proxies.contains(*address) {
            break;
        }
    }
    client
}

/// Takes off what says whom a request is from: only trusted proxies may.
pub(super) fn take_off(headers: &mut HeaderMap) {
    // In every spelling that an origin may take for it, as `policy::steering` has it.
    let tells = |name: &HeaderName| {
        let name = name.as_str().as_bytes();
        let is =
            |known: &[u8]| name.iter().zip(known).all(|(byte, known)| byte == known || (*byte, *known) == (b'_', b'-'));
        matches!(name, [b'x' | b'f', ..])
            && (name.len() > 12 && is(b"x-forwarded-") || name.len() == 9 && (is(b"forwarded") || is(b"x-real-ip")))
    };
    if !headers.keys().any(tells) {
        return;
    }
    let names: Vec<HeaderName> = headers.keys().filter(|name| tells(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Has the URI say the scheme that the client really used: what it claims counts for nothing, and it is part of the key.
pub(super) fn set_scheme(parts: &mut Parts, secure: bool) {
    let said = parts.uri.scheme_str();
    if said == Some(if secure { "https" } else { "http" }) || said.is_none() && !secure {
        return;
    }
    let authority = parts.uri.authority().cloned().or_else(|| {
        let host = parts.headers.get(header::HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    });
    let mut uri = parts.uri.clone().into_parts();
    // Without a host, as with `OPTIONS *`, there is no key, and nothing that a scheme would be part of.
    let Some(authority) = authority.filter(|_| uri.path_and_query.as_ref().is_some_and(|path| path != "*")) else {
        return;
    };
    uri.scheme = Some(if secure { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(authority);
    if let Ok(uri) = Uri::from_parts(uri) {
        parts.uri = uri;
    }
}

fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|line| line.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    members(headers, name).last()
}

fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    members(headers, &FORWARDED_FOR).map(node).collect()
}

/// What the members of `Forwarded` say of `for`, and the last of them of `proto` (RFC 7239 §4). One that cannot be read makes all before it worthless.
fn forwarded(headers: &HeaderMap) -> (Vec<Option<IpAddr>>, Option<&[u8]>) {
    let mut hops = Vec::new();
    let mut scheme = None;
    for line in headers.get_all(header::FORWARDED) {
        for element in split_unquoted(line.as_bytes(), b',') {
            let pair = |wanted: &[u8]| {
                split_unquoted(element, b';').find_map(|pair| {
                    let at = pair.iter().position(|b| *b == b'=')?;
                    let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
                    name.eq_ignore_ascii_case(wanted).then_some(value)
                })
            };
            hops.push(pair(b"for").and_then(node));
            scheme = pair(b"proto").map(unquoted);
        }
    }
    (hops, scheme)
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// An address, with or without a port, in quotes and brackets as each spelling wants them.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = HeaderValue::from_bytes(unquoted(text)).ok()?;
    let text = text.to_str().ok()?;
    let bracketed = text.strip_prefix('[').and_then(|text| text.split_once(']')).map(|(address, _)| address);
    let address: Option<IpAddr> = match bracketed {
        Some(address) => address.parse().ok(),
        None => text.parse().ok().or_else(|| text.rsplit_once(':').and_then(|(address, _)| address.parse().ok())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use edge_cache::settings::ListenSettings;
    use http::Request;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut all = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            all.append(name, value);
        }
        all
    }

    fn trust(header: ForwardedHeader) -> Trust {
        let trusted_proxies = vec!["10.0.0.0/8".to_owned(), "2001:db8:1::/48".to_owned()];
        Trust {
            proxies: ListenSettings { trusted_proxies, ..ListenSettings::default() }.proxies(),
            header,
            proxy_header: false,
        }
    }

    fn origin(is_proxy: bool, header: ForwardedHeader, lines: &[(&'static str, &'static str)]) -> (String, bool) {
        let peer = Peer { address: Some([10, 0, 0, 1].into()), is_proxy, secure: false };
        let Origin { client, secure } = peer.origin(&headers(lines), &trust(header));
        (client.unwrap().to_string(), secure)
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        for (header, lines, client, secure) in [
            (XForwardedFor, &[][..], "10.0.0.1", false),
            (XForwardedFor, &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1", false),
            (XForwardedFor, &[("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.2")], "192.0.2.1", false),
            (XForwardedFor, &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1:80")], "192.0.2.1", false),
            (XForwardedFor, &[("x-forwarded-for", "6.6.6.6, nonsense, 10.0.0.2")], "10.0.0.2", false),
            (XForwardedFor, &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3", false),
            (XForwardedFor, &[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1", false),
            (XForwardedFor, &[("x-forwarded-proto", "http, HTTPS")], "10.0.0.1", true),
            (XForwardedFor, &[("forwarded", "for=192.0.2.1;proto=https")], "10.0.0.1", false),
            (Forwarded, &[("forwarded", "for=192.0.2.1;proto=https")], "192.0.2.1", true),
            (
                Forwarded,
                &[("forwarded", "for=6.6.6.6, For=\"[2001:db8::1]:4711\" ; Proto=\"https\"")],
                "2001:db8::1",
                true,
            ),
            (Forwarded, &[("forwarded", "for=\"6.6.6.6,for=1.1.1.1\", for=192.0.2.1;by=10.0.0.2")], "192.0.2.1", false),
            (Forwarded, &[("forwarded", "for=6.6.6.6;proto=https, for=_hidden")], "10.0.0.1", false),
            (Forwarded, &[("x-forwarded-for", "192.0.2.1")], "10.0.0.1", false),
        ] {
            assert_eq!(origin(true, header, lines), (client.to_owned(), secure), "{lines:?}");
        }
        let lines = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
        assert_eq!(origin(false, XForwardedFor, &lines), ("10.0.0.1".to_owned(), false), "not from everybody");
    }

    #[test]
    fn what_others_say_is_taken_off() {
        let names = [
            "x-forwarded-for",
            "x_forwarded_for",
            "x-forwarded-anything",
            "forwarded",
            "x-real-ip",
            "x_real-ip",
            "x-requested-with",
            "accept",
        ];
        let mut all = headers(&names.map(|name| (name, "1")));
        take_off(&mut all);
        let mut left: Vec<_> = all.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-requested-with"]);
    }

    #[test]
    fn the_scheme_is_the_one_that_was_used() {
        let set = |uri: &'static str, secure| {
            let request = Request::get(uri).header(header::HOST, "h.example:1").body(()).unwrap();
            let (mut parts, ()) = request.into_parts();
            set_scheme(&mut parts, secure);
            parts.uri.to_string()
        };
        assert_eq!(set("/x?a", false), "/x?a");
        assert_eq!(set("/x?a", true), "https://h.example:1/x?a");
        assert_eq!(set("https://other/x", false), "http://other/x", "a claim");
        assert_eq!(set("https://other/x", true), "https://other/x");
        assert_eq!(set("*", true), "*");
    }
}
