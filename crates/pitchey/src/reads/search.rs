//! Search and autocomplete, over columns folded by the same function as the question.

use axum::extract::State;
use axum::response::Response;
use edge_cache_core::query::Query;
use edge_cache_origin::database::Value;
use http::{HeaderMap, Uri};
use serde::Serialize;

use super::lists::{Filter, Statement, asked, cut, limit, meta, page_offset, pitch_tags, select};
use crate::app::App;
use crate::error::ApiError;
use crate::pitch::PUBLIC;
use crate::respond::{Meta, Pagination, shared};
use crate::tags::{self, Tags};
use crate::text::{contains_pattern, prefix_end};

fn question(query: &Query) -> &str {
    query.text("q").expect("q is declared as required")
}

pub(crate) fn search_statement(query: &Query) -> Statement {
    let mut filter = Filter::slices(query);
    let q = question(query);
    let pattern = filter.place(contains_pattern(q).into());
    let searched =
        format!(r" AND p.id IN (SELECT s.pitch_id FROM pitch_search s WHERE s.search_text LIKE {pattern} ESCAPE '\')");
    filter.sql.push_str(&searched);
    let exact = filter.place(q.into());
    let end = filter.place(prefix_end(q).into());
    let order = format!(
        "CASE WHEN p.title_key = {exact} THEN 0 WHEN p.title_key > {exact} AND p.title_key < {end} THEN 1 ELSE 2 END, \
         p.view_count DESC, p.id DESC"
    );
    select(filter, &order, limit(query), page_offset(query))
}

pub(crate) async fn search(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, query) = asked("search", &uri)?;
    let statement = search_statement(&query);
    let rows = app.db.query(&statement.sql, &statement.params).await?;
    let (cards, has_more) = cut(&rows, limit(&query))?;
    let meta = meta(endpoint, &query, Some(has_more), None);
    Ok(shared(endpoint, &headers, &pitch_tags(&cards), cards, Some(meta)))
}

pub(crate) fn autocomplete_statement(query: &Query) -> Statement {
    let q = question(query);
    let sql = format!(
        "SELECT p.id, p.slug, p.title FROM pitches p WHERE {PUBLIC} AND p.title_key >= $1 AND p.title_key < $2 \
         ORDER BY p.title_key, p.id LIMIT $3"
    );
    Statement { sql, params: vec![q.into(), prefix_end(q).into(), Value::Int(limit(query))] }
}

#[derive(Serialize)]
struct Suggestion {
    id: i64,
    slug: String,
    title: String,
}

pub(crate) async fn autocomplete(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, query) = asked("autocomplete", &uri)?;
    let statement = autocomplete_statement(&query);
    let rows = app.db.query(&statement.sql, &statement.params).await?;
    let mut tags = Tags::default();
    let mut suggestions = Vec::with_capacity(rows.len());
    for row in &rows {
        let suggestion = Suggestion { id: row.int("id")?, slug: row.text("slug")?, title: row.text("title")? };
        tags.add(tags::pitch(suggestion.id));
        suggestions.push(suggestion);
    }
    let (limit, limit_max) = (limit(&query), endpoint.limit_max());
    let meta = Meta { pagination: Pagination { limit, limit_max, ..Pagination::default() } };
    Ok(shared(endpoint, &headers, &tags, suggestions, Some(meta)))
}
