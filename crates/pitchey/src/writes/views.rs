//! Counting views. No view makes anything stale: most detail reads write one.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use edge_cache_core::Timestamp;
use edge_cache_origin::database::{DbError, Transaction, Value};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::app::App;
use crate::body::Fields;
use crate::error::ApiError;
use crate::pitch::{self, days_before};
use crate::respond::written;
use crate::session::{self, Viewer};

/// The session of callers that send none. They share one, so that leaving it out counts fewer views and not more.
const NO_SESSION: &str = "";

/// `pitch_id`, and `session_id` for visitors: any text that stays the same for a visit.
pub(crate) async fn track(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::caller(&app.db, &headers, now).await?.viewer;
    let mut fields = Fields::read(body).await?;
    let id = fields.int("pitch_id", 1, i64::MAX)?.flatten();
    let id = id.ok_or_else(|| ApiError::field("pitch_id", "is required"))?;
    let session = fields.solid_text("session_id", 1, 100)?.unwrap_or_else(|| NO_SESSION.into());
    fields.finish()?;
    let mut tx = app.begin().await?;
    pitch::State::lock(&mut tx, id, viewer.as_ref()).await?;
    let counted = match &viewer {
        Some(viewer) => add_for_user(&mut tx, id, viewer, now).await?,
        None => add_for_session(&mut tx, id, &session, now).await?,
    };
    if counted {
        tx.execute("UPDATE pitches SET view_count = view_count + 1 WHERE id = $1", &[Value::Int(id)]).await?;
    }
    tx.commit().await?;
    Ok(written(StatusCode::OK, json!({"counted": counted})))
}

/// One view per user, ever.
async fn add_for_user(tx: &mut Transaction, pitch: i64, viewer: &Viewer, now: Timestamp) -> Result<bool, DbError> {
    let sql = "INSERT INTO pitch_views (pitch_id, viewer_id, viewed_at) SELECT $1, $2, $3 \
               WHERE NOT EXISTS (SELECT 1 FROM pitch_views WHERE pitch_id = $1 AND viewer_id = $2)";
    let added = tx.execute(sql, &[Value::Int(pitch), Value::Int(viewer.id), Value::Time(now)]).await?;
    Ok(added == 1)
}

/// One view per session in 24 hours. The caller holds the pitch's lock, so two at once cannot both find none.
async fn add_for_session(tx: &mut Transaction, pitch: i64, session: &str, now: Timestamp) -> Result<bool, DbError> {
    let sql = "INSERT INTO pitch_views (pitch_id, session_id, viewed_at) SELECT $1, $2, $3 \
               WHERE NOT EXISTS (SELECT 1 FROM pitch_views WHERE pitch_id = $1 AND session_id = $2 \
               AND viewer_id IS NULL AND viewed_at > $4)";
    let since = Value::Time(days_before(now, 1));
    let added = tx.execute(sql, &[Value::Int(pitch), session.into(), Value::Time(now), since]).await?;
    Ok(added == 1)
}
