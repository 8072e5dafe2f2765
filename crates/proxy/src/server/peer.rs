//! Whom a connection and a request come from, and over what.
//!
//! Whoever connects can say anything in `Forwarded` and `X-Forwarded-*`. It is believed of trusted proxies, and of the addresses that they hand on as far as
//! those are trusted too: read from the right, the first that is not is the client. Of anybody else it is taken off.

use std::net::IpAddr;

use edge_cache::{
    policy::{split_unquoted, steering::hyphened},
    settings::{ForwardedHeader, TrustedProxies},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, header,
    request::Parts,
    uri::{Authority, Scheme},
};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its address, where it has one that is known.
    pub(super) address: Option<IpAddr>,
    /// Whether it came through a socket in the file system, and speaks for itself.
    pub(super) in_files: bool,
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
    /// Whether its word about clients is taken.
    pub(super) fn is_proxy(&self, trust: &Trust) -> bool {
        match self.address {
            Some(address) => trust.proxies.contains(address),
            None => self.in_files && trust.proxies.contains_unix(),
        }
    }

    /// Whom a proxy asks for.
    pub(super) fn speaks_for(&self, headers: &HeaderMap, trust: &Trust) -> Origin {
        let (client, scheme) = match trust.header {
            ForwardedHeader::XForwardedFor => {
                (client_among(forwarded_for(headers), self.address, &trust.proxies), last(headers, FORWARDED_PROTO))
            }
            ForwardedHeader::Forwarded => {
                let (hops, scheme) = forwarded(headers);
                (client_among(hops.into_iter().rev(), self.address, &trust.proxies), scheme)
            }
        };
        Origin { client, secure: scheme.map_or(self.secure, |scheme| scheme.eq_ignore_ascii_case(b"https")) }
    }
}

/// The first, from the right, that is no trusted proxy. Where one cannot be read nobody is known: whoever wrote it may be anybody.
fn client_among(
    hops: impl Iterator<Item = Option<IpAddr>>,
    peer: Option<IpAddr>,
    proxies: &TrustedProxies,
) -> Option<IpAddr> {
    let mut client = peer;
    for hop in hops {
        client = Some(hop?);
        if client.is_none_or(|address| !proxies.contains(address)) {
            break;
        }
    }
    client
}

/// Takes off what says whom a request is from: only trusted proxies may. Of a proxy's that is what an origin may take for it, in a spelling in which no proxy writes it.
pub(super) fn take_off(headers: &mut HeaderMap, is_proxy: bool) {
    let goes = |name: &HeaderName| tells_of_client(name) && !(is_proxy && is_plain(name));
    let names: Vec<HeaderName> = headers.keys().filter(|name| goes(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Has `X-Forwarded-For` name this client and nobody else.
pub(super) fn say_client(headers: &mut HeaderMap, client: Option<IpAddr>) {
    match client.and_then(|client| HeaderValue::try_from(client.to_canonical().to_string()).ok()) {
        Some(client) => drop(headers.insert(FORWARDED_FOR, client)),
        None => drop(headers.remove(FORWARDED_FOR)),
    }
}

/// Whether a line says whom a request is from, in every spelling that an origin may take for it.
pub(super) fn tells_of_client(name: &HeaderName) -> bool {
    // Most names are not worth a closer look.
    matches!(name.as_str().as_bytes(), [b'x' | b'f', ..])
        && match &*hyphened(name) {
            "forwarded" | "x-real-ip" | "x-forwarded" => true,
            name => name.strip_prefix("x-forwarded-").is_some_and(|what| !what.is_empty()),
        }
}

fn is_plain(name: &HeaderName) -> bool {
    hyphened(name) == name.as_str()
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

/// The members of a list, the last first: what a client put before them costs nothing.
fn members<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    members(headers, name).next()
}

fn forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    members(headers, FORWARDED_FOR).map(node)
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
    let text = std::str::from_utf8(unquoted(text)).ok()?;
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
    use http::{HeaderValue, Request};

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

    fn origin(header: ForwardedHeader, lines: &[(&'static str, &'static str)]) -> (String, bool) {
        let peer = Peer { address: Some([10, 0, 0, 1].into()), in_files: false, secure: false };
        let Origin { client, secure } = peer.speaks_for(&headers(lines), &trust(header));
        (client.map_or_else(|| "nobody".to_owned(), |client| client.to_string()), secure)
    }

    #[test]
    fn a_proxy_is_known_by_address_or_by_its_door() {
        let mut trust = trust(ForwardedHeader::default());
        let peer = |address: Option<&str>, in_files| Peer {
            address: address.map(|address| address.parse().unwrap()),
            in_files,
            secure: false,
        };
        assert!(peer(Some("10.0.0.1"), false).is_proxy(&trust) && !peer(Some("11.0.0.1"), false).is_proxy(&trust));
        assert!(!peer(None, true).is_proxy(&trust));
        trust.proxies =
            ListenSettings { trusted_proxies: vec!["unix".to_owned()], ..ListenSettings::default() }.proxies();
        assert!(peer(None, true).is_proxy(&trust) && !peer(None, false).is_proxy(&trust), "of whom nothing is known");
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        for (header, lines, client, secure) in [
            (XForwardedFor, &[][..], "10.0.0.1", false),
            (XForwardedFor, &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1", false),
            (XForwardedFor, &[("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.2")], "192.0.2.1", false),
            (XForwardedFor, &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1:80")], "192.0.2.1", false),
            (XForwardedFor, &[("x-forwarded-for", "6.6.6.6, nonsense, 10.0.0.2")], "nobody", false),
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
            (Forwarded, &[("forwarded", "for=6.6.6.6;proto=https, for=_hidden")], "nobody", false),
            (Forwarded, &[("forwarded", "for=\"x, for=192.0.2.1")], "nobody", false),
            (Forwarded, &[("x-forwarded-for", "192.0.2.1")], "10.0.0.1", false),
        ] {
            assert_eq!(origin(header, lines), (client.to_owned(), secure), "{lines:?}");
        }
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
            "x.forwarded.proto",
            "x-forwarded",
            "x-requested-with",
            "accept",
        ];
        let mut all = headers(&names.map(|name| (name, "1")));
        let left = |all: &HeaderMap| {
            let mut left: Vec<_> = all.keys().map(|name| name.as_str().to_owned()).collect();
            left.sort_unstable();
            left
        };
        take_off(&mut all, true);
        let by_a_proxy = ["accept", "forwarded", "x-forwarded", "x-forwarded-anything", "x-forwarded-for", "x-real-ip"];
        assert_eq!(left(&all), [&by_a_proxy[..], &["x-requested-with"]].concat());
        take_off(&mut all, false);
        assert_eq!(left(&all), ["accept", "x-requested-with"]);
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
