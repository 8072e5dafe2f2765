//! Publish and archive.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use edge_cache_origin::database::Value;
use http::{HeaderMap, StatusCode};

use super::{appeared, pitch_id, shrunk, state_answer};
use crate::app::App;
use crate::body::Fields;
use crate::error::ApiError;
use crate::pitch;
use crate::session;

/// Publishes a pitch, for `visibility`, which may be sent. Without it a private pitch becomes public, for that is what publishing
/// means, and one for investors stays theirs.
pub(crate) async fn publish(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let id = pitch_id(&id)?;
    let mut fields = Fields::read(body).await?;
    let asked = fields.choice("visibility", &["public", "investors_only"])?;
    fields.finish()?;
    let mut tx = app.begin().await?;
    let mut state = pitch::State::lock_own(&mut tx, id, &viewer).await?;
    match state.status.as_str() {
        "published" => return Err(ApiError::conflict("already_published", "the pitch is published already")),
        "archived" => return Err(ApiError::conflict("archived", "an archived pitch stays archived")),
        _ => {}
    }
    let kept = if state.visibility == "private" { "public".to_owned() } else { state.visibility.clone() };
    state.visibility = asked.unwrap_or(kept);
    state.status = "published".into();
    let sql = "UPDATE pitches SET status = 'published', visibility = $1, published_at = $2, updated_at = $2 WHERE id = $3 \
               RETURNING view_count + like_count + comment_count AS counted";
    let rows = tx.query(sql, &[state.visibility.as_str().into(), Value::Time(now), Value::Int(id)]).await?;
    let counted = rows.first().map_or(Ok(0), |row| row.int("counted"))?;
    tx.commit().await?;
    let stale = if state.is_public() { appeared(&state, counted > 0) } else { shrunk(&state) };
    Ok(state_answer(StatusCode::OK, &state, &stale))
}

pub(crate) async fn archive(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let id = pitch_id(&id)?;
    let mut tx = app.begin().await?;
    let mut state = pitch::State::lock_own(&mut tx, id, &viewer).await?;
    if state.status == "archived" {
        return Err(ApiError::conflict("archived", "the pitch is archived already"));
    }
    state.status = "archived".into();
    let sql = "UPDATE pitches SET status = 'archived', updated_at = $1 WHERE id = $2";
    tx.execute(sql, &[Value::Time(now), Value::Int(id)]).await?;
    tx.commit().await?;
    Ok(state_answer(StatusCode::OK, &state, &shrunk(&state)))
}
