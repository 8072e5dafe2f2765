//! Probes. None is ever stored: a dead database must look dead.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use edge_cache_origin::database::{Dialect, Pooling};
use http::HeaderMap;
use serde_json::json;

use crate::app::App;
use crate::error::ApiError;
use crate::respond::private;

fn route(app: &App) -> serde_json::Value {
    let database = match app.db.dialect() {
        Dialect::Postgres => "postgres",
        Dialect::Sqlite => "sqlite",
    };
    let route = match app.db.pooling() {
        Pooling::Pooled => "pooled",
        Pooling::PerRequest => "per-request",
    };
    json!({"database": database, "route": route})
}

pub(crate) async fn db_test(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let rows = app.db.query("SELECT CAST(1 AS bigint) AS one", &[]).await?;
    let one = rows.first().map_or(Ok(0), |row| row.int("one"))?;
    let mut data = route(&app);
    data["ok"] = (one == 1).into();
    Ok(private(&headers, data, None))
}

/// Whether this process answers; says nothing about the database.
pub(crate) async fn live(headers: HeaderMap) -> Response {
    private(&headers, json!({"status": "ok"}), None)
}

pub(crate) async fn ready(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.db.query("SELECT CAST(1 AS bigint) AS one", &[]).await {
        Ok(_) => private(&headers, json!({"status": "ok", "tiers": {"database": "ok"}}), None),
        Err(error) => ApiError::from(error).into_response(),
    }
}
