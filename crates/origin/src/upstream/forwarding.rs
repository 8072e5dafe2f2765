//! What a gateway adds to a request, takes off it, and answers itself (RFC 9110 §7.6, RFC 8586).

use std::net::IpAddr;

use bytes::Bytes;
use edge_cache_core::{TRACEPARENT, Trail};
use edge_cache_policy::{hop, range, split_unquoted};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{self, Entry},
    uri::Scheme,
};
use http_body::Body;

use super::{FromClient, UpstreamBody};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `CDN-Loop` (RFC 8586).
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Lines that most requests have more when they leave: those that are added here, and a `Host`.
const ADDED: usize = 6;

/// Whether a request has passed `name` before (RFC 8586 §2): it goes in circles.
#[must_use]
pub fn has_passed(headers: &HeaderMap, name: &str) -> bool {
    // Byte by byte: a client must not be able to make the line unreadable.
    !name.is_empty()
        && headers.get_all(CDN_LOOP).iter().flat_map(|line| split_unquoted(line.as_bytes(), b',')).any(|info| {
            let id = info.split(|b| *b == b';').next().unwrap_or_default();
            id.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
        })
}

/// What this gateway calls itself, as the fields say it that it adds to each request.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    /// In `CDN-Loop`.
    name: HeaderValue,
    /// In `Via`, of what came by HTTP/1.1, as most does.
    via: HeaderValue,
}

impl Gateway {
    /// A gateway of this name, which is a token.
    pub(super) fn named(name: &str) -> Self {
        let value = |text: String| HeaderValue::try_from(text).expect("a token makes a header value");
        Self { name: value(name.to_owned()), via: value(via(Version::HTTP_11, name)) }
    }

    fn via(&self, version: Version) -> HeaderValue {
        let name = self.name.to_str().unwrap_or_default();
        let other = || HeaderValue::try_from(via(version, name)).ok();
        (version != Version::HTTP_11).then(other).flatten().unwrap_or_else(|| self.via.clone())
    }
}

fn via(version: Version, name: &str) -> String {
    format!("{} {name}", protocol(version))
}

/// Takes hop-by-hop fields off and adds what tells the origin of this gateway and its client.
pub(super) fn forward<B>(req: &mut Request<B>, gateway: &Gateway) {
    let client = req.extensions().get::<FromClient>().and_then(|client| client.address);
    let version = req.version();
    let trace = req.extensions().get().and_then(Trail::context);
    let trace = trace.map(|context| (context.traceparent(), context.parent.is_some()));
    let scheme = if req.uri().scheme() == Some(&Scheme::HTTPS) { "https" } else { "http" };
    let headers = req.headers_mut();
    // The map grows once, and not again and again.
    headers.reserve(ADDED);
    if let Some((traceparent, goes_on)) = trace {
        headers.insert(TRACEPARENT, traceparent);
        if !goes_on {
            // It belongs to a trace that nobody could read (W3C Trace Context §3.3).
            headers.remove("tracestate");
        }
    }
    let trailers = takes_trailers(headers);
    hop::strip(headers);
    range::bound(headers);
    if trailers {
        // Of this connection: the trailers go on to the client that asked for them (RFC 9110 §10.1.4).
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    // That of the key: of a request whose answer may be kept, what the client said of it is gone by now.
    headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(scheme));
    append(headers, header::VIA, gateway.via(version));
    append(headers, CDN_LOOP, gateway.name.clone());
    if let Some(address) = client {
        append(headers, X_FORWARDED_FOR, plain(address));
    }
}

/// Makes the body of a request end where this gateway saw it end, whatever the client wrote about it (RFC 9112 §6).
pub(super) fn frame<B: Body>(req: &mut Request<B>) {
    let (ended, size) = (req.body().is_end_stream(), req.body().size_hint().exact());
    let bare = matches!(*req.method(), Method::GET | Method::HEAD);
    let headers = req.headers_mut();
    if ended {
        // An expectation without a body leaves both sides waiting, each for something else (RFC 9110 §10.1.1).
        headers.remove(header::EXPECT);
    }
    match size {
        Some(length) if headers.contains_key(header::CONTENT_LENGTH) => {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        Some(_) => {}
        None if bare => {
            // Else the client beneath takes it for granted that these have no body, and leaves it out.
            headers.remove(header::CONTENT_LENGTH);
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        None => drop(headers.remove(header::CONTENT_LENGTH)),
    }
}

/// An address, that of a client of IPv4 as such.
fn plain(address: IpAddr) -> HeaderValue {
    const WHOLE: &str = "digits, letters, points and colons make a header value";
    let IpAddr::V4(address) = address.to_canonical() else {
        return HeaderValue::try_from(address.to_string()).expect(WHOLE);
    };
    // Each request has one: what the standard library does for widths and the like would be a fiftieth of all that is done for it here.
    let mut text = Vec::with_capacity("255.255.255.255".len());
    for (at, byte) in address.octets().into_iter().enumerate() {
        if at > 0 {
            text.push(b'.');
        }
        text.extend_from_slice(itoa::Buffer::new().format(byte).as_bytes());
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect(WHOLE)
}

/// Whether a body is coded for its way, by one of the codings that are registered beside `chunked` (RFC 9112 §7.2). Other words code nothing.
pub(super) fn is_coded(headers: &HeaderMap) -> bool {
    const CODINGS: [&[u8]; 5] = [b"gzip", b"deflate", b"compress", b"x-gzip", b"x-compress"];
    let lines = headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut said = lines.flat_map(|line| line.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    said.any(|said| CODINGS.iter().any(|coding| said.eq_ignore_ascii_case(coding)))
}

fn takes_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The received protocol as `Via` says it.
const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2.0",
        Version::HTTP_3 => "3.0",
        _ => "1.1",
    }
}

/// Appends a member to a list field, in the last of its lines.
fn append(headers: &mut HeaderMap, name: HeaderName, member: HeaderValue) {
    let mut list = match headers.entry(&name) {
        // Whoever comes first has nothing to join.
        Entry::Vacant(free) => {
            free.insert(member);
            return;
        }
        Entry::Occupied(lines) => lines.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]),
    };
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name, list);
    }
}

/// Counts `Max-Forwards` down; the answer of the last recipient where it has run out (RFC 9110 §7.6.2).
pub(super) fn last_recipient<B>(req: &mut Request<B>) -> Option<Response<UpstreamBody>> {
    if !matches!(*req.method(), Method::TRACE | Method::OPTIONS) {
        return None;
    }
    let left = req.headers().get(header::MAX_FORWARDS)?.to_str().ok()?.parse::<u64>().ok()?;
    if let Some(left) = left.checked_sub(1) {
        req.headers_mut().insert(header::MAX_FORWARDS, HeaderValue::from(left));
        return None;
    }
    Some(if *req.method() == Method::TRACE { trace(req) } else { options() })
}

fn options() -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE");
    response.headers_mut().insert(header::ALLOW, allowed);
    response
}

/// The request as it came: of its fields those that can hold no secret (RFC 9110 §9.3.8).
fn trace<B>(req: &Request<B>) -> Response<UpstreamBody> {
    const SHOWN: [HeaderName; 8] = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::ACCEPT_LANGUAGE,
        CDN_LOOP,
        header::HOST,
        header::MAX_FORWARDS,
        header::USER_AGENT,
        header::VIA,
    ];
    let mut text = format!("TRACE {} {:?}\r\n", req.uri(), req.version()).into_bytes();
    for (name, value) in req.headers().iter().filter(|(name, _)| SHOWN.contains(name)) {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    let mut response = Response::new(UpstreamBody::bytes(text.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("message/http"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[(&'static str, &'static str)]) -> Request<()> {
        let mut req = Request::new(());
        for (name, value) in lines {
            req.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        req
    }

    #[test]
    fn what_went_before_is_kept_and_this_gateway_added() {
        let mut req = request(&[
            ("via", "1.0 a"),
            ("via", "1.1 b"),
            ("x-forwarded-for", "192.0.2.1"),
            ("connection", "x-hop, te"),
            ("x-hop", "1"),
            ("te", "trailers, deflate"),
        ]);
        req.extensions_mut().insert(FromClient::new("::ffff:192.0.2.2".parse().ok()));
        forward(&mut req, &Gateway::named("edge"));
        let header = |name: &str| req.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("via"), Some("1.0 a, 1.1 b, 1.1 edge"));
        assert_eq!(header("x-forwarded-for"), Some("192.0.2.1, 192.0.2.2"));
        assert_eq!(header("cdn-loop"), Some("edge"));
        assert_eq!(header("x-forwarded-proto"), Some("http"));
        assert_eq!((header("te"), header("connection"), header("x-hop")), (Some("trailers"), Some("te"), None));
    }

    #[test]
    fn an_address_is_told_as_it_is_written() {
        for (address, told) in [
            ("0.0.0.0", "0.0.0.0"),
            ("255.10.9.100", "255.10.9.100"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(plain(address.parse().unwrap()), told);
        }
    }

    #[test]
    fn the_scheme_is_that_of_the_request_unless_somebody_before_said_it() {
        let told = |uri: &'static str, lines: &[(&'static str, &'static str)]| {
            let mut req = request(lines);
            *req.uri_mut() = http::Uri::from_static(uri);
            forward(&mut req, &Gateway::named("edge"));
            req.headers()["x-forwarded-proto"].to_str().unwrap().to_owned()
        };
        assert_eq!(told("https://h/", &[]), "https");
        assert_eq!(told("ftp://h/", &[]), "http");
        assert_eq!(told("/", &[("x-forwarded-proto", "https")]), "https", "where the answer is nobody else's");
    }

    #[test]
    fn a_body_ends_where_it_was_seen_to_end() {
        let framed = |method: Method, lines: &[(&'static str, &'static str)], body: &'static str, known: bool| {
            let mut req = request(lines).map(|()| {
                let whole = http_body_util::Full::<bytes::Bytes>::from(body);
                if known { http_body_util::Either::Left(whole) } else { http_body_util::Either::Right(Unmeasured) }
            });
            *req.method_mut() = method;
            frame(&mut req);
            let mut lines: Vec<_> =
                req.headers().iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
            lines.sort_unstable();
            lines
        };
        let (length, expect) = (("content-length", "05"), ("expect", "100-continue"));
        assert_eq!(
            framed(Method::POST, &[length, expect], "12345", true),
            ["content-length: 5", "expect: 100-continue"]
        );
        assert_eq!(framed(Method::GET, &[expect], "", true), [""; 0]);
        assert_eq!(framed(Method::GET, &[], "", false), ["transfer-encoding: chunked"], "its body is not left out");
        assert_eq!(framed(Method::POST, &[length], "", false), [""; 0], "the client beneath chunks it");
    }

    /// A body of unknown length.
    struct Unmeasured;

    impl Body for Unmeasured {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }

    #[test]
    fn a_request_that_passed_is_known_again() {
        let passed = |line| has_passed(request(&[("cdn-loop", line)]).headers(), "edge");
        assert!(passed("edge") && passed("a, Edge; x=1") && passed("edge;v=\"1\""));
        assert!(!passed("edges") && !passed("a;edge") && !has_passed(&HeaderMap::new(), "edge"));
        assert!(!passed("a;b=\"x, edge, y\""), "in quotes it is no name");
        let mut odd = HeaderMap::new();
        odd.insert(CDN_LOOP, HeaderValue::from_bytes(b"\xff, edge").unwrap());
        assert!(has_passed(&odd, "edge"), "whatever stands beside it");
        assert!(!has_passed(request(&[("cdn-loop", "a,")]).headers(), ""), "who has no name never forwards");
    }

    #[test]
    fn max_forwards_counts_for_two_methods_only() {
        let mut req = request(&[("max-forwards", "0")]);
        assert!(last_recipient(&mut req).is_none(), "a GET goes on");
        *req.method_mut() = Method::OPTIONS;
        assert_eq!(last_recipient(&mut req).unwrap().status(), StatusCode::NO_CONTENT);
        req.headers_mut().insert(header::MAX_FORWARDS, HeaderValue::from(2));
        assert!(last_recipient(&mut req).is_none());
        assert_eq!(req.headers()["max-forwards"], "1");
        req.headers_mut().insert(header::MAX_FORWARDS, HeaderValue::from_static("x"));
        assert!(last_recipient(&mut req).is_none(), "no number is no limit");
    }
}
