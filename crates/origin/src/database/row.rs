use std::sync::Arc;

use edge_cache_core::Timestamp;

use super::{DbError, Value};

/// One row of an answer; columns are read by name.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

/// Makes the pair of getters for a type: one for columns that always have a value, one for those that may not.
macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident, $opt_name:ident, $type:ty, $expected:literal, $convert:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`DbError::Decode`] when there is no such column, it is null, or of another type.
        pub fn $name(&self, column: &str) -> Result<$type, DbError> {
            self.$opt_name(column)?.ok_or_else(|| decode(column, $expected))
        }

        $(#[$doc])*
        /// `None` where it is null.
        ///
        /// # Errors
        /// [`DbError::Decode`] when there is no such column, or it is of another type.
        pub fn $opt_name(&self, column: &str) -> Result<Option<$type>, DbError> {
            match self.value(column).ok_or_else(|| decode(column, $expected))? {
                Value::Null => Ok(None),
                value => $convert(value).map(Some).ok_or_else(|| decode(column, $expected)),
            }
        }
    )*};
}

fn decode(column: &str, expected: &'static str) -> DbError {
    DbError::Decode { column: column.to_owned(), expected }
}

impl Row {
    pub(super) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of the first column called `column`.
    #[must_use]
    pub fn value(&self, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.values.get(at)
    }

    /// The names of the columns, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    getters! {
        /// A whole number.
        int, opt_int, i64, "a whole number", |value: &Value| match value {
            Value::Int(number) => Some(*number),
            _ => None,
        };
        /// A number.
        float, opt_float, f64, "a number", |value: &Value| match value {
            Value::Float(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "SQLite stores whole floats as integers, which fit")]
            Value::Int(number) => Some(*number as f64),
            _ => None,
        };
        /// True or false.
        bool, opt_bool, bool, "true or false", |value: &Value| match value {
            Value::Bool(truth) => Some(*truth),
            Value::Int(number) => Some(*number != 0),
            _ => None,
        };
        /// A text, copied.
        text, opt_text, String, "text", |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        /// A time, cut to milliseconds.
        time, opt_time, Timestamp, "a time", |value: &Value| match value {
            Value::Time(time) => Some(*time),
            Value::Int(micros) => Some(Timestamp::from_millis(micros.div_euclid(1000))),
            _ => None,
        };
        /// A list of texts.
        text_list, opt_text_list, Vec<String>, "a list of texts", |value: &Value| match value {
            Value::TextList(list) => Some(list.clone()),
            Value::Text(json) => serde_json::from_str(json).ok(),
            _ => None,
        };
        /// A JSON value.
        json, opt_json, serde_json::Value, "JSON", |value: &Value| match value {
            Value::Json(json) => Some(json.clone()),
            Value::Text(json) => serde_json::from_str(json).ok(),
            _ => None,
        };
        /// Bytes.
        bytes, opt_bytes, Vec<u8>, "bytes", |value: &Value| match value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        };
    }
}
