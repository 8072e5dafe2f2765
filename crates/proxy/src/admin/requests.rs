//! `GET /requests?n=50`: the last requests; `GET /requests/ID`: one of them, and every decision that was taken for it.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use edge_cache::{
    core::{RequestId, TierName},
    telemetry::{SeenRequest, Watch},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;

/// Requests listed unless asked otherwise, and at most.
const LISTED: usize = 50;
const LISTED_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    n: Option<usize>,
}

type Refusal = (StatusCode, Json<Value>);

pub(super) async fn list(
    State(shared): State<Shared>,
    Query(question): Query<Question>,
) -> Result<Json<Value>, Refusal> {
    let n = question.n.unwrap_or(LISTED).min(LISTED_MAX);
    let requests = watch(&shared)?.requests.last(n);
    Ok(Json(json!({ "requests": requests.iter().map(line).collect::<Vec<_>>() })))
}

pub(super) async fn detail(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let wrong = || (StatusCode::BAD_REQUEST, format!("`{id}`: expected a name of sixteen hexadecimal digits"));
    let id = RequestId::parse(&id).ok_or_else(|| refuse(wrong()))?;
    let watch = watch(&shared)?;
    let gone = || {
        format!(
            "request {id} is not among the last ones that are kept (telemetry.requests_kept), or came in a second with more than that"
        )
    };
    let request = watch.requests.get(id).ok_or_else(|| refuse((StatusCode::NOT_FOUND, gone())))?;
    Ok(Json(story(&request)))
}

fn watch(shared: &Shared) -> Result<&Watch, Refusal> {
    let none = || refuse((StatusCode::NOT_FOUND, "no requests are kept here: telemetry.enabled = false".to_owned()));
    shared.cache.watch().ok_or_else(none)
}

fn refuse((status, why): (StatusCode, String)) -> Refusal {
    (status, Json(json!({ "error": why.trim_end() })))
}

fn line(request: &SeenRequest) -> Value {
    json!({
        "id": request.id.to_string(),
        "at": request.at.as_millis() as f64 / 1000.0,
        "method": request.method.as_str(),
        "url": request.url,
        "route": &*request.route,
        "status": request.status.as_u16(),
        "result": request.outcome.served.as_str(),
        "tier": request.outcome.tier.map_or("origin", TierName::as_str),
        "millis": millis(request.took),
        "bytes": request.body_bytes,
    })
}

fn story(request: &SeenRequest) -> Value {
    let mut story = line(request);
    let steps =
        request.steps.iter().map(|step| json!({ "at_ms": millis(step.at), "who": step.who, "what": step.what }));
    story["trace_id"] = format!("{:032x}", request.trace).into();
    story["client"] = request.client.map_or(Value::Null, |client| client.to_string().into());
    story["age_seconds"] = request.age.map_or(Value::Null, |age| age.as_secs().into());
    story["cache_status"] = request.cache_status.as_str().into();
    story["steps"] = steps.collect::<Vec<_>>().into();
    story
}

/// Milliseconds, to the microsecond.
fn millis(time: std::time::Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
