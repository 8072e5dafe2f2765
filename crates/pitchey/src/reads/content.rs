//! What hardly ever changes.

use axum::extract::{Path, State};
use axum::response::Response;
use edge_cache_origin::database::Rfc3339;
use http::{HeaderMap, Uri};
use serde_json::json;

use super::lists::asked;
use crate::app::App;
use crate::body::BODY_BYTES_MAX;
use crate::endpoints::FORMATS;
use crate::error::ApiError;
use crate::respond::shared;
use crate::tags::Tags;
use crate::text::is_slug;

pub(crate) async fn config(uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, _) = asked("config", &uri)?;
    let data = json!({
        "formats": FORMATS,
        "user_types": ["creator", "production", "investor", "viewer", "admin"],
        "visibilities": ["public", "investors_only", "private"],
        "sorts": ["date", "views", "likes", "title"],
        "tabs": ["trending", "new", "popular"],
        "search_chars": {"min": 2, "max": 100},
        "body_bytes_max": BODY_BYTES_MAX,
    });
    Ok(shared(endpoint, &headers, &Tags::default(), data, None))
}

pub(crate) async fn content(
    State(app): State<App>,
    Path(page): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (endpoint, _) = asked("content", &uri)?;
    let missing = || ApiError::not_found("content_not_found", "there is no such page");
    if !is_slug(&page) {
        return Err(missing());
    }
    let sql = "SELECT key, value, updated_at FROM content_items WHERE key = $1";
    let rows = app.db.query(sql, &[page.as_str().into()]).await?;
    let tags = Tags::default().with(format!("content-{page}"));
    let Some(row) = rows.first() else { return Err(missing().with_tags(tags)) };
    let data = json!({
        "key": row.text("key")?,
        "value": row.json("value")?,
        "updated_at": Rfc3339(row.time("updated_at")?),
    });
    Ok(shared(endpoint, &headers, &tags, data, None))
}
