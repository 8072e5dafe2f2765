//! Browse: every order, filtered, with the total.

use axum::extract::State;
use axum::response::Response;
use edge_cache_core::query::Query;
use edge_cache_origin::database::Value;
use http::{HeaderMap, Uri};

use super::lists::{BY_CREATED, BY_PUBLISHED, BY_SCORE, Filter, Statement, asked, cut, limit, list_tags, meta};
use crate::app::App;
use crate::error::ApiError;
use crate::pitch::{CARD, CARD_FROM, PUBLIC, Rank};
use crate::respond::shared;

const BY_VIEWS: &str = "p.view_count DESC, p.id DESC";
const BY_LIKES: &str = "p.like_count DESC, p.id DESC";

/// `sort` before `tab`; titles run from A, everything else from the largest, unless `order` says otherwise.
fn order(query: &Query) -> &'static str {
    let ascending = query.text("order") == Some("asc");
    match (query.text("sort"), query.text("tab")) {
        (Some("date"), _) if ascending => "p.created_at ASC, p.id ASC",
        (Some("date"), _) => BY_CREATED,
        (Some("views"), _) if ascending => "p.view_count ASC, p.id ASC",
        (Some("views"), _) => BY_VIEWS,
        (Some("likes"), _) if ascending => "p.like_count ASC, p.id ASC",
        (Some("likes"), _) => BY_LIKES,
        (Some("title"), _) if query.text("order") == Some("desc") => "p.title_key DESC, p.id DESC",
        (Some("title"), _) => "p.title_key ASC, p.id ASC",
        (_, Some("new")) => BY_PUBLISHED,
        (_, Some("popular")) => BY_VIEWS,
        _ => BY_SCORE,
    }
}

/// What the largest of comes first, if anything that is counted.
fn rank(query: &Query) -> Option<Rank> {
    match order(query) {
        BY_SCORE => Some(Rank::Score),
        BY_VIEWS => Some(Rank::Views),
        BY_LIKES => Some(Rank::Likes),
        _ => None,
    }
}

/// The page and the total in one statement; the total comes even where the page is empty.
pub(crate) fn browse_statement(query: &Query) -> Statement {
    let mut filter = Filter::slices(query);
    let order = order(query);
    let limit = filter.place(Value::Int(limit(query)));
    let offset = filter.place(Value::Int(query.int("offset").unwrap_or(0)));
    let conditions = &filter.sql;
    let sql = format!(
        "SELECT t.total, c.* FROM (SELECT COUNT(*) AS total FROM pitches p WHERE {PUBLIC}{conditions}) t \
         LEFT JOIN (SELECT {CARD}, ROW_NUMBER() OVER (ORDER BY {order}) AS place FROM {CARD_FROM} \
         WHERE {PUBLIC}{conditions} ORDER BY {order} LIMIT {limit} OFFSET {offset}) c ON TRUE ORDER BY c.place"
    );
    Statement { sql, params: filter.params }
}

pub(crate) async fn browse(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let (endpoint, query) = asked("browse", &uri)?;
    let statement = browse_statement(&query);
    let mut rows = app.db.query(&statement.sql, &statement.params).await?;
    let total = rows.first().map_or(Ok(0), |row| row.int("total"))?;
    rows.retain(|row| row.value("id") != Some(&Value::Null));
    let (cards, _) = cut(&rows, limit(&query))?;
    let tags = list_tags("browse", &query, &cards, rank(&query));
    let shown = i64::try_from(cards.len()).unwrap_or(i64::MAX);
    let has_more = query.int("offset").unwrap_or(0) + shown < total && shown > 0;
    let meta = meta(endpoint, &query, Some(has_more), Some(total));
    Ok(shared(endpoint, &headers, &tags, cards, Some(meta)))
}
