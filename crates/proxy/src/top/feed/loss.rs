use std::time::Duration;

use http::StatusCode;

use crate::{admin::TOKEN_VARIABLE, dial::DialError, top::text::Text};

/// Why a node says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Loss {
    #[error("no connection")]
    Connect(#[source] DialError),
    #[error("no answer within {0:?}")]
    Slow(Duration),
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    #[error("the node ended it")]
    Ended,
    #[error("silent for {0:?}")]
    Silent(Duration),
    #[error("401, {}", refusal(why, StatusCode::UNAUTHORIZED))]
    Unauthorized { why: Text },
    #[error("403, {}", refusal(why, StatusCode::FORBIDDEN))]
    Forbidden { why: Text },
    #[error("404: no feed there; an older version, or no admin listener")]
    NotThere,
    #[error("{status}{}{why}", if why.as_str().is_empty() { "" } else { ": " })]
    Refused { status: StatusCode, why: Text },
    #[error("what answered is no feed")]
    NoFeed,
    #[error("the feed sent more than {0} bytes at once")]
    TooLarge(usize),
    #[error("the feed is not understood")]
    Malformed(#[source] serde_json::Error),
}

impl Loss {
    /// In one line, with its causes.
    pub(crate) fn reason(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        line
    }
}

/// Says also what to do about it, where the node does not.
fn refusal(why: &Text, status: StatusCode) -> String {
    match (why.as_str(), status) {
        ("", StatusCode::UNAUTHORIZED) => format!("a token is needed: set {TOKEN_VARIABLE}"),
        ("", _) => "not allowed".to_owned(),
        (why, _) => why.to_owned(),
    }
}
