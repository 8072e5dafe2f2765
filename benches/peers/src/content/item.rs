use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Response,
    header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS},
};
use http_body_util::Full;

/// Bytes at the start of an item that tell which one it is.
pub const ITEM_START_BYTES: usize = 19;
/// The shortest item: its start, and what closes it.
pub const ITEM_BYTES_MIN: usize = ITEM_START_BYTES + MIDDLE.len() + END.len();

const MIDDLE: &[u8] = br#""text":""#;
const END: &[u8] = br#""}"#;

/// The start of item `number`.
#[must_use]
pub fn item_start(number: u64) -> String {
    format!(r#"{{"item":{number:010},"#)
}

/// Item `number` of `length` bytes, which is JSON but for leading zeros; `cache_control` says who may keep it. Date and
/// length are left to the server.
#[must_use]
pub fn item(number: u64, length: usize, cache_control: &'static str) -> Response<Full<Bytes>> {
    let length = length.max(ITEM_BYTES_MIN);
    let mut body = BytesMut::with_capacity(length);
    body.extend_from_slice(item_start(number).as_bytes());
    body.extend_from_slice(MIDDLE);
    body.resize(length - END.len(), b'x');
    body.extend_from_slice(END);
    let mut response = Response::new(Full::new(body.freeze()));
    *response.headers_mut() = head(number, cache_control);
    response
}

/// Makes the same item again and again, at no cost but that of a head.
pub fn constant(number: u64, length: usize) -> impl Fn() -> Response<Full<Bytes>> + Clone + Send + 'static {
    let (parts, body) = item(number, length, super::CACHEABLE).into_parts();
    move || {
        let mut response = Response::new(body.clone());
        *response.headers_mut() = parts.headers.clone();
        response
    }
}

/// Six headers; with date and length a plain answer of an API.
fn head(number: u64, cache_control: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(LAST_MODIFIED, HeaderValue::from_static("Wed, 01 Jan 2025 00:00:00 GMT"));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let etag = HeaderValue::from_str(&format!("\"{number:010}\"")).expect("digits and quotes are visible");
    headers.insert(ETAG, etag);
    headers
}
