//! One's own profile, which every list and detail with one's pitches shows a part of.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use edge_cache_origin::database::Value;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::fields::Changes;
use crate::app::App;
use crate::body::Fields;
use crate::error::ApiError;
use crate::pitch::PUBLIC;
use crate::respond::written;
use crate::session;
use crate::stale::Stale;
use crate::tags;

/// Pitches named one by one; who has more makes the lists stale instead, so that the header stays short.
const PITCHES_NAMED_MAX: usize = 200;
/// Texts that may be null: column, most characters.
const TEXTS: [(&str, usize); 6] = [
    ("first_name", 100),
    ("last_name", 100),
    ("bio", 2000),
    ("location", 200),
    ("company_name", 200),
    ("avatar_url", 500),
];

pub(crate) async fn update(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let mut fields = Fields::read(body).await?;
    let mut changes = Changes::default();
    if let Some(username) = fields.solid_text("username", 3, 40)? {
        if !username.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return Err(ApiError::field("username", "must be letters, digits, dots, dashes and underscores"));
        }
        changes.set("username", username.into());
    }
    for (column, chars_max) in TEXTS {
        if let Some(text) = fields.text(column, 0, chars_max)? {
            changes.set(column, Value::opt_text(text.filter(|text| !text.is_empty())));
        }
    }
    fields.finish()?;
    if changes.is_empty() {
        return Ok(written(StatusCode::OK, json!({"id": viewer.id})));
    }
    changes.set("updated_at", Value::Time(now));
    let (sql, params) = changes.update("users", viewer.id);
    let mut tx = app.begin().await?;
    tx.execute(&sql, &params).await?;
    let sql = format!("SELECT p.id FROM pitches p WHERE p.user_id = $1 AND {PUBLIC} ORDER BY p.id LIMIT $2");
    let limit = i64::try_from(PITCHES_NAMED_MAX + 1).unwrap_or(i64::MAX);
    let rows = tx.query(&sql, &[Value::Int(viewer.id), Value::Int(limit)]).await?;
    let pitches = rows.iter().map(|row| row.int("id")).collect::<Result<Vec<_>, _>>()?;
    tx.commit().await?;
    let mut response = written(StatusCode::OK, json!({"id": viewer.id}));
    stale(viewer.id, &pitches).write(response.headers_mut());
    Ok(response)
}

fn stale(user: i64, pitches: &[i64]) -> Stale {
    let mut stale = Stale::default();
    stale.soft(tags::creator(user));
    if pitches.len() <= PITCHES_NAMED_MAX {
        for pitch in pitches {
            stale.soft(tags::pitch(*pitch));
        }
    } else {
        for list in ["trending", "new", "featured", "public", "browse"] {
            stale.soft(tags::list(list));
        }
    }
    stale
}
