//! A creator's public profile.

use axum::extract::{Path, State};
use axum::response::Response;
use edge_cache_origin::database::{Rfc3339, Value};
use http::{HeaderMap, Uri};
use serde_json::json;

use super::lists::{asked, cut, pitch_tags};
use crate::app::App;
use crate::error::ApiError;
use crate::pitch::{CARD, CARD_FROM, PUBLIC, parse_id};
use crate::respond::shared;
use crate::tags::{self, Tags};

/// Pitches shown in a profile, the latest first.
const LATEST: i64 = 10;

/// The profile, its counts and the latest pitches in one statement; without pitches the columns after the profile are null.
pub(crate) fn creator_sql() -> String {
    format!(
        "SELECT c.username AS profile_username, c.user_type AS profile_type, c.first_name, c.last_name, c.bio, c.location, \
         c.company_name, c.company_verified, c.avatar_url, c.created_at AS member_since, \
         (SELECT COUNT(*) FROM pitches p WHERE p.user_id = c.id AND {PUBLIC}) AS pitch_count, \
         (SELECT CAST(COALESCE(SUM(p.view_count), 0) AS bigint) FROM pitches p WHERE p.user_id = c.id AND {PUBLIC}) AS views, \
         (SELECT COUNT(*) FROM follows f WHERE f.following_id = c.id) AS followers, \
         (SELECT COUNT(*) FROM follows f WHERE f.follower_id = c.id) AS following, l.* \
         FROM users c LEFT JOIN (SELECT {CARD} FROM {CARD_FROM} WHERE p.user_id = $1 AND {PUBLIC} \
         ORDER BY p.created_at DESC, p.id DESC LIMIT $2) l ON TRUE \
         WHERE c.id = $1 AND c.is_active ORDER BY l.created_at DESC, l.id DESC"
    )
}

pub(crate) async fn creator(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (endpoint, _) = asked("creator", &uri)?;
    let missing = || ApiError::not_found("creator_not_found", "there is no such creator");
    let id = parse_id(&id).ok_or_else(missing)?;
    let mut rows = app.db.query(&creator_sql(), &[Value::Int(id), Value::Int(LATEST)]).await?;
    let tag = tags::creator(id);
    let Some(row) = rows.first() else { return Err(missing().with_tags(Tags::default().with(tag))) };
    let mut data = json!({
        "id": id,
        "username": row.text("profile_username")?,
        "user_type": row.text("profile_type")?,
        "first_name": row.opt_text("first_name")?,
        "last_name": row.opt_text("last_name")?,
        "bio": row.opt_text("bio")?,
        "location": row.opt_text("location")?,
        "company_name": row.opt_text("company_name")?,
        "company_verified": row.bool("company_verified")?,
        "avatar_url": row.opt_text("avatar_url")?,
        "member_since": Rfc3339(row.time("member_since")?),
        "counts": {
            "pitches": row.int("pitch_count")?,
            "views": row.int("views")?,
            "followers": row.int("followers")?,
            "following": row.int("following")?,
        },
    });
    rows.retain(|row| row.value("id") != Some(&Value::Null));
    let (cards, _) = cut(&rows, LATEST)?;
    let tags = pitch_tags(&cards).with(tag);
    data["latest_pitches"] = serde_json::to_value(cards).expect("cards are made of texts and numbers");
    Ok(shared(endpoint, &headers, &tags, data, None))
}
