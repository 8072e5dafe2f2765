//! What stands before everything that reveals or changes something.

use axum::{
    Json,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::json;

use super::{
    FEED, Shared,
    audit::Caller,
    doors::Operator,
    token::{Refused, VerifiedClient},
};

/// Lets in who may, with a [`Caller`] among the request's extensions.
pub(super) async fn guard(State(shared): State<Shared>, mut req: Request, next: Next) -> Response {
    let address = req.extensions().get().and_then(|Operator(address)| *address);
    let door = shared.access.check(req.headers(), req.extensions());
    let is_change = !matches!(*req.method(), Method::GET | Method::HEAD);
    let door = door.and_then(|door| match is_change && of_another_site(req.headers()) {
        true => Err(Refused::ForeignSite),
        false => Ok(door),
    });
    match door {
        Ok(door) => {
            let name = req.extensions().get().map(|VerifiedClient { name }| name.clone());
            req.extensions_mut().insert(Caller { address, door, name });
            next.run(req).await
        }
        Err(why) => {
            let path = req.uri().path();
            shared.auditor.refused(address, req.method(), path, why);
            // The page shows it as it is.
            let mut response = match path == FEED {
                true => (why.status(), format!("{}\n", why.text())).into_response(),
                false => (why.status(), Json(json!({ "error": why.text() }))).into_response(),
            };
            if why.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

/// What every answer says to browsers and to caches between.
pub(super) async fn seal(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a browser says that a page of another site sends this.
fn of_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let same = origin.as_ref().and_then(Uri::authority).zip(host).is_some_and(|(origin, host)| origin == host);
    !same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_of_another_site_sends_is_told_by_its_browser() {
        let foreign = |lines: &[(&'static str, &'static str)]| {
            let named = lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            of_another_site(&named.chain([(header::HOST, HeaderValue::from_static("node:9901"))]).collect())
        };
        assert!(!foreign(&[]), "no browser");
        assert!(!foreign(&[("sec-fetch-site", "same-origin"), ("origin", "http://node:9901")]));
        assert!(!foreign(&[("sec-fetch-site", "none")]));
        assert!(!foreign(&[("origin", "http://NODE:9901")]));
        for site in ["cross-site", "same-site", "", "Same-Origin"] {
            assert!(foreign(&[("sec-fetch-site", site)]), "{site}");
        }
        for origin in ["http://evil.example", "http://node:9902", "http://node", "null", "", "node:9901\u{7f}"] {
            let bytes = HeaderValue::from_bytes(origin.as_bytes());
            let Ok(value) = bytes else { continue };
            let headers = [(header::HOST, HeaderValue::from_static("node:9901")), (header::ORIGIN, value)];
            assert!(of_another_site(&headers.into_iter().collect()), "{origin}");
        }
    }
}
