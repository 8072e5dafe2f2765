//! Likes, saved pitches and follows: one row per pair, set and unset as often as anyone likes.
//!
//! None makes a shared answer stale: the viewer's flags are never stored, and counters may lag.

use axum::extract::{Path, State};
use axum::response::Response;
use edge_cache_origin::database::Value;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::pitch_id;
use crate::app::App;
use crate::dialect;
use crate::error::ApiError;
use crate::pitch::{self, parse_id};
use crate::respond::written;
use crate::session;

pub(crate) async fn like(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let id = pitch_id(&id)?;
    let mut tx = app.begin().await?;
    pitch::State::lock(&mut tx, id, Some(&viewer)).await?;
    let sql = "INSERT INTO pitch_likes (user_id, pitch_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let added = tx.execute(sql, &[Value::Int(viewer.id), Value::Int(id), Value::Time(now)]).await?;
    if added == 1 {
        tx.execute("UPDATE pitches SET like_count = like_count + 1 WHERE id = $1", &[Value::Int(id)]).await?;
    }
    tx.commit().await?;
    Ok(written(StatusCode::OK, json!({"isLiked": true})))
}

pub(crate) async fn unlike(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewer = session::viewer(&app.db, &headers, app.now()).await?;
    let id = pitch_id(&id)?;
    let mut tx = app.begin().await?;
    // The pitch before the like, as `like` and a delete take them, or the two could wait for each other.
    let sql = format!("SELECT id FROM pitches WHERE id = $1{}", dialect::for_update(tx.dialect()));
    tx.query(&sql, &[Value::Int(id)]).await?;
    let sql = "DELETE FROM pitch_likes WHERE user_id = $1 AND pitch_id = $2";
    let removed = tx.execute(sql, &[Value::Int(viewer.id), Value::Int(id)]).await?;
    if removed == 1 {
        tx.execute("UPDATE pitches SET like_count = like_count - 1 WHERE id = $1", &[Value::Int(id)]).await?;
    } else {
        pitch::State::lock(&mut tx, id, Some(&viewer)).await?;
    }
    tx.commit().await?;
    Ok(written(StatusCode::OK, json!({"isLiked": false})))
}

pub(crate) async fn save(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let id = pitch_id(&id)?;
    let mut tx = app.begin().await?;
    pitch::State::lock(&mut tx, id, Some(&viewer)).await?;
    let sql = "INSERT INTO saved_pitches (user_id, pitch_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.execute(sql, &[Value::Int(viewer.id), Value::Int(id), Value::Time(now)]).await?;
    tx.commit().await?;
    Ok(written(StatusCode::OK, json!({"isSaved": true})))
}

pub(crate) async fn unsave(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewer = session::viewer(&app.db, &headers, app.now()).await?;
    let id = pitch_id(&id)?;
    let mut tx = app.begin().await?;
    let sql = "DELETE FROM saved_pitches WHERE user_id = $1 AND pitch_id = $2";
    let removed = tx.execute(sql, &[Value::Int(viewer.id), Value::Int(id)]).await?;
    if removed == 0 {
        pitch::State::lock(&mut tx, id, Some(&viewer)).await?;
    }
    tx.commit().await?;
    Ok(written(StatusCode::OK, json!({"isSaved": false})))
}

fn no_creator() -> ApiError {
    ApiError::not_found("creator_not_found", "there is no such creator")
}

/// The creator's id in a path, or 404 where there is none.
async fn creator_id(app: &App, segment: &str) -> Result<i64, ApiError> {
    let id = parse_id(segment).ok_or_else(no_creator)?;
    let rows = app.db.query("SELECT id FROM users WHERE id = $1 AND is_active", &[Value::Int(id)]).await?;
    rows.first().map(|_| id).ok_or_else(no_creator)
}

pub(crate) async fn follow(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let id = creator_id(&app, &id).await?;
    if id == viewer.id {
        return Err(ApiError::conflict("own_profile", "nobody can follow himself"));
    }
    let sql = "INSERT INTO follows (follower_id, following_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    app.db.execute(sql, &[Value::Int(viewer.id), Value::Int(id), Value::Time(now)]).await?;
    Ok(written(StatusCode::OK, json!({"isFollowing": true})))
}

pub(crate) async fn unfollow(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewer = session::viewer(&app.db, &headers, app.now()).await?;
    let id = creator_id(&app, &id).await?;
    let sql = "DELETE FROM follows WHERE follower_id = $1 AND following_id = $2";
    app.db.execute(sql, &[Value::Int(viewer.id), Value::Int(id)]).await?;
    Ok(written(StatusCode::OK, json!({"isFollowing": false})))
}
