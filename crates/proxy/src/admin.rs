//! The operators' side: metrics, health, how the origin is, purge.

mod explain;
mod health;
mod hot;
mod page;
mod purge;
mod token;

use std::net::SocketAddr;

use axum::{
    Router,
    extract::State,
    response::IntoResponse,
    routing::{get, post},
};
use edge_cache::{EdgeCache, Metrics};
use edge_cache_origin::database::Database;
use http::{Uri, header};
use tokio::net::TcpListener;

use self::token::Access;
pub(crate) use self::{health::Readiness, token::VARIABLE as TOKEN_VARIABLE};
use crate::{listener, origin::HttpUpstream};

/// The admin listener.
pub(crate) struct Admin {
    listener: TcpListener,
    router: Router,
    /// Where it listens.
    pub(crate) address: SocketAddr,
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
}

impl Admin {
    /// Binds `at`.
    pub(crate) async fn bind(
        at: &str,
        cache: EdgeCache,
        database: Option<Database>,
        upstream: Option<HttpUpstream>,
    ) -> anyhow::Result<Self> {
        let (listener, address) = listener::bind("listen.admin", at).await?;
        let readiness = Readiness::default();
        let access = Access::from_environment(address.ip());
        let shared = Shared { cache, database, upstream, readiness: readiness.clone(), access };
        let router = Router::new()
            .route("/", get(page::page))
            .route("/origin", get(page::origin))
            .route("/metrics", get(metrics))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/hot", get(hot::hot))
            .route("/purge", post(purge::purge))
            .route("/explain", get(explain::explain))
            .with_state(shared);
        Ok(Self { listener, router, address, readiness })
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self) {
        if let Err(error) = axum::serve(self.listener, self.router).await {
            tracing::error!(%error, "the admin listener ended");
        }
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
        (Some(scheme), Some(authority)) => Ok((scheme.to_owned(), authority.to_string(), uri)),
        _ => Err(wrong()),
    }
}
