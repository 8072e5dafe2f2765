use std::fmt::Write;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use edge_cache_core::headers::{CACHE_TAG, CDN_CACHE_CONTROL};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::endpoints::Endpoint;
use crate::tags::Tags;

/// Seconds for which an answer may stand in for one that the origin fails to give.
const STALE_IF_ERROR: u64 = 86_400;

/// The shape of every good answer.
#[derive(Serialize)]
struct Envelope<D, M> {
    success: bool,
    data: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<M>,
}

/// Which part of a list an answer shows, and the most that it could.
#[derive(Debug, Serialize)]
pub(crate) struct Meta {
    pub(crate) pagination: Pagination,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Pagination {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<i64>,
    pub(crate) limit: i64,
    pub(crate) limit_max: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) has_more: Option<bool>,
}

/// An answer to all, with its lifetimes and tags; or 304 where the caller has it already.
pub(crate) fn shared(
    endpoint: &Endpoint,
    request: &HeaderMap,
    tags: &Tags,
    data: impl Serialize,
    meta: Option<Meta>,
) -> Response {
    let ttl = endpoint.ttl.as_secs();
    let stale = endpoint.stale_while_revalidate.as_secs();
    let mut response = answer(request, data, meta);
    let headers = response.headers_mut();
    let browsers = match endpoint.in_browsers {
        true => format!("public, max-age={ttl}"),
        false => "public, max-age=0, must-revalidate".to_owned(),
    };
    let caches = format!("max-age={ttl}, stale-while-revalidate={stale}, stale-if-error={STALE_IF_ERROR}");
    headers.insert(CACHE_CONTROL, HeaderValue::try_from(browsers).expect("ASCII words and digits"));
    headers.insert(CDN_CACHE_CONTROL, HeaderValue::try_from(caches).expect("ASCII words and digits"));
    if let Some(tags) = tags.header() {
        headers.insert(CACHE_TAG, tags);
    }
    response
}

/// An answer for the caller alone; or 304 where he has it already.
pub(crate) fn private(request: &HeaderMap, data: impl Serialize, meta: Option<Meta>) -> Response {
    let mut response = answer(request, data, meta);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// The answer to a write.
pub(crate) fn written(status: StatusCode, data: impl Serialize) -> Response {
    let mut response = Response::new(Body::from(encode(data, None)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// The answer to a write that leaves nothing to show.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

fn encode(data: impl Serialize, meta: Option<Meta>) -> Bytes {
    let envelope = Envelope { success: true, data, meta };
    Bytes::from(serde_json::to_vec(&envelope).expect("answers are made of texts, numbers and lists"))
}

fn answer(request: &HeaderMap, data: impl Serialize, meta: Option<Meta>) -> Response {
    let body = encode(data, meta);
    let mut etag = String::with_capacity(34);
    write!(etag, "\"{:032x}\"", xxh3_128(&body)).expect("writing to a string cannot fail");
    let known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = known.flat_map(|list| list.split(',')).map(str::trim);
    // If-None-Match compares weakly (RFC 9110 §13.1.2).
    let is_known = known.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == etag || tag == "*");
    let mut response = match is_known {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(body)),
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::try_from(etag).expect("quoted hex digits"));
    match is_known {
        true => *response.status_mut() = StatusCode::NOT_MODIFIED,
        false => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    response
}
