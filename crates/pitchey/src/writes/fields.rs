//! The fields of a pitch that its owner can set.

use edge_cache_core::query::Fold;
use edge_cache_origin::database::Value;

use crate::body::Fields;
use crate::endpoints::{FORMATS, GENRE_CHARS_MAX};
use crate::error::ApiError;
use crate::text::search_text;

/// Texts that may be null: column, most characters.
const TEXTS: [(&str, usize); 11] = [
    ("tagline", 300),
    ("logline", 1000),
    ("short_synopsis", 5000),
    ("long_synopsis", 30_000),
    ("budget_bracket", 40),
    ("production_stage", 60),
    ("target_audience", 300),
    ("themes", 500),
    ("poster_url", 500),
    ("trailer_url", 500),
    ("distribution_plan", 10_000),
];
const OBJECTS: [&str; 3] = ["budget_breakdown", "financial_projections", "contact_details"];
const VISIBILITIES: [&str; 3] = ["public", "investors_only", "private"];

/// Columns to set, with their values.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<(&'static str, Value)>);

impl Changes {
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        let mut changes = Self::default();
        if let Some(title) = fields.solid_text("title", 1, 200)? {
            changes.set("title", title.into());
        }
        if let Some(genre) = fields.solid_text("genre", 1, 100)? {
            let folded = Fold::Slug.apply_cut(&genre, GENRE_CHARS_MAX);
            if folded.is_empty() {
                return Err(ApiError::field("genre", "must have a letter or a digit"));
            }
            changes.set("genre", folded.into());
        }
        for (column, chars_max) in TEXTS {
            if let Some(text) = fields.text(column, 0, chars_max)? {
                changes.set(column, Value::opt_text(text.filter(|text| !text.is_empty())));
            }
        }
        for column in OBJECTS {
            if let Some(object) = fields.object(column)? {
                changes.set(column, object.map_or(Value::Null, Value::Json));
            }
        }
        if let Some(format) = fields.choice("format", &FORMATS)? {
            changes.set("format", format.into());
        }
        if let Some(visibility) = fields.choice("visibility", &VISIBILITIES)? {
            changes.set("visibility", visibility.into());
        }
        for column in ["require_nda", "seeking_investment"] {
            if let Some(truth) = fields.bool(column)? {
                changes.set(column, truth.into());
            }
        }
        if let Some(budget) = fields.int("estimated_budget", 0, 1_000_000_000_000)? {
            changes.set("estimated_budget", Value::opt_int(budget));
        }
        if let Some(tags) = fields.texts("tags")? {
            changes.set("tags", Value::TextList(tags));
        }
        Ok(changes)
    }

    pub(crate) fn set(&mut self, column: &'static str, value: Value) {
        self.0.push((column, value));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, column: &str) -> Option<&Value> {
        self.0.iter().find_map(|(known, value)| (*known == column).then_some(value))
    }

    pub(crate) fn get_text(&self, column: &str) -> Option<&str> {
        match self.get(column) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Adds the folded title, and gives the text that searches look through, from what the row holds after the change. None where
    /// nothing of that changes. `old` gives what the row holds before.
    pub(crate) fn fold(&mut self, old: impl Fn(&str) -> Option<String>) -> Option<String> {
        const SEARCHED: [&str; 5] = ["title", "tagline", "logline", "genre", "format"];
        if !SEARCHED.iter().any(|column| self.get(column).is_some()) {
            return None;
        }
        let current = |column: &str| match self.get(column) {
            Some(Value::Text(text)) => text.clone(),
            Some(_) => String::new(),
            None => old(column).unwrap_or_default(),
        };
        let parts = SEARCHED.map(current);
        self.set("title_key", Fold::Words.apply(&parts[0]).into());
        Some(search_text(parts.iter().map(String::as_str)))
    }

    /// `INSERT INTO table (…) VALUES (…)`.
    pub(crate) fn insert(self, table: &str) -> (String, Vec<Value>) {
        let columns: Vec<&str> = self.0.iter().map(|(column, _)| *column).collect();
        let places: Vec<String> = (1..=columns.len()).map(|at| format!("${at}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", columns.join(", "), places.join(", "));
        (sql, self.0.into_iter().map(|(_, value)| value).collect())
    }

    /// `UPDATE table SET … WHERE id = …`.
    pub(crate) fn update(self, table: &str, id: i64) -> (String, Vec<Value>) {
        let set = |(at, (column, _)): (usize, &(&str, Value))| format!("{column} = ${}", at + 1);
        let sets: Vec<String> = self.0.iter().enumerate().map(set).collect();
        let sql = format!("UPDATE {table} SET {} WHERE id = ${}", sets.join(", "), sets.len() + 1);
        (sql, self.0.into_iter().map(|(_, value)| value).chain([Value::Int(id)]).collect())
    }
}
