//! The handlers that change something. Each runs in one transaction and names what it makes stale only after the commit.

pub(crate) mod fields;
pub(crate) mod ndas;
pub(crate) mod pitches;
pub(crate) mod profile;
pub(crate) mod publish;
pub(crate) mod reactions;
pub(crate) mod views;

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::error::ApiError;
use crate::pitch::{State, parse_id};
use crate::respond::written;
use crate::stale::Stale;
use crate::tags;

/// The pitch's id in a path, or 404.
fn pitch_id(segment: &str) -> Result<i64, ApiError> {
    parse_id(segment).ok_or_else(ApiError::no_pitch)
}

/// The answer to a write of a pitch, with what it makes stale.
fn state_answer(status: StatusCode, state: &State, stale: &Stale) -> Response {
    let data = json!({
        "id": state.id,
        "slug": state.slug,
        "genre": state.genre,
        "format": state.format,
        "status": state.status,
        "visibility": state.visibility,
        "require_nda": state.require_nda,
    });
    let mut response = written(status, data);
    stale.write(response.headers_mut());
    response
}

/// What shows a pitch that fewer people may see from now on: all of it, by its own tags, at once.
fn shrunk(state: &State) -> Stale {
    let mut stale = Stale::default();
    stale.hard(tags::pitch(state.id));
    stale.hard(tags::slug(&state.slug));
    stale
}

/// What a pitch comes into when it becomes public: "not found" answers and the first pages of lists. One that was never `seen` comes in
/// behind every pitch that was.
fn appeared(state: &State, seen: bool) -> Stale {
    let mut stale = Stale::default();
    stale.soft(tags::pitch(state.id));
    stale.soft(tags::slug(&state.slug));
    for list in ["new", "public"] {
        stale.soft(tags::list(list));
    }
    for tag in [tags::list("trending"), tags::list("browse"), tags::genre(&state.genre), tags::format(&state.format)] {
        stale.soft(if seen { tag } else { tags::open(&tag) });
    }
    stale.soft(tags::creator(state.owner));
    stale
}
