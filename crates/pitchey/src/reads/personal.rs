//! Lists of one user: never for anyone else, never stored.

use axum::extract::State;
use axum::response::Response;
use edge_cache_core::query::Query;
use edge_cache_origin::database::Value;
use http::{HeaderMap, Uri};

use super::lists::{asked, cut, limit, meta};
use crate::app::App;
use crate::error::ApiError;
use crate::pitch::{CARD, CARD_FROM, PUBLIC};
use crate::respond::private;
use crate::session;

pub(crate) fn mine_sql() -> String {
    format!(
        "SELECT {CARD}, p.status, p.visibility FROM {CARD_FROM} WHERE p.user_id = $1 \
         ORDER BY p.created_at DESC, p.id DESC LIMIT $2 OFFSET $3"
    )
}

pub(crate) fn following_sql() -> String {
    format!(
        "SELECT {CARD} FROM {CARD_FROM} WHERE {PUBLIC} \
         AND p.user_id IN (SELECT f.following_id FROM follows f WHERE f.follower_id = $1) \
         ORDER BY p.published_at DESC, p.id DESC LIMIT $2 OFFSET $3"
    )
}

pub(crate) fn saved_sql() -> String {
    format!(
        "SELECT {CARD} FROM {CARD_FROM} JOIN saved_pitches s ON s.pitch_id = p.id WHERE s.user_id = $1 AND {PUBLIC} \
         ORDER BY s.created_at DESC, s.pitch_id DESC LIMIT $2 OFFSET $3"
    )
}

pub(crate) async fn mine(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    list(&app, "mine", &mine_sql(), &uri, &headers).await
}

pub(crate) async fn following(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    list(&app, "following", &following_sql(), &uri, &headers).await
}

pub(crate) async fn saved(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    list(&app, "saved", &saved_sql(), &uri, &headers).await
}

async fn list(app: &App, name: &str, sql: &str, uri: &Uri, headers: &HeaderMap) -> Result<Response, ApiError> {
    let viewer = session::viewer(&app.db, headers, app.now()).await?;
    let (endpoint, query) = asked(name, uri)?;
    let rows = app.db.query(sql, &params(viewer.id, &query)).await?;
    let (cards, has_more) = cut(&rows, limit(&query))?;
    Ok(private(headers, cards, Some(meta(endpoint, &query, Some(has_more), None))))
}

fn params(user: i64, query: &Query) -> [Value; 3] {
    [Value::Int(user), Value::Int(limit(query) + 1), Value::Int(query.int("offset").unwrap_or(0))]
}
