//! What no request may look like: whoever reads it differently takes it for another host's, or for two (RFC 9112 §3.2, §6.1, §11.2).
//!
//! The parser refuses most of that by itself, and what it takes in is framed anew for the origin; this is what it lets through.

use http::{HeaderValue, Method, StatusCode, Version, header, request::Parts, uri::Scheme};

/// Why a request is refused.
pub(super) type Reason = (StatusCode, &'static str);

/// Refuses a request whose target, `Host` or body can be read in two ways. `no_body` tells whether it has none.
pub(super) fn refusal(parts: &Parts, named: Option<&HeaderValue>, no_body: bool) -> Option<Reason> {
    if parts.method == Method::CONNECT {
        // For proxies that clients choose; this one stands for its origin (RFC 9110 §9.3.6).
        return Some((StatusCode::NOT_IMPLEMENTED, "no tunnels: CONNECT is not for gateways\n"));
    }
    target(parts).or_else(|| host(parts, named?)).or_else(|| if no_body { None } else { body(parts) })
}

fn target(parts: &Parts) -> Option<Reason> {
    let uri = &parts.uri;
    let authority = uri.authority()?;
    if !is_host(authority.as_str().as_bytes()) {
        // Credentials in a URL among them (RFC 9110 §4.2.4).
        return Some((StatusCode::BAD_REQUEST, "the target names no valid host\n"));
    }
    let known = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    (!known).then_some((StatusCode::BAD_REQUEST, "the target is not of http or https\n"))
}

fn host(parts: &Parts, host: &HeaderValue) -> Option<Reason> {
    if !is_host(host.as_bytes()) {
        return Some((StatusCode::BAD_REQUEST, "Host names no valid host\n"));
    }
    // RFC 9113 §8.3.1; over HTTP/1 the target is what counts.
    let other = parts.version == Version::HTTP_2
        && parts.uri.authority().is_some_and(|named| !named.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()));
    other.then_some((StatusCode::BAD_REQUEST, "Host and :authority differ\n"))
}

fn body(parts: &Parts) -> Option<Reason> {
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !codings.next().is_none_or(plain) || codings.next().is_some() {
        // What only the last server undoes goes past whoever looks at the body here.
        return Some((StatusCode::NOT_IMPLEMENTED, "the only transfer coding is chunked, once\n"));
    }
    let unknown = |expected: &HeaderValue| !expected.as_bytes().eq_ignore_ascii_case(b"100-continue");
    let unknown = parts.headers.get_all(header::EXPECT).iter().any(unknown);
    unknown.then_some((StatusCode::EXPECTATION_FAILED, "only 100-continue can be expected\n"))
}

/// The bytes of a name: `unreserved` (RFC 3986 §2.3).
const NAMES: [bool; 256] = {
    let mut names = [false; 256];
    let mut at = 0;
    while at < names.len() {
        let byte = at as u8;
        names[at] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        at += 1;
    }
    names
};

/// A name or an address, and a port or none: no user, no list, no path, nothing encoded.
fn is_host(text: &[u8]) -> bool {
    let (name, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let (address, after) = (&rest[..end], &rest[end + 1..]);
            if address.is_empty() || !address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
            {
                return false;
            }
            (&b"x"[..], after)
        }
        _ => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    let named = |byte: &u8| NAMES[usize::from(*byte)];
    let port = port.is_empty() || port[0] == b':' && port.len() <= 6 && port[1..].iter().all(u8::is_ascii_digit);
    !name.is_empty() && name.iter().all(named) && port
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn status(version: Version, uri: &str, lines: &[(&str, &str)]) -> u16 {
        let mut req = Request::builder().version(version).uri(uri);
        for (name, value) in lines {
            req = req.header(*name, *value);
        }
        let parts = req.body(()).unwrap().into_parts().0;
        refusal(&parts, parts.headers.get("host"), false).map_or(200, |(status, _)| status.as_u16())
    }

    #[test]
    fn a_host_is_one_name_and_a_port() {
        for host in ["h", "a-b.c_d~e.example.", "H:8080", "127.0.0.1:1", "[::1]", "[::ffff:1.2.3.4]:65535", "h:"] {
            assert!(is_host(host.as_bytes()), "{host}");
            assert_eq!(status(Version::HTTP_11, "/", &[("host", host)]), 200, "{host}");
        }
        let others = [
            "",
            ":80",
            "a b",
            "a,b",
            "a, b",
            "u@h",
            "u:p@h",
            "h/x",
            "h?x",
            "h#x",
            "h:80:90",
            "h:8o",
            "h:123456",
            "h\\x",
            "%68",
            "[::1",
            "[]",
            "[::1]x",
            "[g]",
            "a;b",
            "h\t",
            "\"h\"",
            "caf\u{e9}",
        ];
        for host in others {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn targets_name_one_host_of_the_web() {
        assert_eq!(status(Version::HTTP_11, "http://other/x", &[("host", "h")]), 200, "the target counts");
        assert_eq!(status(Version::HTTP_2, "http://other/x", &[("host", "h")]), 400);
        assert_eq!(status(Version::HTTP_2, "http://H:1/x", &[("host", "h:1")]), 200);
        assert_eq!(status(Version::HTTP_11, "http://u:p@h/x", &[("host", "h")]), 400);
        assert_eq!(status(Version::HTTP_11, "ftp://h/x", &[("host", "h")]), 400);
        assert_eq!(status(Version::HTTP_11, "other:80", &[("host", "h")]), 400);
    }

    #[test]
    fn bodies_are_chunked_once_and_expect_what_is_known() {
        let sent = |lines: &[(&str, &str)]| status(Version::HTTP_11, "/", lines);
        assert_eq!(sent(&[("transfer-encoding", "Chunked"), ("expect", "100-Continue")]), 200);
        assert_eq!(sent(&[("transfer-encoding", "gzip, chunked")]), 501);
        assert_eq!(sent(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]), 501);
        assert_eq!(sent(&[("expect", "y 100-continue")]), 417);
        assert_eq!(sent(&[("expect", "100-continue"), ("expect", "y")]), 417);
    }
}
