use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::app::App;
use crate::error::ApiError;
use crate::session;

/// Answers preflights and says who may read the answers.
///
/// With one allowed origin every answer names it, whoever asks, so caches keep one copy. Only with several does the answer differ by
/// `Origin`, and then it says so.
pub(crate) async fn apply(State(app): State<App>, request: Request, next: Next) -> Response {
    let allowed = &app.options.cors_origins;
    let origin = request.headers().get(ORIGIN).cloned();
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight && !allowed.is_empty() {
        preflight()
    } else if is_forged(&app, request.method(), request.headers()) {
        ApiError::forbidden("this origin may not write with a cookie").into_response()
    } else {
        next.run(request).await
    };
    let named = match allowed.as_slice() {
        [] => None,
        [only] => HeaderValue::from_str(only).ok(),
        several => {
            response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
            origin.filter(|origin| several.iter().any(|known| known.as_bytes() == origin.as_bytes()))
        }
    };
    if let Some(named) = named {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, named);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE"));
    headers
        .insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type, if-none-match"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

/// A write with the session's cookie from a page of somebody else: browsers send the cookie along, so the origin has to be looked at.
fn is_forged(app: &App, method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() || !session::is_from_cookie(headers) {
        return false;
    }
    let Some(origin) = headers.get(ORIGIN).map(HeaderValue::as_bytes) else { return false };
    let is_allowed = app.options.cors_origins.iter().any(|known| known.as_bytes() == origin);
    let authority = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    !is_allowed && (authority.is_none() || authority != host)
}
