use serde::Serialize;

use crate::{Figure, Severity};

/// What a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A rule fired.
    Fired,
    /// A rule that fired, and was told to have, is well again, or nothing has been known of its figure for a while.
    Recovered,
}

impl Event {
    /// As it is written in messages: `fired`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Recovered => "recovered",
        }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    /// What it tells.
    pub event: Event,
    /// The rule's name.
    pub rule: String,
    /// How much the rule matters.
    pub severity: Severity,
    /// What the rule watches.
    pub figure: Figure,
    /// What the figure was, in its unit: where it is not known, what was known last.
    pub value: f64,
    /// The value past which it is an alert.
    pub threshold: f64,
    /// When it was first found past the threshold, in seconds since the Unix epoch.
    pub since: f64,
    /// When it fired or recovered, in seconds since the Unix epoch. The message may be later: it may have waited for room.
    pub at: f64,
    /// The same for a person: `error rate 7.0 % is above 5.0 %`.
    pub text: String,
    /// Where a critical rule recovered: the warning of the same figure that still holds. It counts as told to have fired by this notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still: Option<String>,
    /// Alerts since the notice before that were over before they could be told, for the cooldown or the bound on messages an hour.
    pub suppressed: u64,
}

/// A rule that fires now, told or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Firing {
    /// The rule's name.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it watches.
    pub figure: Figure,
    /// When it was first found past the threshold, in seconds since the Unix epoch.
    pub since: f64,
    /// What the figure was when it was last known, in its unit.
    pub value: f64,
    /// The value past which it is an alert.
    pub threshold: f64,
    /// When it fired, for a person: `error rate 7.0 % is above 5.0 %`.
    pub text: String,
    /// Whether a message said so.
    pub told: bool,
}
