//! `GET /origin`: how the permits, the ways to the origin and Redis are now.

use axum::{Json, extract::State};
use edge_cache::{EdgeCache, Governed};
use edge_cache_origin::{
    database::{Database, EndpointState},
    upstream::OriginState,
};
use serde_json::{Value, json};

use super::Shared;
use crate::origin::HttpUpstream;

pub(super) async fn origin(State(shared): State<Shared>) -> Json<Value> {
    Json(state(&shared.cache, shared.database.as_ref(), shared.upstream.as_ref()))
}

/// All of it.
pub(crate) fn state(cache: &EdgeCache, database: Option<&Database>, upstream: Option<&HttpUpstream>) -> Value {
    json!({
        "governor": cache.governed().map(|seen| governor(&seen)),
        "endpoints": database.into_iter().flat_map(|database| database.endpoints()).map(endpoint).collect::<Vec<_>>(),
        "origins": upstream.into_iter().flat_map(HttpUpstream::state).map(http_origin).collect::<Vec<_>>(),
        "redis": cache.redis().map(|redis| json!({
            "reads": redis.read_breaker().as_str(),
            "writes": redis.write_breaker().as_str(),
        })),
    })
}

fn governor(seen: &Governed) -> Value {
    json!({
        "pressure": seen.level.as_str(),
        "utilisation": (seen.utilisation * 1000.0).round() / 1000.0,
        "permits": seen.load.limit,
        "permits_most": seen.load.limit_max,
        "in_use": seen.load.in_use,
        "in_use_most": seen.load.in_use_max,
        "waiting": seen.load.waiting,
        "admitted": seen.load.admitted,
        "shed": seen.load.refused,
        "redis_lost": seen.redis_lost,
        "safe": seen.safe,
    })
}

fn endpoint(state: EndpointState) -> Value {
    json!({
        "endpoint": state.name,
        "role": state.role.as_str(),
        "breaker": state.breaker.as_str(),
        "breaker_opened": state.breaker_opened,
        "connections": state.pool.connections,
        "idle": state.pool.idle,
        "in_use": state.pool.in_use,
        "waiting": state.pool.waiting,
        "connects": state.pool.created,
        "connect_errors": state.pool.connect_errors,
        "timeouts": state.pool.timeouts,
        "closed_broken": state.pool.closed_broken,
        "closed_aged": state.pool.closed_aged,
    })
}

fn http_origin(state: OriginState) -> Value {
    json!({
        "origin": state.authority.as_str(),
        "breaker": state.breaker.as_str(),
        "healthy": state.healthy,
        "in_flight": state.in_flight,
        "requests": state.requests,
        "failures": state.failures,
        "retries": state.retries,
    })
}
