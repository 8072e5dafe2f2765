//! Trending, new, featured and public: one statement each, each served by an index of its own.

use axum::extract::State;
use axum::response::Response;
use edge_cache_core::Timestamp;
use edge_cache_core::query::Query;
use edge_cache_origin::database::{DbError, Row, Value};
use http::{HeaderMap, Uri};

use crate::app::App;
use crate::endpoints::{Endpoint, endpoint};
use crate::error::ApiError;
use crate::pitch::{CARD, CARD_FROM, Card, PUBLIC, Rank, days_before};
use crate::respond::{Meta, Pagination, shared};
use crate::tags::{self, Tags};

/// 0.3·views + 0.5·likes + 0.2·comments, times ten, so that both databases compute the same whole number.
pub(crate) const BY_SCORE: &str =
    "(3 * p.view_count + 5 * p.like_count + 2 * p.comment_count) DESC, p.created_at DESC, p.id DESC";
pub(crate) const BY_PUBLISHED: &str = "p.published_at DESC, p.id DESC";
pub(crate) const BY_CREATED: &str = "p.created_at DESC, p.id DESC";
const BY_APPEAL: &str = "(p.view_count + 3 * p.like_count) DESC, p.created_at DESC, p.id DESC";

/// A statement and its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) params: Vec<Value>,
}

/// Conditions that grow with what was asked, so that each shape of a question can use its own index.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) sql: String,
    pub(crate) params: Vec<Value>,
}

impl Filter {
    /// The filter by genre and format, where `query` asks for them.
    pub(crate) fn slices(query: &Query) -> Self {
        let mut filter = Self::default();
        if let Some(genre) = query.text("genre") {
            filter.and("p.genre = ", genre.into());
        }
        if let Some(format) = query.text("format") {
            filter.and("p.format = ", format.into());
        }
        filter
    }

    pub(crate) fn and(&mut self, condition: &str, value: Value) {
        let place = self.place(value);
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.sql.push_str(&place);
    }

    /// Adds a parameter and names its place.
    pub(crate) fn place(&mut self, value: Value) -> String {
        self.params.push(value);
        format!("${}", self.params.len())
    }
}

/// Public pitches that pass `filter`, in `order`: `limit` of them after `offset`, and one more to see whether there is more.
pub(crate) fn select(mut filter: Filter, order: &str, limit: i64, offset: i64) -> Statement {
    let limit = filter.place(Value::Int(limit + 1));
    let offset = filter.place(Value::Int(offset));
    let sql = format!(
        "SELECT {CARD} FROM {CARD_FROM} WHERE {PUBLIC}{} ORDER BY {order} LIMIT {limit} OFFSET {offset}",
        filter.sql
    );
    Statement { sql, params: filter.params }
}

pub(crate) fn limit(query: &Query) -> i64 {
    query.int("limit").expect("limit is declared with a default wherever this is called")
}

fn offset(query: &Query) -> i64 {
    query.int("offset").unwrap_or(0)
}

/// Items before a page.
pub(crate) fn page_offset(query: &Query) -> i64 {
    (query.int("page").unwrap_or(1) - 1) * limit(query)
}

pub(crate) fn trending_statement(query: &Query, now: Timestamp) -> Statement {
    let mut filter = Filter::default();
    if let Some(days) = query.text("days").and_then(|days| days.parse().ok()) {
        filter.and("p.published_at >= ", Value::Time(days_before(now, days)));
    }
    select(filter, BY_SCORE, limit(query), offset(query))
}

pub(crate) fn newest_statement(query: &Query) -> Statement {
    select(Filter::default(), BY_PUBLISHED, limit(query), offset(query))
}

pub(crate) fn featured_statement(query: &Query) -> Statement {
    select(Filter::default(), BY_APPEAL, limit(query), 0)
}

pub(crate) fn public_statement(query: &Query) -> Statement {
    select(Filter::slices(query), BY_CREATED, limit(query), page_offset(query))
}

pub(crate) async fn trending(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, query) = asked("trending", &uri)?;
    let statement = trending_statement(&query, app.now());
    list(&app, endpoint, &query, statement, Some(Rank::Score), &headers).await
}

pub(crate) async fn newest(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, query) = asked("new", &uri)?;
    let statement = newest_statement(&query);
    list(&app, endpoint, &query, statement, None, &headers).await
}

pub(crate) async fn featured(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, query) = asked("featured", &uri)?;
    let statement = featured_statement(&query);
    list(&app, endpoint, &query, statement, None, &headers).await
}

pub(crate) async fn public(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, query) = asked("public", &uri)?;
    let statement = public_statement(&query);
    list(&app, endpoint, &query, statement, None, &headers).await
}

/// The endpoint called `name`, and what was asked of it.
pub(crate) fn asked(name: &str, uri: &Uri) -> Result<(&'static Endpoint, Query), ApiError> {
    let endpoint = endpoint(name);
    let query = endpoint.query.canonicalize(uri.query().unwrap_or_default())?;
    Ok((endpoint, query))
}

async fn list(
    app: &App,
    endpoint: &Endpoint,
    query: &Query,
    statement: Statement,
    rank: Option<Rank>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let rows = app.db.query(&statement.sql, &statement.params).await?;
    let (cards, has_more) = cut(&rows, limit(query))?;
    let tags = list_tags(endpoint.name, query, &cards, rank);
    let meta = meta(endpoint, query, Some(has_more), None);
    Ok(shared(endpoint, headers, &tags, cards, Some(meta)))
}

/// The first `limit` rows as cards, and whether there were more.
pub(crate) fn cut(rows: &[Row], limit: i64) -> Result<(Vec<Card>, bool), DbError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let cards = rows.iter().take(limit).map(Card::read).collect::<Result<Vec<_>, _>>()?;
    Ok((cards, rows.len() > limit))
}

pub(crate) fn meta(endpoint: &Endpoint, query: &Query, has_more: Option<bool>, total: Option<i64>) -> Meta {
    let limit = limit(query);
    let (page, offset) = (query.int("page"), query.int("offset"));
    Meta { pagination: Pagination { page, limit, limit_max: endpoint.limit_max(), offset, total, has_more } }
}

/// A tag for each pitch shown. First pages have the list's own tag as well, and those of the slices they show: what is new in a list
/// comes in there, and later pages may lag. A pitch that was never seen does not come into a full page of pitches that were.
pub(crate) fn list_tags(list: &str, query: &Query, cards: &[Card], rank: Option<Rank>) -> Tags {
    let mut found = pitch_tags(cards);
    if query.int("offset").unwrap_or(0) == 0 && query.int("page").unwrap_or(1) == 1 {
        let is_full = usize::try_from(limit(query)).is_ok_and(|limit| cards.len() == limit);
        let is_ranked = rank.is_some_and(|rank| cards.last().is_some_and(|last| last.is_ranked(rank)));
        let slices = [query.text("genre").map(tags::genre), query.text("format").map(tags::format)];
        for tag in std::iter::once(tags::list(list)).chain(slices.into_iter().flatten()) {
            if !(is_full && is_ranked) {
                found.add(tags::open(&tag));
            }
            found.add(tag);
        }
    }
    found
}

pub(crate) fn pitch_tags(cards: &[Card]) -> Tags {
    cards.iter().fold(Tags::default(), |found, card| found.with(tags::pitch(card.id)))
}
