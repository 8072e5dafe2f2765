use serde::{Deserialize, Serialize};

use super::{Effort, Endpoint, SAMPLES_MAX};
use crate::Way;

const FORMAT: &str = "edge-cache-baseline";
const VERSION: u64 = 1;

/// What was measured, of what, where and how: enough to measure the same anew, and to compute everything again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// What kind of file it is.
    format: Format,
    /// The version of its form.
    version: u64,
    /// When it was measured (RFC 3339).
    pub when: String,
    /// Who was asked: `http://HOST:PORT`.
    pub target: String,
    /// The `Host` that was named; `None` for the target's own.
    pub authority: Option<String>,
    /// Whether what is stored would do.
    pub way: Way,
    /// The command line.
    pub command: String,
    /// What it was measured on.
    pub machine: Machine,
    /// How much was measured.
    pub effort: Effort,
    /// What was measured.
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "edge-cache-baseline")]
    Baseline,
}

/// The machine that asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Cores that the program could use.
    pub cores: usize,
    /// The processor, as the system calls it.
    pub cpu: String,
    /// The operating system and its version.
    pub os: String,
    /// Whether the asking program was built with optimisations.
    pub optimised: bool,
}

/// Why a text is no [`Recording`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum RecordingError {
    #[error("is no baseline: must be JSON as `baseline record` writes it")]
    Json(#[source] serde_json::Error),
    #[error("is no baseline: format must be \"{FORMAT}\"")]
    Format,
    #[error("version = {0}: must be {VERSION}, which is what this program reads; record it anew")]
    Version(u64),
    #[error("{key}: {rule}")]
    Rule { key: String, rule: String },
}

impl Recording {
    /// Puts one together; `when` is RFC 3339.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the file")]
    #[must_use]
    pub fn new(
        when: String,
        target: String,
        authority: Option<String>,
        way: Way,
        command: String,
        machine: Machine,
        effort: Effort,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        let (format, version) = (Format::Baseline, VERSION);
        Self { format, version, when, target, authority, way, command, machine, effort, endpoints }
    }

    /// As JSON.
    ///
    /// # Panics
    /// Never: there is nothing in it that JSON could not say.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are JSON") + "\n"
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn from_json(text: &str) -> Result<Self, RecordingError> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(RecordingError::Json)?;
        // Before the rest: what another version holds is not this one's to judge.
        if value.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT) {
            return Err(RecordingError::Format);
        }
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(VERSION) => {}
            other => return Err(RecordingError::Version(other.unwrap_or_default())),
        }
        let recording: Self = serde_json::from_value(value).map_err(RecordingError::Json)?;
        recording.validate()?;
        Ok(recording)
    }

    fn validate(&self) -> Result<(), RecordingError> {
        let wrong = |key: String, rule: &str| Err(RecordingError::Rule { key, rule: rule.to_owned() });
        if self.endpoints.is_empty() {
            return wrong("endpoints".to_owned(), "must not be empty");
        }
        if let Err(error) = self.effort.validate(self.endpoints.len()) {
            return wrong(format!("effort.{}", error.key), &format!("{}: {}", error.value, error.rule));
        }
        let mut all = 0_u64;
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            if self.endpoints[..at].iter().any(|before| before.path == endpoint.path) {
                return wrong(format!("endpoints[{at}].path = {}", endpoint.path), "must be unique");
            }
            if endpoint.rounds_micros.len() > self.effort.rounds as usize {
                let rule = format!("must be at most effort.rounds ({})", self.effort.rounds);
                return wrong(format!("endpoints[{at}].rounds_micros"), &rule);
            }
            all = all.saturating_add(endpoint.good()).saturating_add(endpoint.bad());
        }
        if all > SAMPLES_MAX {
            return wrong("endpoints".to_owned(), &format!("must hold at most {SAMPLES_MAX} answers, not {all}"));
        }
        Ok(())
    }

    /// Whether nobody could be reached, for any endpoint: then nothing was measured.
    #[must_use]
    pub fn is_void(&self) -> bool {
        let reached = |endpoint: &Endpoint| {
            let lost = [crate::Class::Connection, crate::Class::Timeout];
            let lost = lost.iter().filter_map(|class| endpoint.errors.get(class)).sum::<u64>();
            endpoint.good() + endpoint.bad() > lost
        };
        !self.endpoints.iter().any(reached)
    }
}
