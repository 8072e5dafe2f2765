use std::path::Path;

use config::{Config, ConfigError, Environment, File, FileFormat};

use super::{Settings, SettingsError};

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
        Self::read(text, Environment::default().source(Some(std::collections::HashMap::new())))
    }

    pub(super) fn read(text: &str, environment: Environment) -> Result<Self, SettingsError> {
        let merged = Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(environment)
            .build()
            .map_err(|error| SettingsError::other(one_line(&error)))?;
        let settings: Self = serde_path_to_error::deserialize(merged).map_err(|error| {
            let path = error.path().to_string();
            SettingsError::other(explain(&path, error.inner()))
        })?;
        settings.validate()?;
        Ok(settings)
    }
}

fn environment() -> Environment {
    Environment::with_prefix("CACHE_PROXY").prefix_separator("__").separator("__").try_parsing(true)
}

fn one_line(error: &ConfigError) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `memory.capcity_bytes: unknown key, did you mean `capacity_bytes`?`, or the type error with its key.
fn explain(path: &str, error: &ConfigError) -> String {
    let text = one_line(error);
    let Some((_, rest)) = text.split_once("unknown field `") else {
        return if path.is_empty() || text.contains(path) { text } else { format!("{path}: {text}") };
    };
    let mut quoted = rest.split('`').step_by(2);
    let unknown = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.filter(|name| !name.is_empty() && !name.contains(' ')).collect();
    let key = match path.rsplit_once('.') {
        Some((section, last)) if last == unknown => format!("{section}.{unknown}"),
        _ if path == unknown || path.is_empty() || path == "." => unknown.to_owned(),
        _ => format!("{path}.{unknown}"),
    };
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
