use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Json, extract::State};
use edge_cache::{Standing, warm::Warmth};
use edge_cache_origin::database::Value;
use http::{StatusCode, request};
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

/// `GET /health/ready`: each part, whether to send requests here, and why not: not while the node is still cold, or drains. A tier or database
/// that is down makes it degraded, not unready: the cache goes on answering what it holds. Who may not see what is here learns whether to send
/// requests, and costs no question to Redis or the database.
pub(super) async fn ready(
    State(shared): State<Shared>,
    asked: request::Parts,
) -> (StatusCode, Json<serde_json::Value>) {
    let cache = &shared.cache;
    let draining = shared.readiness.is_draining();
    let Warmth { readiness, held, hot, .. } = cache.warmth();
    let ready = !draining && readiness.is_ready();
    let status = if !ready { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    if shared.access.check(&asked.headers, &asked.extensions).is_err() {
        return (status, Json(json!({ "ready": ready })));
    }
    let mut parts = Parts::default();
    parts.add("memory", cache.memory().map(|_| Ok(())));
    let redis = match cache.redis() {
        Some(redis) => Some(redis.ping().await.map_err(|error| chain(&error))),
        None => None,
    };
    parts.add("redis", redis);
    parts.add(
        "disk",
        cache.disk().map(|disk| {
            let is_open = |breaker| breaker == edge_cache_breaker::State::Open;
            match is_open(disk.read_breaker()) || is_open(disk.write_breaker()) {
                false => Ok(()),
                true => Err("it failed too often, and is left alone for a while".to_owned()),
            }
        }),
    );
    let standing = cache.standing();
    parts.add(
        "backplane",
        match standing {
            Standing::Alone => None,
            Standing::InStep => Some(Ok(())),
            Standing::CutOff { .. } => Some(Err(
                "purges of other nodes cannot be heard: only what was read from the origin a moment ago is served"
                    .to_owned(),
            )),
        },
    );
    let database = match &shared.database {
        Some(database) => {
            let answer = database.query("SELECT 1", &[] as &[Value]).await;
            Some(answer.map(drop).map_err(|error| chain(&error)))
        }
        None => None,
    };
    parts.add("database", database);
    // One that can be asked is enough.
    parts.add(
        "origin",
        shared.upstream.as_ref().map(|upstream| {
            let is_there = upstream
                .state()
                .iter()
                .any(|origin| origin.healthy && origin.breaker != edge_cache_breaker::State::Open);
            if is_there { Ok(()) } else { Err("none can be asked: see /origin".to_owned()) }
        }),
    );
    let Parts { mut reasons, words } = parts;
    let degraded = !reasons.is_empty();
    if draining {
        reasons.insert(0, "the process stops: requests in flight are finished".to_owned());
    }
    if !readiness.is_ready() {
        reasons.insert(0, format!("still cold: {held} of {hot} hot keys are held"));
    }
    let mut answer = json!({
        "ready": ready,
        "degraded": degraded,
        "draining": draining,
        "reasons": reasons,
        "warm": { "state": readiness.as_str(), "held": held, "hot": hot },
        "parts": words,
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

/// What is known of each part.
#[derive(Default)]
struct Parts {
    words: serde_json::Map<String, serde_json::Value>,
    /// Why what is down is down.
    reasons: Vec<String>,
}

impl Parts {
    /// A part that is well, or not and why; `None` where there is none.
    fn add(&mut self, name: &str, part: Option<Result<(), String>>) {
        let word = match part {
            None => "off",
            Some(Ok(())) => "ok",
            Some(Err(why)) => {
                self.reasons.push(format!("{name}: {why}"));
                "down"
            }
        };
        self.words.insert(name.to_owned(), word.into());
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
