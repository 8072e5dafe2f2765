//! One question, judged.

use std::{error::Error, fmt, time::Duration};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use crate::{Answer, Ask, AskError, By, Question, Way};

/// Longest text of an error, in bytes: it is kept, and shown in one line.
const ERROR_BYTES_MAX: usize = 200;

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A whole answer of an expected status, from whom it was to come.
    Ok,
    /// A whole answer of another status.
    Status,
    /// No connection, or one that broke before an answer.
    Connection,
    /// No whole answer in time.
    Timeout,
    /// A cache answered where the origin was to.
    NotAsked,
    /// The body broke off, or was too long.
    Body,
}

impl Class {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Status => "status",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::NotAsked => "not-asked",
            Self::Body => "body",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One question, put and judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What came.
    pub class: Class,
    /// The status; `None` without a whole answer.
    pub status: Option<StatusCode>,
    /// Who answered; `None` without a whole answer.
    pub by: Option<By>,
    /// From before the question to the last byte, or to the failure.
    pub took: Duration,
    /// What is wrong, in a line; `None` where nothing is.
    pub error: Option<String>,
}

/// Puts `question`, for at most `patience`; a [`Class::Ok`] is all that is well. Expected are `statuses`, or 2xx and 3xx where it is empty.
pub async fn put<A: Ask>(asker: &A, question: &Question, statuses: &[u16], patience: Duration) -> Outcome {
    let began = Instant::now();
    let answer = timeout(patience, asker.ask(question)).await;
    let took = began.elapsed();
    let failed = |class, error| Outcome { class, status: None, by: None, took, error: Some(error) };
    match answer {
        Err(_) => failed(Class::Timeout, format!("no whole answer within {}", humantime::format_duration(patience))),
        Ok(Err(error)) => match error {
            AskError::Connect(_) | AskError::Transport(_) => failed(Class::Connection, chain(&error)),
            AskError::BrokeOff(_) => failed(Class::Body, chain(&error)),
            AskError::TooLarge => {
                failed(Class::Body, format!("the body is longer than {} bytes", question.body_bytes_max))
            }
        },
        Ok(Ok(answer)) => {
            let (class, error) = judge(&answer, question.way, statuses);
            Outcome { class, status: Some(answer.status), by: Some(answer.by), took, error }
        }
    }
}

/// A stored answer tells nothing of the origin, not even by its status. One of which nobody says who gave it is judged by its status first:
/// a refusal needs no proof.
fn judge(answer: &Answer, way: Way, statuses: &[u16]) -> (Class, Option<String>) {
    if way == Way::Past && matches!(answer.by, By::Cache | By::Stale) {
        return (Class::NotAsked, Some(not_asked(answer)));
    }
    if !is_expected(answer.status, statuses) {
        let expected = match statuses {
            [] => "2xx or 3xx".to_owned(),
            statuses => statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
        };
        return (Class::Status, Some(format!("status {}, expected {expected}", answer.status.as_u16())));
    }
    match (way, answer.by) {
        (Way::Past, By::Untold) => (Class::NotAsked, Some(not_asked(answer))),
        _ => (Class::Ok, None),
    }
}

fn is_expected(status: StatusCode, statuses: &[u16]) -> bool {
    match statuses {
        [] => status.is_success() || status.is_redirection(),
        statuses => statuses.contains(&status.as_u16()),
    }
}

fn not_asked(answer: &Answer) -> String {
    let detail = answer.detail.as_deref();
    match (answer.by, detail) {
        (By::Stale, Some(detail)) => format!("served stale: the origin failed ({detail})"),
        (By::Stale, None) => "served stale: the origin failed".to_owned(),
        (By::Cache, Some("immutable")) => "answered by the cache: it is immutable, and never asked for anew".to_owned(),
        (By::Cache, _) => "answered by the cache: this client may not be in cache.trusted".to_owned(),
        (By::Origin | By::Untold, _) => {
            "no Cache-Status: nothing says that the origin was asked; is this the cache?".to_owned()
        }
    }
}

/// An error with its causes; one that repeats its cause says it once.
fn chain(error: &AskError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    // One line, whatever a library says.
    let mut line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line.truncate(line.floor_char_boundary(ERROR_BYTES_MAX));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, by: By, way: Way, statuses: &[u16]) -> (Class, String) {
        let status = StatusCode::from_u16(status).unwrap();
        let (class, error) = judge(&Answer { status, by, detail: None, body_bytes: 0 }, way, statuses);
        (class, error.unwrap_or_default())
    }

    #[test]
    fn past_the_cache_only_the_origin_will_do() {
        for by in [By::Origin, By::Cache, By::Stale, By::Untold] {
            assert_eq!(judged(200, by, Way::Through, &[]).0, Class::Ok, "{by:?}");
        }
        assert_eq!(judged(200, By::Origin, Way::Past, &[]).0, Class::Ok);
        for (by, why) in
            [(By::Cache, "cache.trusted"), (By::Stale, "served stale: the origin failed"), (By::Untold, "Cache-Status")]
        {
            let (class, error) = judged(200, by, Way::Past, &[]);
            assert!(class == Class::NotAsked && error.contains(why), "{by:?}: {error}");
        }
    }

    #[test]
    fn a_status_is_judged_by_what_is_expected_of_whoever_gave_it() {
        assert_eq!(judged(304, By::Origin, Way::Past, &[]).0, Class::Ok);
        assert_eq!(judged(404, By::Origin, Way::Past, &[404]).0, Class::Ok);
        let (class, error) = judged(200, By::Origin, Way::Past, &[401, 403]);
        assert_eq!((class, error.as_str()), (Class::Status, "status 200, expected 401 or 403"));
        assert_eq!(judged(502, By::Untold, Way::Past, &[]), (Class::Status, "status 502, expected 2xx or 3xx".into()));
        assert_eq!(judged(404, By::Cache, Way::Past, &[]).0, Class::NotAsked, "it is stored, and says nothing");
        assert_eq!(judged(404, By::Cache, Way::Through, &[]).0, Class::Status);
    }

    #[test]
    fn an_error_is_one_line_with_its_causes_and_not_endless() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused\nat once");
        assert_eq!(chain(&AskError::Connect(Box::new(refused))), "no connection: refused at once");
        let endless = AskError::Transport("\u{e4}".repeat(500).into());
        assert!(chain(&endless).len() <= ERROR_BYTES_MAX);
    }
}
