use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Json, extract::State};
use edge_cache::{Standing, warm::Warmth};
use edge_cache_origin::database::Value;
use http::StatusCode;
use serde_json::json;

use super::Shared;

/// Whether the process wants requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    draining: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
}

impl Readiness {
    /// From now on it does not.
    pub(crate) fn draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// From now on nothing is purged here.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether the process wants no more requests.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether nothing is purged here any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// `GET /health/ready`: each part, and whether to send requests here: not while the node is still cold, or drains. A tier or database that is
/// down makes it degraded, not
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
    let disk = shared.cache.disk();
    let disk_answers = disk.is_some_and(|disk| {
        disk.read_breaker() != edge_cache_breaker::State::Open
            && disk.write_breaker() != edge_cache_breaker::State::Open
    });
    let disk = part(disk.is_some(), disk_answers);
    let standing = shared.cache.standing();
    let backplane = part(standing != Standing::Alone, standing == Standing::InStep);
    let database = match &shared.database {
        Some(database) => part(true, database.query("SELECT 1", &[] as &[Value]).await.is_ok()),
        None => part(false, false),
    };
    // One that can be asked is enough.
    let origin = shared.upstream.as_ref().map(|upstream| {
        upstream.state().iter().any(|origin| origin.healthy && origin.breaker != edge_cache_breaker::State::Open)
    });
    let origin = part(origin.is_some(), origin.unwrap_or(false));
    let draining = shared.readiness.is_draining();
    let Warmth { readiness, held, hot, .. } = shared.cache.warmth();
    let ready = !draining && readiness.is_ready();
    let status = if !ready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut answer = json!({
        "ready": ready,
        "degraded": degraded,
        "draining": draining,
        "warm": { "state": readiness.as_str(), "held": held, "hot": hot },
        "parts": { "memory": memory, "redis": redis, "disk": disk, "backplane": backplane, "database": database, "origin": origin },
    });
    if let Some(following) = shared.cache.following() {
        answer["backplane"] = json!({
            "standing": match standing {
                Standing::Alone => "alone",
                Standing::InStep => "in step",
                Standing::CutOff { .. } => "cut off: only what was read from the origin a moment ago is served",
            },
            "cut_off_seconds": match standing {
                Standing::CutOff { since } => since.map(|since| since.as_secs_f64()),
                Standing::Alone | Standing::InStep => None,
            },
            "heard_seconds_ago": following.heard.map(|heard| heard.as_secs_f64()),
            "subscribed": following.subscribed,
            "nodes": following.nodes,
            "waiting_tags": shared.cache.purger().waiting_tags(),
        });
    }
    (status, Json(answer))
}
