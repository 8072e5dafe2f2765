use serde::{Deserialize, Serialize};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormatSetting {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

/// `[log]`: what is logged, to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// What is logged, unless `RUST_LOG` says otherwise. Default: `info`.
    pub filter: String,
    /// `text` or `json`. Default: `text`.
    pub format: LogFormatSetting,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormatSetting::Text }
    }
}
