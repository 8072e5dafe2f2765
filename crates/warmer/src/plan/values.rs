use toml::{Spanned, Table, Value};

use super::{PlanError, PlanProblem, URLS_MAX, error::Place};

/// What a placeholder stands for, one after the other, fit for a path or a query.
pub(super) fn listed(place: &Place<'_>, name: &str, values: &Spanned<Value>) -> Result<Vec<String>, PlanError> {
    let wrong = |rule| place.at(values.span(), PlanProblem::Values { name: name.to_owned(), rule });
    let listed = match values.get_ref() {
        Value::Array(list) => {
            let one = |value: &Value| match value {
                Value::String(text) => Some(percent(text)),
                Value::Integer(number) => Some(number.to_string()),
                _ => None,
            };
            let all: Option<Vec<String>> = list.iter().map(one).collect();
            all.ok_or_else(|| wrong("must be texts and whole numbers"))?
        }
        Value::Table(range) => range_of(range).map_err(wrong)?,
        _ => return Err(wrong("must be a list, as [10, 24], or a range, as { from = 0, to = 96, step = 24 }")),
    };
    if listed.is_empty() {
        return Err(wrong("must not be empty"));
    }
    Ok(listed)
}

fn range_of(range: &Table) -> Result<Vec<String>, &'static str> {
    const SHAPE: &str = "must be { from = N, to = N, step = N } of whole numbers; step may be left out";
    if range.keys().any(|key| !["from", "to", "step"].contains(&key.as_str())) {
        return Err(SHAPE);
    }
    let number = |key: &str| range.get(key).map(|value| value.as_integer().ok_or(SHAPE)).transpose();
    let (from, to) = (number("from")?.ok_or(SHAPE)?, number("to")?.ok_or(SHAPE)?);
    let step = number("step")?.unwrap_or(1);
    let step = usize::try_from(step).ok().filter(|step| *step > 0).ok_or("step must be at least 1")?;
    if from > to {
        return Err("from must be at most to");
    }
    if to.abs_diff(from) / step as u64 >= URLS_MAX as u64 {
        return Err("a range must be of at most 100000 numbers");
    }
    Ok((from..=to).step_by(step).map(|number| number.to_string()).collect())
}

/// Everything but letters, digits and `-._~` as `%XX`: so a value can stand in a path or in a query and ends neither.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
