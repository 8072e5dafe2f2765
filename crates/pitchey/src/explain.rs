//! The statements of the list endpoints, for EXPLAIN.

use edge_cache_core::Timestamp;
use edge_cache_origin::database::{Dialect, Value};

use crate::dialect;
use crate::endpoints::endpoint;
use crate::reads::lists::{self, Statement};
use crate::reads::{browse, detail, personal, search};

/// One statement as an endpoint sends it, and the index that serves it on Postgres.
#[derive(Clone, Debug)]
pub struct Explainable {
    /// The endpoint with the parameters asked for.
    pub question: String,
    /// `EXPLAIN` and the statement.
    pub sql: String,
    /// Its parameters.
    pub params: Vec<Value>,
    /// The index that its plan must name.
    pub index: &'static str,
}

/// One typical question to each list endpoint. `now` is the end of windows in time.
///
/// # Panics
/// Never: the questions here fit their endpoints, a test says so.
#[must_use]
pub fn explainable(dialect: Dialect, now: Timestamp) -> Vec<Explainable> {
    let asked = [
        ("trending", "limit=10", "pitches_trending_idx"),
        ("trending", "limit=10&days=30", "pitches_trending_idx"),
        ("new", "limit=10", "pitches_new_idx"),
        ("featured", "", "pitches_featured_idx"),
        ("public", "page=1", "pitches_public_idx"),
        ("public", "genre=noir", "pitches_genre_idx"),
        ("public", "format=other", "pitches_format_idx"),
        ("browse", "tab=trending&limit=100", "pitches_trending_idx"),
        ("browse", "tab=new&limit=100", "pitches_new_idx"),
        ("browse", "tab=popular&limit=100", "pitches_views_idx"),
        ("browse", "sort=date&offset=24", "pitches_public_idx"),
        ("browse", "sort=views&order=asc", "pitches_views_idx"),
        ("browse", "sort=likes", "pitches_likes_idx"),
        ("browse", "sort=title", "pitches_title_idx"),
        ("browse", "sort=date&genre=noir", "pitches_genre_idx"),
        ("search", "q=glass+cartographer", "pitch_search_trigram_idx"),
        ("autocomplete", "q=light", "pitches_title_idx"),
    ];
    let mut all: Vec<Explainable> =
        asked.into_iter().map(|(name, raw, index)| one(dialect, now, name, raw, index)).collect();
    let user = |limit| vec![Value::Int(1), Value::Int(limit), Value::Int(0)];
    let personal = [
        ("mine", personal::mine_sql(), user(21), "pitches_owner_idx"),
        ("following", personal::following_sql(), user(21), "follows_pkey"),
        ("saved", personal::saved_sql(), user(21), "saved_pitches_recent_idx"),
        ("detail", detail::anonymous_sql(dialect, "p.slug = $1"), vec![Value::from("a-slug")], "pitches_slug_key"),
    ];
    for (question, sql, params, index) in personal {
        all.push(Explainable { question: question.into(), sql: dialect::explain(dialect, &sql), params, index });
    }
    all
}

fn one(dialect: Dialect, now: Timestamp, name: &str, raw: &str, index: &'static str) -> Explainable {
    let query = endpoint(name).query.canonicalize(raw).expect("the questions above fit their endpoints");
    let Statement { sql, params } = match name {
        "trending" => lists::trending_statement(&query, now),
        "new" => lists::newest_statement(&query),
        "featured" => lists::featured_statement(&query),
        "public" => lists::public_statement(&query),
        "browse" => browse::browse_statement(&query),
        "search" => search::search_statement(&query),
        _ => search::autocomplete_statement(&query),
    };
    Explainable { question: format!("{name}?{raw}"), sql: dialect::explain(dialect, &sql), params, index }
}
