//! Counts over whole tables.

use axum::extract::State;
use axum::response::Response;
use edge_cache_origin::database::{DbError, Row};
use http::{HeaderMap, Uri};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::lists::asked;
use crate::app::App;
use crate::error::ApiError;
use crate::pitch::PUBLIC;
use crate::respond::shared;
use crate::tags::Tags;

#[derive(Serialize)]
struct Count {
    value: String,
    count: i64,
}

fn read(rows: &[Row], facet: &str) -> Result<Vec<Count>, DbError> {
    let of_facet = rows.iter().filter(|row| row.text("facet").is_ok_and(|found| found == facet));
    of_facet.map(|row| Ok(Count { value: row.text("value")?, count: row.int("count")? })).collect()
}

/// Counts of public pitches by each of `columns`, the largest first.
fn count_by(columns: &[(&str, &str)]) -> String {
    let one = |(facet, column): &(&str, &str)| {
        format!(
            "SELECT '{facet}' AS facet, p.{column} AS value, COUNT(*) AS count FROM pitches p \
             WHERE {PUBLIC} AND p.{column} IS NOT NULL GROUP BY p.{column}"
        )
    };
    let parts: Vec<String> = columns.iter().map(one).collect();
    format!("SELECT facet, value, count FROM ({}) f ORDER BY count DESC, value", parts.join(" UNION ALL "))
}

pub(crate) async fn facets(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, _) = asked("facets", &uri)?;
    let sql = count_by(&[("genre", "genre"), ("format", "format"), ("budget", "budget_bracket")]);
    let rows = app.db.query(&sql, &[]).await?;
    let data = json!({
        "genres": read(&rows, "genre")?,
        "formats": read(&rows, "format")?,
        "budget_brackets": read(&rows, "budget")?,
    });
    Ok(shared(endpoint, &headers, &Tags::default(), data, None))
}

pub(crate) async fn categories(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, _) = asked("categories", &uri)?;
    let rows = app.db.query(&count_by(&[("genre", "genre"), ("format", "format")]), &[]).await?;
    let data = json!({"genres": read(&rows, "genre")?, "formats": read(&rows, "format")?});
    Ok(shared(endpoint, &headers, &Tags::default(), data, None))
}

/// Views and likes are summed from the pitches' counters: the same numbers as counting millions of rows.
const STATS: [(&str, &str); 10] = [
    ("users", "(SELECT COUNT(*) FROM users)"),
    ("creators", "(SELECT COUNT(*) FROM users WHERE user_type = 'creator')"),
    ("pitches", "(SELECT COUNT(*) FROM pitches)"),
    ("published_pitches", "(SELECT COUNT(*) FROM pitches p WHERE p.status = 'published' AND p.visibility = 'public')"),
    ("views", "(SELECT CAST(COALESCE(SUM(view_count), 0) AS bigint) FROM pitches)"),
    ("likes", "(SELECT CAST(COALESCE(SUM(like_count), 0) AS bigint) FROM pitches)"),
    ("follows", "(SELECT COUNT(*) FROM follows)"),
    ("ndas", "(SELECT COUNT(*) FROM ndas)"),
    ("investments", "(SELECT COUNT(*) FROM investments)"),
    ("invested", "(SELECT CAST(COALESCE(SUM(amount), 0) AS bigint) FROM investments)"),
];

pub(crate) async fn stats(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, _) = asked("stats", &uri)?;
    let columns: Vec<String> = STATS.iter().map(|(name, count)| format!("{count} AS {name}")).collect();
    let rows = app.db.query(&format!("SELECT {}", columns.join(", ")), &[]).await?;
    let row = rows.first().ok_or_else(|| DbError::Decode { column: "users".into(), expected: "there" })?;
    let count = |(name, _): &(&str, &str)| Ok(((*name).to_owned(), Json::from(row.int(name)?)));
    let data: Map<String, Json> = STATS.iter().map(count).collect::<Result<_, DbError>>()?;
    Ok(shared(endpoint, &headers, &Tags::default(), data, None))
}
