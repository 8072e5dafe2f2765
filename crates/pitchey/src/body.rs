use axum::body::{Body, to_bytes};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Largest body of a write, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 10;

/// The fields of a JSON object, taken one by one; what is left over was not asked for.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body of at most [`BODY_BYTES_MAX`]. An empty one has no fields.
    pub(crate) async fn read(body: Body) -> Result<Self, ApiError> {
        let too_large = |_| {
            let message = format!("a body has at most {BODY_BYTES_MAX} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        };
        let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(too_large)?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(ApiError::bad_request("invalid_json", "the body is not a JSON object")),
            Err(error) => Err(ApiError::bad_request("invalid_json", format!("the body is not JSON: {error}"))),
        }
    }

    /// A text of `chars_min` to `chars_max` characters after trimming. The outer option: sent at all; the inner: not null.
    pub(crate) fn text(
        &mut self,
        name: &str,
        chars_min: usize,
        chars_max: usize,
    ) -> Result<Option<Option<String>>, ApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::String(text)) if !text.contains('\0') => {
                let text = text.trim();
                if !(chars_min..=chars_max).contains(&text.chars().count()) {
                    return Err(ApiError::field(name, format!("must have {chars_min} to {chars_max} characters")));
                }
                Ok(Some(Some(text.to_owned())))
            }
            Some(_) => Err(ApiError::field(name, "must be a text")),
        }
    }

    /// A text that may be left out but not be null.
    pub(crate) fn solid_text(
        &mut self,
        name: &str,
        chars_min: usize,
        chars_max: usize,
    ) -> Result<Option<String>, ApiError> {
        match self.text(name, chars_min, chars_max)? {
            Some(None) => Err(ApiError::field(name, "must not be null")),
            Some(text) => Ok(text),
            None => Ok(None),
        }
    }

    /// One of `values`.
    pub(crate) fn choice(&mut self, name: &str, values: &[&str]) -> Result<Option<String>, ApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if values.contains(&text.as_str()) => Ok(Some(text)),
            Some(_) => Err(ApiError::field(name, format!("must be one of {}", values.join(", ")))),
        }
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(_) => Err(ApiError::field(name, "must be true or false")),
        }
    }

    /// A whole number from `min` to `max`; null only where it is allowed.
    pub(crate) fn int(&mut self, name: &str, min: i64, max: i64) -> Result<Option<Option<i64>>, ApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(value) => match value.as_i64().filter(|number| (min..=max).contains(number)) {
                Some(number) => Ok(Some(Some(number))),
                None => Err(ApiError::field(name, format!("must be a whole number from {min} to {max}"))),
            },
        }
    }

    /// At most 20 texts of at most 40 characters.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, ApiError> {
        let refuse = || ApiError::field(name, "must be a list of at most 20 texts of 1 to 40 characters");
        let Some(value) = self.0.remove(name) else { return Ok(None) };
        let Value::Array(items) = value else { return Err(refuse()) };
        let text = |item: Value| match item {
            Value::String(text) if (1..=40).contains(&text.chars().count()) && !text.contains('\0') => Ok(text),
            _ => Err(refuse()),
        };
        let texts = items.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
        if texts.len() > 20 {
            return Err(refuse());
        }
        Ok(Some(texts))
    }

    /// A JSON object, or null.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Option<Value>>, ApiError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            // Escaped NULs pass JSON, but no database takes them.
            Some(value) if value.is_object() && !value.to_string().contains("\\u0000") => Ok(Some(Some(value))),
            Some(_) => Err(ApiError::field(name, "must be an object")),
        }
    }

    /// Refuses what was sent and not taken.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::field(name, "is not a field of this request")),
        }
    }
}
