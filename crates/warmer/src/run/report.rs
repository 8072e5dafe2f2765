use std::{collections::BTreeMap, fmt, time::Duration};

use http::StatusCode;
use serde::Serialize;

use super::job::Done;
use crate::Replay;

/// Most failures that a report names.
const FAILURES_MAX: usize = 20;
/// Most different reasons; a cache's `detail` is its own text.
const REASONS_MAX: usize = 50;

/// What came of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The origin was asked, and the cache has the answer.
    Warmed,
    /// The cache had it already.
    Fresh,
    /// Neither.
    Failed(Reason),
}

/// Why a job failed: shown as a word that is fit to be counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No whole answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// A connection that broke, or no HTTP.
    Transport,
    /// A body larger than is read.
    TooLarge,
    /// An answer of this status.
    Status(StatusCode),
    /// An answer that the cache does not keep, and why, if it said so.
    NotStored(Option<String>),
    /// The cache said that it keeps the answer, and then had not.
    NotAHit,
    /// The cache answered with something stale, and got nothing fresh in time.
    StillStale,
    /// The cache answered from what it had, although it was asked for something new.
    RefreshIgnored,
    /// The answer has no `Cache-Status`.
    NoCacheStatus,
}

impl Reason {
    /// What may be done about it, where that is not plain.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::RefreshIgnored => Some(
                "the proxy heeds `Cache-Control: no-cache` only from clients that `cache.trusted` lists: list this one",
            ),
            Self::NoCacheStatus => Some("what answered says nothing of a cache: is it the proxy?"),
            Self::NotAHit => Some(
                "it was stored and was gone at once: is the cache too small, or the answer to be asked for each time?",
            ),
            Self::StillStale => Some("the proxy refreshes nothing while its origin is pressed or has just failed"),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Connect => f.write_str("connect"),
            Self::Transport => f.write_str("transport"),
            Self::TooLarge => f.write_str("too-large"),
            Self::Status(status) => write!(f, "status-{}", status.as_u16()),
            Self::NotStored(None) => f.write_str("not-stored"),
            Self::NotStored(Some(detail)) => write!(f, "not-stored: {detail}"),
            Self::NotAHit => f.write_str("not-a-hit"),
            Self::StillStale => f.write_str("still-stale"),
            Self::RefreshIgnored => f.write_str("refresh-ignored"),
            Self::NoCacheStatus => f.write_str("no-cache-status"),
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// URLs of the run, each counted once for each target.
    pub planned: u64,
    /// Those of them that were asked for, and have come to an end.
    pub asked: u64,
    /// The origin was asked, and the cache has the answer.
    pub warmed: u64,
    /// The cache had it already.
    pub fresh: u64,
    /// Not asked for: an earlier run had done it.
    pub resumed: u64,
    /// How many failed, by reason.
    pub failed: BTreeMap<String, u64>,
    /// The first of those.
    pub failures: Vec<Failure>,
    /// Bytes of the bodies that came, those that were read back aside.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// It was told to end.
    pub interrupted: bool,
    /// Its gate was closed.
    pub stopped: bool,
}

/// A job that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What was asked for.
    pub url: String,
    /// Of whom.
    pub target: String,
    /// See [`Reason`].
    pub reason: String,
    /// What may be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
}

impl Report {
    /// How many failed.
    #[must_use]
    pub fn failed_count(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Whether everything has come to an end, well or not.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.asked + self.resumed == self.planned
    }
}

/// A report in the making.
#[derive(Debug, Default)]
pub(super) struct Tally(Report);

impl Tally {
    pub(super) fn planned(&mut self) {
        self.0.planned += 1;
    }

    pub(super) fn resumed(&mut self) {
        self.0.resumed += 1;
    }

    pub(super) fn add(&mut self, target: &str, replay: &Replay, done: &Done) {
        let report = &mut self.0;
        report.asked += 1;
        report.bytes += done.body_bytes;
        match &done.outcome {
            Outcome::Warmed => report.warmed += 1,
            Outcome::Fresh => report.fresh += 1,
            Outcome::Failed(reason) => {
                let (mut word, hint) = (reason.to_string(), reason.hint());
                if report.failures.len() < FAILURES_MAX {
                    let (url, target, reason) = (replay.to_string(), target.to_owned(), word.clone());
                    report.failures.push(Failure { url, target, reason, hint });
                }
                if report.failed.len() >= REASONS_MAX && !report.failed.contains_key(&word) {
                    "other".clone_into(&mut word);
                }
                *report.failed.entry(word).or_default() += 1;
            }
        }
    }

    pub(super) fn into_report(self, took: Duration, interrupted: bool, stopped: bool) -> Report {
        Report { seconds: took.as_secs_f64(), interrupted, stopped, ..self.0 }
    }
}
