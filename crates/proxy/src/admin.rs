//! The operators' side: metrics, the performance page, health, how the origin is, requests one by one, purge.

mod audit;
mod doors;
mod explain;
mod guard;
mod health;
pub(crate) mod hot;
pub(crate) mod origin;
mod purge;
mod requests;
mod token;

use axum::{
    Router,
    extract::{Path, State},
    middleware::{from_fn_with_state, map_response},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use edge_cache::{EdgeCache, Metrics};
use edge_cache_origin::database::Database;
use http::header;

use self::{audit::Auditor, token::Access};
pub(crate) use self::{
    health::Readiness,
    token::{
        VARIABLE as TOKEN_VARIABLE, is_set as token_is_set, is_short as token_is_short, usable as token_is_usable,
    },
};
use crate::{
    listener::Listener,
    origin::HttpUpstream,
    performance::{Feed, assets},
    server::Tls,
};

/// Where the page's figures come from.
const FEED: &str = "/admin/performance/feed";

/// The admin listener.
pub(crate) struct Admin {
    listener: Listener,
    tls: Option<Tls>,
    router: Router,
    auditor: Auditor,
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
    auditor: Auditor,
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
        let auditor = Auditor::default();
        let readiness_of = readiness.clone();
        let shared =
            Shared { cache, database, upstream, readiness: readiness_of, access, auditor: auditor.clone(), feed };
        let guarded = Router::new()
            .route(FEED, get(follow))
            .route("/origin", get(origin::origin))
            .route("/requests", get(requests::list))
            .route("/requests/{id}", get(requests::detail))
            .route("/metrics", get(metrics))
            .route("/hot", get(hot::hot))
            .route("/purge", post(purge::purge))
            .route("/explain", get(explain::explain))
            .route_layer(from_fn_with_state(shared.clone(), guard::guard));
        // What says nothing of this node but whether it is well. The page has no figures of its own.
        let open = Router::new()
            .route("/", get(|| async { Redirect::to("/admin/performance") }))
            .route("/admin/performance", get(|| async { assets::page() }))
            .route(
                "/admin/performance/assets/{name}",
                get(|Path(name): Path<String>| async move { assets::asset(&name) }),
            )
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready));
        let router = open.merge(guarded).layer(map_response(guard::seal)).with_state(shared);
        let base = listener.to_string();
        Self { listener, tls, router, auditor, base, readiness }
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self) {
        tokio::select! {
            () = doors::serve(self.listener, self.tls, self.router) => {}
            () = self.auditor.count() => {}
        }
    }
}

async fn follow(State(shared): State<Shared>) -> Response {
    shared.feed.answer()
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], shared.cache.metrics().render())
}
