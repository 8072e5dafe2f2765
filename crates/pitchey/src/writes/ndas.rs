//! Non-disclosure agreements: requested by a viewer, granted by the owner, signed by the viewer, and taken back by the owner.
//!
//! What they open is only ever shown in answers that are not stored, so only a revoke makes something stale: to be sure.

use axum::extract::{Path, State};
use axum::response::Response;
use edge_cache_core::Timestamp;
use edge_cache_origin::database::{Transaction, Value};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::pitch_id;
use crate::app::App;
use crate::error::ApiError;
use crate::pitch::{self, parse_id};
use crate::respond::written;
use crate::session::{self, Viewer};
use crate::stale::Stale;
use crate::tags;

/// Days for which a signature opens what it opens.
const SIGNED_DAYS: u64 = 365;

#[derive(Debug)]
struct Nda {
    id: i64,
    signer: i64,
    status: String,
    access_granted: bool,
}

impl Nda {
    fn answer(&self, status: StatusCode, pitch: i64) -> Response {
        let data = json!({
            "id": self.id,
            "pitch_id": pitch,
            "status": self.status,
            "access_granted": self.access_granted,
        });
        written(status, data)
    }
}

pub(crate) async fn request(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewer = session::viewer(&app.db, &headers, app.now()).await?;
    let pitch = pitch_id(&id)?;
    let mut tx = app.begin().await?;
    let state = pitch::State::lock(&mut tx, pitch, Some(&viewer)).await?;
    if state.owner == viewer.id {
        return Err(ApiError::forbidden("an owner needs no agreement"));
    }
    let of_viewer = [Value::Int(pitch), Value::Int(viewer.id)];
    let earlier = tx.query("SELECT id FROM ndas WHERE pitch_id = $1 AND signer_id = $2", &of_viewer).await?;
    if !earlier.is_empty() {
        return Err(ApiError::conflict("already_requested", "there is an agreement already"));
    }
    let sql = "INSERT INTO ndas (pitch_id, signer_id, status) VALUES ($1, $2, 'pending') RETURNING id";
    let rows = tx.query(sql, &of_viewer).await?;
    let id = rows.first().map_or(Ok(0), |row| row.int("id"))?;
    tx.execute("UPDATE pitches SET nda_count = nda_count + 1 WHERE id = $1", &[Value::Int(pitch)]).await?;
    tx.commit().await?;
    let nda = Nda { id, signer: viewer.id, status: "pending".into(), access_granted: false };
    let mut response = nda.answer(StatusCode::CREATED, pitch);
    let location = HeaderValue::try_from(format!("/api/pitches/{pitch}/nda/{id}")).expect("ASCII letters and digits");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// The agreement, locked, with the pitch it is about.
async fn lock(tx: &mut Transaction, pitch: i64, nda: &str, viewer: &Viewer) -> Result<(pitch::State, Nda), ApiError> {
    let missing = || ApiError::not_found("nda_not_found", "there is no such agreement");
    let nda = parse_id(nda).ok_or_else(missing)?;
    let state = pitch::State::lock(tx, pitch, Some(viewer)).await?;
    let sql = "SELECT signer_id, status, access_granted FROM ndas WHERE id = $1 AND pitch_id = $2";
    let rows = tx.query(sql, &[Value::Int(nda), Value::Int(pitch)]).await?;
    let row = rows.first().ok_or_else(missing)?;
    let (status, access_granted) = (row.text("status")?, row.bool("access_granted")?);
    let nda = Nda { id: nda, signer: row.int("signer_id")?, status, access_granted };
    // A third party is not told that there is one.
    let is_party = [nda.signer, state.owner].contains(&viewer.id) || viewer.is_admin();
    if is_party { Ok((state, nda)) } else { Err(missing()) }
}

/// One step that the owner takes.
async fn by_owner(
    app: &App,
    (pitch, nda): (String, String),
    headers: &HeaderMap,
    step: impl FnOnce(&mut Nda) -> Result<(), ApiError>,
) -> Result<(i64, Nda), ApiError> {
    let viewer = session::viewer(&app.db, headers, app.now()).await?;
    let pitch = pitch_id(&pitch)?;
    let mut tx = app.begin().await?;
    let (state, mut nda) = lock(&mut tx, pitch, &nda, &viewer).await?;
    if state.owner != viewer.id && !viewer.is_admin() {
        return Err(ApiError::forbidden("only the owner decides about an agreement"));
    }
    step(&mut nda)?;
    let sql = "UPDATE ndas SET status = $1, access_granted = $2 WHERE id = $3";
    tx.execute(sql, &[nda.status.as_str().into(), nda.access_granted.into(), Value::Int(nda.id)]).await?;
    tx.commit().await?;
    Ok((pitch, nda))
}

fn out_of_turn(nda: &Nda) -> ApiError {
    ApiError::conflict("nda_state", format!("the agreement is {}", nda.status))
}

pub(crate) async fn approve(
    State(app): State<App>,
    Path(ids): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let step = |nda: &mut Nda| match nda.status.as_str() {
        "pending" | "signed" if !nda.access_granted => {
            nda.access_granted = true;
            Ok(())
        }
        _ => Err(out_of_turn(nda)),
    };
    let (pitch, nda) = by_owner(&app, ids, &headers, step).await?;
    Ok(nda.answer(StatusCode::OK, pitch))
}

pub(crate) async fn reject(
    State(app): State<App>,
    Path(ids): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let step = |nda: &mut Nda| match nda.status.as_str() {
        "pending" | "signed" if !nda.access_granted => {
            nda.status = "rejected".into();
            Ok(())
        }
        _ => Err(out_of_turn(nda)),
    };
    let (pitch, nda) = by_owner(&app, ids, &headers, step).await?;
    Ok(nda.answer(StatusCode::OK, pitch))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    Path(ids): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let step = |nda: &mut Nda| match nda.status.as_str() {
        "pending" | "signed" => {
            nda.status = "revoked".into();
            nda.access_granted = false;
            Ok(())
        }
        _ => Err(out_of_turn(nda)),
    };
    let (pitch, nda) = by_owner(&app, ids, &headers, step).await?;
    let mut response = nda.answer(StatusCode::OK, pitch);
    let mut stale = Stale::default();
    stale.hard(tags::pitch(pitch));
    stale.write(response.headers_mut());
    Ok(response)
}

pub(crate) async fn sign(
    State(app): State<App>,
    Path((pitch, nda)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = app.now();
    let viewer = session::viewer(&app.db, &headers, now).await?;
    let pitch = pitch_id(&pitch)?;
    let mut tx = app.begin().await?;
    let (_, mut nda) = lock(&mut tx, pitch, &nda, &viewer).await?;
    if nda.signer != viewer.id {
        return Err(ApiError::forbidden("only who asked for an agreement can sign it"));
    }
    if nda.status != "pending" {
        return Err(out_of_turn(&nda));
    }
    nda.status = "signed".into();
    let sql = "UPDATE ndas SET status = 'signed', signed_at = $1, expires_at = $2 WHERE id = $3";
    tx.execute(sql, &[Value::Time(now), Value::Time(expiry(now)), Value::Int(nda.id)]).await?;
    tx.commit().await?;
    Ok(nda.answer(StatusCode::OK, pitch))
}

fn expiry(now: Timestamp) -> Timestamp {
    now + std::time::Duration::from_secs(SIGNED_DAYS * 24 * 60 * 60)
}
