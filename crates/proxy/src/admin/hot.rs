use axum::{
    Json,
    extract::{Query, State},
};
use edge_cache::{EdgeCache, warmer::Replay};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;

/// Keys shown unless asked otherwise, and at most.
const KEYS: usize = 100;
const KEYS_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    n: Option<usize>,
}

/// `GET /hot?n=100`: what is asked for most on this node and costs most to fill, the most first.
pub(super) async fn hot(State(shared): State<Shared>, Query(question): Query<Question>) -> Json<Value> {
    Json(json!({ "keys": keys(&shared.cache, question.n.unwrap_or(KEYS).min(KEYS_MAX)) }))
}

/// The `n` hottest.
pub(crate) fn keys(cache: &EdgeCache, n: usize) -> Vec<Value> {
    let top = cache.hot().map(|hot| hot.top(n)).unwrap_or_default();
    let keys = top.iter().filter_map(|hot| {
        let replay = Replay::of_key(&hot.key)?;
        let headers: serde_json::Map<_, _> = replay
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), json!(String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        Some(json!({
            "url": replay.to_string(),
            "headers": headers,
            "hits": hot.hits,
            "cost_millis": hot.cost_millis,
            "score": hot.score(),
        }))
    });
    keys.collect()
}
