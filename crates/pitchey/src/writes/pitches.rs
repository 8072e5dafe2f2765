//! Create, edit, delete.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use edge_cache_origin::database::{DbError, Transaction, Value};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::fields::Changes;
use super::{appeared, pitch_id, shrunk, state_answer};
use crate::app::App;
use crate::body::Fields;
use crate::error::ApiError;
use crate::pitch;
use crate::respond::no_content;
use crate::session;
use crate::stale::Stale;
use crate::tags;
use crate::text::{prefix_end, slug};

/// States that an edit may put a pitch in; publishing and archiving have endpoints of their own.
const UNPUBLISHED: [&str; 3] = ["draft", "under_review", "hidden"];

pub(crate) async fn create(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    if !viewer.may_pitch() {
        return Err(ApiError::forbidden("only creators and producers can pitch"));
    }
    let mut fields = Fields::read(body).await?;
    let mut changes = Changes::read(&mut fields)?;
    fields.finish()?;
    let required = |name| move || ApiError::field(name, "is required");
    let title = changes.get_text("title").ok_or_else(required("title"))?.to_owned();
    changes.get_text("genre").ok_or_else(required("genre"))?;
    if changes.get("format").is_none() {
        changes.set("format", "feature".into());
    }
    if changes.get("visibility").is_none() {
        changes.set("visibility", "private".into());
    }
    let searched = changes.fold(|_| None);
    changes.set("user_id", Value::Int(viewer.id));
    changes.set("status", "draft".into());
    changes.set("created_at", Value::Time(now));
    changes.set("updated_at", Value::Time(now));
    let mut tx = app.begin().await?;
    let slug = free_slug(&mut tx, &slug(&title)).await?;
    changes.set("slug", slug.into());
    let (sql, params) = changes.insert("pitches");
    let returning = "id, user_id, slug, genre, format, status, visibility, require_nda";
    let rows = tx.query(&format!("{sql} RETURNING {returning}"), &params).await?;
    let state = rows.first().map(pitch::State::read).transpose()?.ok_or_else(ApiError::no_pitch)?;
    set_searched(&mut tx, state.id, searched).await?;
    tx.commit().await?;
    // A draft is nobody else's to see: it comes into no list, and "not found" stays true for the others.
    let mut response = state_answer(StatusCode::CREATED, &state, &Stale::default());
    let location = HeaderValue::try_from(format!("/api/pitches/{}", state.id)).expect("ASCII letters and digits");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// `base`, or `base-2`, `base-3`, … A race for the same one ends in a conflict by the unique index.
async fn free_slug(tx: &mut Transaction, base: &str) -> Result<String, DbError> {
    let sql = "SELECT slug FROM pitches WHERE slug >= $1 AND slug < $2";
    let rows = tx.query(sql, &[base.into(), prefix_end(base).into()]).await?;
    let taken = rows.iter().map(|row| row.text("slug")).collect::<Result<Vec<_>, _>>()?;
    let candidates = std::iter::once(base.to_owned()).chain((2..).map(|number: u64| format!("{base}-{number}")));
    Ok(candidates.into_iter().find(|slug| !taken.contains(slug)).expect("the candidates never end"))
}

/// Writes what searches look through, where it changed.
async fn set_searched(tx: &mut Transaction, id: i64, text: Option<String>) -> Result<(), DbError> {
    let Some(text) = text else { return Ok(()) };
    let sql = "INSERT INTO pitch_search (pitch_id, search_text) VALUES ($1, $2) \
               ON CONFLICT (pitch_id) DO UPDATE SET search_text = excluded.search_text";
    tx.execute(sql, &[Value::Int(id), text.into()]).await?;
    Ok(())
}

pub(crate) async fn update(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let id = pitch_id(&id)?;
    let mut fields = Fields::read(body).await?;
    let mut changes = Changes::read(&mut fields)?;
    let status = fields.choice("status", &UNPUBLISHED)?;
    fields.finish()?;
    let mut tx = app.begin().await?;
    let before = pitch::State::lock_own(&mut tx, id, &viewer).await?;
    if before.status == "archived" && status.is_some() {
        return Err(ApiError::conflict("archived", "an archived pitch stays archived"));
    }
    let mut after = before.clone();
    if let Some(status) = status {
        changes.set("status", status.clone().into());
        after.status = status;
    }
    if !changes.is_empty() {
        let sql = "SELECT title, tagline, logline, genre, format FROM pitches WHERE id = $1";
        let rows = tx.query(sql, &[Value::Int(id)]).await?;
        let searched = changes.fold(|column| rows.first().and_then(|row| row.opt_text(column).ok().flatten()));
        for (column, field) in
            [("genre", &mut after.genre), ("format", &mut after.format), ("visibility", &mut after.visibility)]
        {
            if let Some(text) = changes.get_text(column) {
                text.clone_into(field);
            }
        }
        if let Some(Value::Bool(require_nda)) = changes.get("require_nda") {
            after.require_nda = *require_nda;
        }
        changes.set("updated_at", Value::Time(now));
        let (sql, params) = changes.update("pitches", id);
        tx.execute(&sql, &params).await?;
        set_searched(&mut tx, id, searched).await?;
    }
    tx.commit().await?;
    Ok(state_answer(StatusCode::OK, &after, &edited(&before, &after)))
}

fn edited(before: &pitch::State, after: &pitch::State) -> Stale {
    let mut stale = Stale::default();
    if after.is_public() && !before.is_public() {
        stale = appeared(after, true);
    }
    let is_shrunk = before.status == "published" && after.status != "published"
        || before.visibility != after.visibility && !after.is_public()
        || before.require_nda != after.require_nda;
    if is_shrunk {
        // On top of what a widening in the same edit named: the harder of the two holds.
        stale.hard(tags::pitch(after.id));
        stale.hard(tags::slug(&after.slug));
    } else {
        stale.soft(tags::pitch(after.id));
    }
    if before.is_public() && after.is_public() {
        if before.genre != after.genre {
            stale.soft(tags::genre(&before.genre));
            stale.soft(tags::genre(&after.genre));
        }
        if before.format != after.format {
            stale.soft(tags::format(&before.format));
            stale.soft(tags::format(&after.format));
        }
    }
    stale
}

pub(crate) async fn delete(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewer = session::viewer(&app.db, &headers, app.now()).await?;
    let id = pitch_id(&id)?;
    let mut tx = app.begin().await?;
    let state = pitch::State::lock_own(&mut tx, id, &viewer).await?;
    tx.execute("DELETE FROM pitches WHERE id = $1", &[Value::Int(id)]).await?;
    tx.commit().await?;
    let mut response = no_content();
    shrunk(&state).write(response.headers_mut());
    Ok(response)
}
