//! The operators' side: metrics, health, purge.

mod health;
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
use http::header;
use tokio::net::TcpListener;

pub(crate) use self::health::Readiness;
use self::token::Access;
use crate::listener;

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
    readiness: Readiness,
    access: Access,
}

impl Admin {
    /// Binds `at`.
    pub(crate) async fn bind(at: &str, cache: EdgeCache, database: Option<Database>) -> anyhow::Result<Self> {
        let (listener, address) = listener::bind("listen.admin", at).await?;
        let readiness = Readiness::default();
        let access = Access::from_environment(address.ip());
        let shared = Shared { cache, database, readiness: readiness.clone(), access };
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/purge", post(purge::purge))
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
