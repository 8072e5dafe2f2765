use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// What is wrong with a configuration: the file, the key, its value, and the rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    file: Option<PathBuf>,
    message: String,
}

impl SettingsError {
    pub(crate) fn rule(key: &str, value: impl fmt::Display, rule: impl fmt::Display) -> Self {
        Self { file: None, message: format!("{key} = {value}: {rule}") }
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self { file: None, message: message.into() }
    }

    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

/// A length of time as messages tell it.
pub(crate) fn time(value: Duration) -> String {
    if value.is_zero() { "0s".to_owned() } else { format!("{value:?}") }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for SettingsError {}
