use serde::Serialize;

use crate::{By, Class, Way};

/// Whether an endpoint answers, by one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was not asked yet.
    #[default]
    Unknown,
    /// The last answer was well.
    Up,
    /// The last one was not.
    Down,
}

impl State {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A result, as it was noted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finished {
    /// Of which check.
    pub name: String,
    /// What it asks for.
    pub path: String,
    /// By which way.
    pub way: Way,
    /// The state before.
    pub before: State,
    /// The state since.
    pub state: State,
    /// How many failed in a row up to now.
    pub consecutive_failures: u64,
    /// The result.
    #[serde(flatten)]
    pub last: Last,
}

/// A result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Last {
    /// What came.
    pub class: Class,
    /// The status; `None` without a whole answer.
    pub status: Option<u16>,
    /// Who answered; `None` without a whole answer.
    pub by: Option<By>,
    /// Milliseconds to the last byte, or to the failure.
    pub millis: f64,
    /// When it came, in seconds since 1970.
    pub at: i64,
    /// What is wrong, in a line.
    pub error: Option<String>,
}

/// All that a monitor knows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MonitorSnapshot {
    /// Rounds that have come to their end.
    pub rounds: u64,
    /// When the last of them did, in seconds since 1970.
    pub last_round_at: Option<i64>,
    /// The last 24 hours of all checks together.
    pub day: Day,
    /// Each check by each of its ways, in the order of the configuration.
    pub checks: Vec<CheckSnapshot>,
}

impl MonitorSnapshot {
    /// Whether anything is down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.checks.iter().any(|check| check.state == State::Down)
    }
}

/// One check by one way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckSnapshot {
    /// The check's name.
    pub name: String,
    /// What it asks for: a path, or a URL.
    pub path: String,
    /// By which way.
    pub way: Way,
    /// Whether it answers.
    pub state: State,
    /// Down since then, or up: when the first of the same state came, in seconds since 1970.
    pub since: Option<i64>,
    /// How many failed in a row up to now.
    pub consecutive_failures: u64,
    /// How many were well, since the start.
    pub ok: u64,
    /// How many were not, since the start.
    pub failed: u64,
    /// The last result.
    pub last: Option<Last>,
    /// The last 24 hours.
    pub day: Day,
}

/// The last 24 hours, to ten minutes: never more, and at most ten minutes less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Day {
    /// Results.
    pub checks: u64,
    /// Those that were well.
    pub successes: u64,
    /// Those that were not.
    pub failures: u64,
    /// Those of them without a connection, or with one that broke before an answer.
    pub connection_errors: u64,
    /// `successes` of `checks`, from 0 to 1; `None` where there are none.
    pub uptime: Option<f64>,
}

impl Day {
    pub(super) fn add(&mut self, checks: u64, failures: u64, connection_errors: u64) {
        self.checks += checks;
        self.failures += failures;
        self.successes = self.checks - self.failures;
        self.connection_errors += connection_errors;
        self.uptime = (self.checks > 0).then(|| self.successes as f64 / self.checks as f64);
    }
}
