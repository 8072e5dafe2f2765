use std::{collections::BTreeMap, path::Path};

use config::{Environment, Source};
use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::{Settings, SettingsError};

const PREFIX: &str = "CACHE_PROXY";
const SEPARATOR: &str = "__";

impl Settings {
    /// Reads `file`, lets the environment override it, and validates the whole.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right.
    pub fn load(file: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| SettingsError::other(format!("cannot be read: {error}")).in_file(file))?;
        Self::read(&text, environment()).map_err(|error| error.in_file(file))
    }

    /// The defaults, with the environment's overrides.
    ///
    /// # Errors
    /// What is wrong with a variable.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Self::read("", environment())
    }

    /// Reads TOML text alone.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        Self::read(text, environment().source(Some(std::collections::HashMap::new())))
    }

    pub(super) fn read(text: &str, environment: Environment) -> Result<Self, SettingsError> {
        let mut tree: Table = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        let overrides = Overrides::collect(&environment)?;
        overrides.lay_over(&mut tree)?;
        let settings: Self = serde_path_to_error::deserialize(Value::Table(tree.clone()))
            .map_err(|error| explain(&tree, error.path(), error.inner().message()))
            .map_err(|error| overrides.name_variable(error))?;
        settings.validate().map_err(|error| overrides.name_variable(error))?;
        Ok(settings)
    }
}

pub(super) fn environment() -> Environment {
    // Its own parsing would read the tenant `007` as the number 7: what a variable means depends on its key.
    Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR)
}

/// What the environment sets, by key (`memory.capacity_bytes`).
struct Overrides(BTreeMap<String, String>);

impl Overrides {
    fn collect(environment: &Environment) -> Result<Self, SettingsError> {
        let wrong = |error: config::ConfigError| SettingsError::other(error.to_string());
        let set = environment.collect().map_err(wrong)?;
        let texts = set.into_iter().map(|(key, value)| Ok((key, value.into_string().map_err(wrong)?)));
        texts.collect::<Result<_, _>>().map(Self)
    }

    fn lay_over(&self, tree: &mut Table) -> Result<(), SettingsError> {
        let defaults = Table::try_from(Settings::default()).expect("the defaults are a table");
        for (key, text) in &self.0 {
            let (sections, name) = key.rsplit_once('.').unwrap_or(("", key));
            let outermost = sections.split('.').next().unwrap_or_default();
            if defaults.get(outermost).is_some_and(|section| !section.is_table()) {
                let message = format!("{}: `{outermost}` can be set in the file only", variable(key));
                return Err(SettingsError::other(message));
            }
            // What is no section though it should be is the file's mistake, and named as such.
            let Some(table) = section(tree, sections) else { continue };
            table.insert(name.to_owned(), typed(text, by_name(&defaults, key)));
        }
        Ok(())
    }

    /// Adds the variable to a message about a key that the environment set: the file is not where to look.
    fn name_variable(&self, error: SettingsError) -> SettingsError {
        let message = error.to_string();
        let about = message.split([' ', ':']).next().unwrap_or_default();
        let is_unknown = message.contains("unknown key");
        let set = self.0.keys().find(|key| {
            about == *key
                || about.strip_prefix(*key).is_some_and(|rest| rest.starts_with('['))
                // A section that nobody knows.
                || is_unknown && key.strip_prefix(about).is_some_and(|rest| rest.starts_with('.'))
        });
        match set {
            Some(key) => SettingsError::other(format!("{message} (set by {})", variable(key))),
            None => error,
        }
    }
}

fn by_name<'a>(tree: &'a Table, key: &str) -> Option<&'a Value> {
    let mut names = key.split('.');
    let section = tree.get(names.next()?)?;
    names.try_fold(section, |at, name| at.get(name))
}

/// The table that `path` names, made if it is missing. `None` where the file has something else in its place.
fn section<'a>(tree: &'a mut Table, path: &str) -> Option<&'a mut Table> {
    path.split('.')
        .filter(|name| !name.is_empty())
        .try_fold(tree, |table, name| table.entry(name).or_insert_with(|| Value::Table(Table::new())).as_table_mut())
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{SEPARATOR}{}", key.replace('.', SEPARATOR).to_uppercase())
}

/// A variable's text as the type that its key has by default; a text that does not fit stays one, and is refused as such.
fn typed(text: &str, default: Option<&Value>) -> Value {
    let fits = match default {
        Some(Value::Integer(_)) => text.parse().ok().map(Value::Integer),
        Some(Value::Boolean(_)) => text.parse().ok().map(Value::Boolean),
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(Value::from).collect()))
        }
        _ => None,
    };
    fits.unwrap_or_else(|| text.into())
}

/// `line 3, column 18: extra `=``: where the text stops to be TOML.
fn syntax(text: &str, error: &toml::de::Error) -> SettingsError {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return SettingsError::other(message);
    };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    SettingsError::other(format!("line {line}, column {column}: {message}"))
}

/// What is wrong at `path`, as `key = value: rule`, or the unknown key with the one that may have been meant.
fn explain(tree: &Table, path: &serde_path_to_error::Path, message: &str) -> SettingsError {
    let at = path.to_string();
    if let Some((_, rest)) = message.split_once("unknown field `") {
        return SettingsError::other(unknown(&at, rest));
    }
    let is_section =
        || matches!(&*at, "route" | "alerts.rule" | "monitor.check") && find(tree, path).is_some_and(Value::is_table);
    let rule = match message.rsplit_once("expected ") {
        Some((_, "a sequence")) if is_section() => format!("must be a list of sections: write [[{at}]]"),
        Some((_, "u64" | "usize")) if at.contains("bytes") => {
            "must be a whole number of bytes, not below zero".to_owned()
        }
        Some((_, expected)) => format!("must be {}", in_words(expected)),
        None => message.to_owned(),
    };
    match find(tree, path) {
        Some(value) if !value.is_table() && !value.is_array() && !may_be_secret(&at, value) => {
            SettingsError::rule(&at, value, rule)
        }
        _ => SettingsError::other(format!("{at}: {rule}")),
    }
}

/// What stands where a secret is wanted, or looks like a URL, may be one.
fn may_be_secret(path: &str, value: &Value) -> bool {
    let named = ["alerts", "url", "password", "token"].iter().any(|part| path.contains(part));
    named || value.as_str().is_some_and(|text| text.contains("://"))
}

/// `rest` follows ``unknown field ` ``: the name, and the names that are known, each in backquotes.
fn unknown(path: &str, rest: &str) -> String {
    let mut quoted = rest.split('`').step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.filter(|name| !name.is_empty()).collect();
    let inside = path.strip_suffix(unknown).unwrap_or(path).trim_end_matches('.');
    let key = if inside.is_empty() { unknown.to_owned() } else { format!("{inside}.{unknown}") };
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(unknown, name), *name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => format!("{key}: unknown key, did you mean `{name}`?"),
        None => format!("{key}: unknown key, expected one of {}", known.join(", ")),
    }
}

/// Serde's name of a type, in the words of the configuration.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not below zero",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string" | "string or table" => "a text in quotes",
        "a sequence" => "a list, [\"…\", …]",
        "a duration" => "a duration, such as \"100ms\", \"2s\", \"5min\" or \"1h\"",
        table if table.starts_with("struct ") => "a section of keys",
        other => other,
    }
}

fn find<'a>(tree: &'a Table, path: &serde_path_to_error::Path) -> Option<&'a Value> {
    let mut at: Option<&Value> = None;
    for segment in path {
        at = Some(match segment {
            Segment::Map { key } => at.map_or_else(|| tree.get(key), |at| at.get(key))?,
            Segment::Seq { index } => at?.get(index)?,
            Segment::Enum { .. } | Segment::Unknown => break,
        });
    }
    at
}
