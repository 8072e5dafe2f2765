//! The page's files, part of the binary.

use http::{HeaderValue, Response, StatusCode, header};

/// Nothing from elsewhere, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal from $path:literal),* $(,)?) => {
        const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("../../assets/performance/", $path)))),*];
    };
}

files! {
    "charts.js" from "charts.js",
    "feed.js" from "feed.js",
    "format.js" from "format.js",
    "history.js" from "history.js",
    "page.css" from "page.css",
    "page.js" from "page.js",
    "table.js" from "table.js",
    "theme.js" from "theme.js",
    "verdict.js" from "verdict.js",
    "uPlot.iife.min.js" from "vendor/uPlot.iife.min.js",
    "uPlot.min.css" from "vendor/uPlot.min.css",
    "LICENSE" from "vendor/LICENSE",
}

const PAGE: &[u8] = include_bytes!("../../assets/performance/index.html");

/// The page.
pub(crate) fn page() -> Response<axum::body::Body> {
    file("text/html; charset=utf-8", PAGE)
}

/// One of its files.
pub(crate) fn asset(name: &str) -> Response<axum::body::Body> {
    let Some((_, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        let mut none = file("text/plain; charset=utf-8", b"no such file\n");
        *none.status_mut() = StatusCode::NOT_FOUND;
        return none;
    };
    let kind = match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    };
    file(kind, bytes)
}

fn file(kind: &'static str, bytes: &'static [u8]) -> Response<axum::body::Body> {
    let mut response = Response::new(axum::body::Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // They belong to the binary that runs.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
