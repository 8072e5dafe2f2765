use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Json, extract::State};
use edge_cache_origin::database::Value;
use http::StatusCode;
use serde_json::json;

use super::Shared;

/// Whether the process wants requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    draining: Arc<AtomicBool>,
}

impl Readiness {
    /// From now on it does not.
    pub(crate) fn draining(&self) {
        self.draining.store(true, Ordering::Release);
    }
}

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// `GET /health/ready`: each part, and whether to send requests here. A tier or database that is down makes it degraded, not
/// unready: the cache goes on answering what it holds.
pub(super) async fn ready(State(shared): State<Shared>) -> (StatusCode, Json<serde_json::Value>) {
    let word = |ok| if ok { "ok" } else { "down" };
    let mut degraded = false;
    let mut part = |present: bool, ok: bool| {
        degraded |= present && !ok;
        if present { word(ok) } else { "off" }
    };
    let memory = part(shared.cache.memory().is_some(), true);
    let redis = match shared.cache.redis() {
        Some(redis) => part(true, redis.ping().await.is_ok()),
        None => part(false, false),
    };
    let database = match &shared.database {
        Some(database) => part(true, database.query("SELECT 1", &[] as &[Value]).await.is_ok()),
        None => part(false, false),
    };
    let draining = shared.readiness.draining.load(Ordering::Acquire);
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let answer = json!({
        "ready": !draining,
        "degraded": degraded,
        "draining": draining,
        "parts": { "memory": memory, "redis": redis, "database": database },
    });
    (status, Json(answer))
}
