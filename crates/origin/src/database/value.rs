use edge_cache_core::Timestamp;

/// One value, in or out, the same for both databases.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value.
    Null,
    /// `boolean`; 0 or 1 in SQLite.
    Bool(bool),
    /// `bigint`.
    Int(i64),
    /// `double precision`.
    Float(f64),
    /// `text`. Without NUL characters, which no database takes.
    Text(String),
    /// `timestamptz`; microseconds since the Unix epoch as an integer in SQLite.
    Time(Timestamp),
    /// `text[]`; a JSON array as text in SQLite.
    TextList(Vec<String>),
    /// `jsonb`; text in SQLite.
    Json(serde_json::Value),
    /// `bytea`.
    Bytes(Vec<u8>),
}

impl Value {
    /// A text, or null.
    #[must_use]
    pub fn opt_text(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }

    /// A number, or null.
    #[must_use]
    pub fn opt_int(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Int)
    }

    /// A time, or null.
    #[must_use]
    pub fn opt_time(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Null, Self::Time)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}
