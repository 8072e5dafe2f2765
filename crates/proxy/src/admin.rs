//! The operators' side: metrics, the performance page, health, how the origin is, requests one by one, purge.

mod doors;
mod explain;
mod health;
pub(crate) mod hot;
pub(crate) mod origin;
mod purge;
mod requests;
mod token;

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use edge_cache::{EdgeCache, Metrics};
use edge_cache_origin::database::Database;
use http::{HeaderMap, Uri, header};

use self::token::Access;
pub(crate) use self::{health::Readiness, token::VARIABLE as TOKEN_VARIABLE};
use crate::{
    listener::Listener,
    origin::HttpUpstream,
    performance::{Feed, assets},
    server::Tls,
};

/// The admin listener.
pub(crate) struct Admin {
    listener: Listener,
    tls: Option<Tls>,
    router: Router,
    /// Where it listens, as a URL names it.
    pub(crate) base: String,
    /// What `/health/ready` says of the process itself.
    pub(crate) readiness: Readiness,
}

#[derive(Clone)]
struct Shared {
    cache: EdgeCache,
    database: Option<Database>,
    upstream: Option<HttpUpstream>,
    readiness: Readiness,
    access: Access,
    feed: Feed,
}

impl Admin {
    /// Serves on `listener`, once it is [told to](Self::serve).
    pub(crate) fn new(
        (listener, tls): (Listener, Option<Tls>),
        cache: EdgeCache,
        database: Option<Database>,
        upstream: Option<HttpUpstream>,
        (readiness, feed): (Readiness, Feed),
    ) -> Self {
        let access = Access::from_environment(listener.is_local());
        let shared = Shared { cache, database, upstream, readiness: readiness.clone(), access, feed };
        let router = Router::new()
            .route("/", get(|| async { Redirect::to("/admin/performance") }))
            .route("/admin/performance", get(|| async { assets::page() }))
            .route(
                "/admin/performance/assets/{name}",
                get(|Path(name): Path<String>| async move { assets::asset(&name) }),
            )
            .route("/admin/performance/feed", get(follow))
            .route("/origin", get(origin::origin))
            .route("/requests", get(requests::list))
            .route("/requests/{id}", get(requests::detail))
            .route("/metrics", get(metrics))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/hot", get(hot::hot))
            .route("/purge", post(purge::purge))
            .route("/explain", get(explain::explain))
            .with_state(shared);
        let base = listener.to_string();
        Self { listener, tls, router, base, readiness }
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self) {
        doors::serve(self.listener, self.tls, self.router).await;
    }
}

async fn follow(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    match shared.access.check(&headers) {
        Ok(()) => shared.feed.answer(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], shared.cache.metrics().render())
}

/// Scheme, authority and the whole of an absolute URL.
fn absolute(url: &str) -> Result<(String, String, Uri), String> {
    let wrong = || format!("`{url}`: expected an absolute URL as clients name it, http://HOST[:PORT]/PATH");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(_), Some(authority)) if authority.as_str().contains('@') => {
            Err("expected an absolute URL without a user and a password".to_owned())
        }
        (Some(scheme), Some(authority)) => Ok((scheme.to_owned(), authority.to_string(), uri)),
        _ => Err(wrong()),
    }
}
