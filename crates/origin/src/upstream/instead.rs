//! Answers in place of the origin's.

use edge_cache_core::Disconnected;
use http::{HeaderValue, Response, StatusCode, header};

use super::{UpstreamBody, member::Refused};

/// An answer in place of the origin's: a tier may have something stale instead.
pub(super) fn disconnected(status: StatusCode, text: &'static str) -> Response<UpstreamBody> {
    let mut response = instead(status, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response.extensions_mut().insert(Disconnected);
    response
}

/// No origin is asked.
pub(super) fn not_asked(refused: Refused) -> Response<UpstreamBody> {
    let text = match refused {
        Refused::Open => "the origin failed a moment ago and is left alone\n",
        Refused::Full => "too many requests to the origin (origin.connections_max, queue_max, queue_timeout)\n",
    };
    disconnected(StatusCode::SERVICE_UNAVAILABLE, text)
}

pub(super) fn instead(status: StatusCode, text: &'static str) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::bytes(text.as_bytes().into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
