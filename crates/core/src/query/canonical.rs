use std::borrow::Cow;
use std::fmt;

use super::percent::{decode, encode};
use super::{Fold, Param, ParamKind};

/// The parameters that a route takes, in name order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuerySpec {
    params: Vec<Param>,
}

/// A query that passed its [`QuerySpec`], defaults filled in. Displays as the canonical query string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    values: Vec<(Cow<'static, str>, Value)>,
    canonical: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Value {
    Int(i64),
    Text(String),
}

/// A parameter that breaks its rule; displays as `limit: must be a whole number from 1 to 50`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{param}: {rule}")]
pub struct QueryError {
    /// The parameter's name.
    pub param: Cow<'static, str>,
    /// The rule, starting with `must`.
    pub rule: String,
}

impl QuerySpec {
    /// A route that takes `params`, in any order, and drops all others. Of two with one name the first counts.
    #[must_use]
    pub fn new(params: impl IntoIterator<Item = Param>) -> Self {
        let mut params: Vec<Param> = params.into_iter().collect();
        params.sort_by(|a, b| a.name.cmp(&b.name));
        params.dedup_by(|later, first| later.name == first.name);
        Self { params }
    }

    /// The parameters, in name order.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Reads `raw`, the part of a URI after `?`, percent-encoded. Of a repeated parameter the first counts.
    ///
    /// # Errors
    /// The first parameter, in name order, that breaks its rule.
    pub fn canonicalize(&self, raw: &str) -> Result<Query, QueryError> {
        let mut given: Vec<Option<&str>> = vec![None; self.params.len()];
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A name that is no UTF-8 is no declared name either: dropped like every unknown one.
            let Ok(name) = decode(name) else { continue };
            if let Ok(at) = self.params.binary_search_by(|param| (*param.name).cmp(&name)) {
                given[at].get_or_insert(value);
            }
        }
        let mut query = Query::default();
        for (param, raw) in self.params.iter().zip(given) {
            if let Some(value) = param.read(raw)? {
                query.push(param.name.clone(), value);
            }
        }
        Ok(query)
    }
}

impl Param {
    fn read(&self, raw: Option<&str>) -> Result<Option<Value>, QueryError> {
        let Some(raw) = raw else {
            return match &self.kind {
                ParamKind::Int { default, .. } => Ok(default.map(Value::Int)),
                ParamKind::Text { required: true, .. } => Err(self.refuse("is required and ")),
                ParamKind::Text { default, .. } | ParamKind::Choice { default, .. } => {
                    Ok(default.as_ref().map(|text| Value::Text(text.to_string())))
                }
            };
        };
        let text = decode(raw).map_err(|_| self.refuse(""))?;
        // No database takes a NUL in a text, so no question can mean one.
        if text.contains('\0') {
            return Err(self.refuse(""));
        }
        self.fit(&text).map(Some).ok_or_else(|| self.refuse(""))
    }

    fn fit(&self, text: &str) -> Option<Value> {
        match &self.kind {
            ParamKind::Int { min, max, .. } => {
                whole(text).filter(|number| number >= min).map(|number| Value::Int(number.min(*max)))
            }
            ParamKind::Text { fold, chars_min, chars_max, .. } => {
                let folded = fold.apply_cut(text, *chars_max);
                (folded.chars().count() >= *chars_min).then_some(Value::Text(folded))
            }
            ParamKind::Choice { values, .. } => {
                let wanted = Fold::Slug.apply(text);
                values
                    .iter()
                    .find(|value| Fold::Slug.apply(value) == wanted)
                    .map(|value| Value::Text(value.to_string()))
            }
        }
    }

    fn refuse(&self, prefix: &str) -> QueryError {
        QueryError { param: self.name.clone(), rule: format!("{prefix}{}", self.rule()) }
    }
}

/// A decimal number; one too large for 64 bits is still a number, and larger than every cap.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let limit = if digits.len() < text.len() { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(limit))
}

impl Query {
    fn push(&mut self, name: Cow<'static, str>, value: Value) {
        if !self.canonical.is_empty() {
            self.canonical.push('&');
        }
        encode(&name, &mut self.canonical);
        self.canonical.push('=');
        match &value {
            Value::Int(number) => self.canonical.push_str(&number.to_string()),
            Value::Text(text) => encode(text, &mut self.canonical),
        }
        self.values.push((name, value));
    }

    /// The number called `name`; `None` where it is left out without a default, or is no number.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        self.value(name).and_then(|value| match value {
            Value::Int(number) => Some(*number),
            Value::Text(_) => None,
        })
    }

    /// The text or choice called `name`; `None` where it is left out without a default, or is a number.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            Value::Int(_) => None,
        })
    }

    /// The canonical query string: every parameter that has a value, in name order, defaults spelt out, percent-encoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find_map(|(known, value)| (known == name).then_some(value))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical)
    }
}
