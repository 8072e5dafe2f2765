//! What a gateway adds to a request, takes off it, and answers itself (RFC 9110 §7.6, RFC 8586).

use std::net::IpAddr;

use edge_cache_core::{TRACEPARENT, TraceContext};
use edge_cache_policy::{hop, split_unquoted};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};

use super::{FromClient, UpstreamBody};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `CDN-Loop` (RFC 8586).
pub const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

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

/// Takes hop-by-hop fields off and adds what tells the origin of this gateway and its client.
pub(super) fn forward<B>(req: &mut Request<B>, name: &str) {
    let client = req.extensions().get::<FromClient>().and_then(|client| client.address);
    let version = req.version();
    let trace = req.extensions().get::<TraceContext>();
    let trace = trace.map(|context| (context.traceparent(), context.parent.is_some()));
    let headers = req.headers_mut();
    if let Some((traceparent, goes_on)) = trace {
        headers.insert(TRACEPARENT, traceparent);
        if !goes_on {
            // It belongs to a trace that nobody could read (W3C Trace Context §3.3).
            headers.remove("tracestate");
        }
    }
    let trailers = takes_trailers(headers);
    hop::strip(headers);
    if trailers {
        // Of this connection: the trailers go on to the client that asked for them (RFC 9110 §10.1.4).
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
    }
    append(headers, &header::VIA, &format!("{} {name}", protocol(version)));
    append(headers, &CDN_LOOP, name);
    if let Some(address) = client {
        append(headers, &X_FORWARDED_FOR, &plain(address));
    }
}

fn plain(address: IpAddr) -> String {
    address.to_canonical().to_string()
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
fn append(headers: &mut HeaderMap, name: &HeaderName, member: &str) {
    let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let mut list = lines.join(&b", "[..]);
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(member.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name.clone(), list);
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
        forward(&mut req, "edge");
        let header = |name: &str| req.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("via"), Some("1.0 a, 1.1 b, 1.1 edge"));
        assert_eq!(header("x-forwarded-for"), Some("192.0.2.1, 192.0.2.2"));
        assert_eq!(header("cdn-loop"), Some("edge"));
        assert_eq!((header("te"), header("connection"), header("x-hop")), (Some("trailers"), Some("te"), None));
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
