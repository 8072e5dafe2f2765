//! One pitch: the same for everyone without a session, and more for those who may see more.

use axum::extract::{Path, State};
use axum::response::Response;
use edge_cache_core::Timestamp;
use edge_cache_origin::database::{DbError, Dialect, Rfc3339, Row, Value};
use http::{HeaderMap, Uri};
use serde_json::{Map, Value as Json, json};

use super::lists::asked;
use crate::app::App;
use crate::dialect::json_rows;
use crate::error::ApiError;
use crate::pitch::{self, PUBLIC, parse_id};
use crate::respond::{private, shared};
use crate::session::{self, Viewer};
use crate::tags::{self, Tags};
use crate::text::is_slug;

/// Columns that everyone who sees the pitch may see.
const OPEN: &str = "p.id, p.user_id, p.title, p.slug, p.tagline, p.logline, p.short_synopsis, p.long_synopsis, p.genre, \
     p.format, p.budget_bracket, p.estimated_budget, p.production_stage, p.target_audience, p.themes, p.poster_url, \
     p.trailer_url, p.status, p.visibility, p.require_nda, p.seeking_investment, p.view_count, p.like_count, \
     p.comment_count, p.nda_count, p.share_count, p.tags, p.published_at, p.created_at, p.updated_at, \
     u.username, u.user_type, u.first_name, u.last_name, u.location, u.company_name, u.company_verified, u.avatar_url";
/// Columns for the owner and for those who signed. No statement for anyone without a session names them.
const CLOSED: &str = "p.budget_breakdown, p.financial_projections, p.distribution_plan, p.contact_details";

/// Which row a path means.
enum Wanted<'a> {
    Id(i64),
    Slug(&'a str),
}

impl<'a> Wanted<'a> {
    fn parse(segment: &'a str) -> Option<Self> {
        match segment.bytes().all(|byte| byte.is_ascii_digit()) {
            true => parse_id(segment).map(Self::Id),
            false => is_slug(segment).then_some(Self::Slug(segment)),
        }
    }

    fn condition(&self) -> (&'static str, Value) {
        match self {
            Self::Id(id) => ("p.id = $1", Value::Int(*id)),
            Self::Slug(slug) => ("p.slug = $1", Value::from(*slug)),
        }
    }

    fn tags(&self) -> Tags {
        Tags::default().with(match self {
            Self::Id(id) => tags::pitch(*id),
            Self::Slug(slug) => tags::slug(slug),
        })
    }
}

fn characters(dialect: Dialect) -> String {
    let fields = [("name", "k.name"), ("description", "k.description"), ("role", "k.role")];
    json_rows(dialect, &fields, "pitch_characters k WHERE k.pitch_id = p.id", "k.display_order, k.id")
}

fn documents(dialect: Dialect, which: &str) -> String {
    let fields = [("file_name", "d.file_name"), ("file_url", "d.file_url"), ("document_type", "d.document_type")];
    json_rows(dialect, &fields, &format!("pitch_documents d WHERE d.pitch_id = p.id{which}"), "d.id")
}

fn related(dialect: Dialect) -> String {
    let fields = [
        ("id", "r.id"),
        ("title", "r.title"),
        ("slug", "r.slug"),
        ("tagline", "r.tagline"),
        ("genre", "r.genre"),
        ("format", "r.format"),
        ("poster_url", "r.poster_url"),
        ("view_count", "r.view_count"),
        ("like_count", "r.like_count"),
    ];
    let from = "(SELECT q.id, q.title, q.slug, q.tagline, q.genre, q.format, q.poster_url, q.view_count, q.like_count, \
                q.created_at FROM pitches q WHERE q.status = 'published' AND q.visibility = 'public' AND q.genre = p.genre \
                AND q.id <> p.id ORDER BY q.created_at DESC, q.id DESC LIMIT 5) r";
    json_rows(dialect, &fields, from, "r.created_at DESC, r.id DESC")
}

pub(crate) fn anonymous_sql(dialect: Dialect, condition: &str) -> String {
    format!(
        "SELECT {OPEN}, {} AS characters, {} AS documents, {} AS related \
         FROM pitches p JOIN users u ON u.id = p.user_id WHERE {condition} AND {PUBLIC}",
        characters(dialect),
        documents(dialect, " AND d.is_public AND NOT d.requires_nda"),
        related(dialect),
    )
}

/// `$2` is the viewer, `$3` the time.
fn signed_in_sql(dialect: Dialect, condition: &str) -> String {
    format!(
        "SELECT {OPEN}, {CLOSED}, {} AS characters, {} AS documents, {} AS all_documents, {} AS related, \
         EXISTS (SELECT 1 FROM pitch_likes k WHERE k.pitch_id = p.id AND k.user_id = $2) AS is_liked, \
         EXISTS (SELECT 1 FROM saved_pitches s WHERE s.pitch_id = p.id AND s.user_id = $2) AS is_saved, \
         EXISTS (SELECT 1 FROM ndas n WHERE n.pitch_id = p.id AND n.signer_id = $2 AND n.status = 'signed' \
         AND n.access_granted AND (n.expires_at IS NULL OR n.expires_at > $3)) AS has_signed \
         FROM pitches p JOIN users u ON u.id = p.user_id WHERE {condition}",
        characters(dialect),
        documents(dialect, " AND d.is_public AND NOT d.requires_nda"),
        documents(dialect, ""),
        related(dialect),
    )
}

pub(crate) async fn detail(
    State(app): State<App>,
    Path(segment): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (endpoint, _) = asked("detail", &uri)?;
    let wanted = Wanted::parse(&segment).ok_or_else(ApiError::no_pitch)?;
    let now = app.now();
    let caller = session::caller(&app.db, &headers, now).await?;
    if let Some(viewer) = caller.viewer {
        return Ok(private(&headers, for_viewer(&app, &wanted, &viewer, now).await?, None));
    }
    let (condition, value) = wanted.condition();
    let rows = app.db.query(&anonymous_sql(app.db.dialect(), condition), &[value]).await?;
    let Some(row) = rows.first() else {
        let missing = ApiError::no_pitch();
        return Err(if caller.has_credential { missing } else { missing.with_tags(wanted.tags()) });
    };
    let data = open_fields(row)?;
    // A session that is over still marks the request as somebody's: caches pass it by, and so does this answer.
    match caller.has_credential {
        true => Ok(private(&headers, data, None)),
        false => Ok(shared(endpoint, &headers, &shown(row)?, data, None)),
    }
}

async fn for_viewer(app: &App, wanted: &Wanted<'_>, viewer: &Viewer, now: Timestamp) -> Result<Json, ApiError> {
    let (condition, value) = wanted.condition();
    let params = [value, Value::Int(viewer.id), Value::Time(now)];
    let rows = app.db.query(&signed_in_sql(app.db.dialect(), condition), &params).await?;
    let row = rows.first().ok_or_else(ApiError::no_pitch)?;
    let state = pitch::State::read(row)?;
    if !state.is_visible_to(Some(viewer)) {
        return Err(ApiError::no_pitch());
    }
    let mut data = open_fields(row)?;
    let is_owner = state.owner == viewer.id;
    data.insert("isLiked".into(), row.bool("is_liked")?.into());
    data.insert("isSaved".into(), row.bool("is_saved")?.into());
    data.insert("isOwner".into(), is_owner.into());
    if is_owner || row.bool("has_signed")? {
        data.insert("budget_breakdown".into(), row.opt_json("budget_breakdown")?.into());
        data.insert("financial_projections".into(), row.opt_json("financial_projections")?.into());
        data.insert("distribution_plan".into(), row.opt_text("distribution_plan")?.into());
        data.insert("contact_details".into(), row.opt_json("contact_details")?.into());
        data.insert("documents".into(), row.json("all_documents")?);
    }
    Ok(Json::Object(data))
}

/// The pitch itself, and every pitch shown beside it.
fn shown(row: &Row) -> Result<Tags, DbError> {
    let related = row.json("related")?;
    let ids = related.as_array().into_iter().flatten().filter_map(|pitch| pitch["id"].as_i64());
    let own = Tags::default().with(tags::pitch(row.int("id")?)).with(tags::slug(&row.text("slug")?));
    Ok(ids.fold(own, |found, id| found.with(tags::pitch(id))))
}

fn open_fields(row: &Row) -> Result<Map<String, Json>, DbError> {
    let mut data = Map::new();
    for column in ["id", "view_count", "like_count", "comment_count", "nda_count", "share_count"] {
        data.insert(column.into(), row.int(column)?.into());
    }
    const TEXTS: [&str; 16] = [
        "title",
        "slug",
        "tagline",
        "logline",
        "short_synopsis",
        "long_synopsis",
        "genre",
        "format",
        "budget_bracket",
        "production_stage",
        "target_audience",
        "themes",
        "poster_url",
        "trailer_url",
        "status",
        "visibility",
    ];
    for column in TEXTS {
        data.insert(column.into(), row.opt_text(column)?.into());
    }
    data.insert("estimated_budget".into(), row.opt_int("estimated_budget")?.into());
    data.insert("require_nda".into(), row.bool("require_nda")?.into());
    data.insert("seeking_investment".into(), row.bool("seeking_investment")?.into());
    data.insert("tags".into(), row.text_list("tags")?.into());
    for column in ["published_at", "created_at", "updated_at"] {
        data.insert(column.into(), row.opt_time(column)?.map(|time| Rfc3339(time).to_string()).into());
    }
    for column in ["characters", "documents", "related"] {
        data.insert(column.into(), row.json(column)?);
    }
    data.insert("creator".into(), creator(row)?);
    Ok(data)
}

fn creator(row: &Row) -> Result<Json, DbError> {
    Ok(json!({
        "id": row.int("user_id")?,
        "username": row.text("username")?,
        "user_type": row.text("user_type")?,
        "first_name": row.opt_text("first_name")?,
        "last_name": row.opt_text("last_name")?,
        "location": row.opt_text("location")?,
        "company_name": row.opt_text("company_name")?,
        "company_verified": row.bool("company_verified")?,
        "avatar_url": row.opt_text("avatar_url")?,
    }))
}
