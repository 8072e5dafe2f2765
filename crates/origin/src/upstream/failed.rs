//! How a request to an origin can fail.

use std::{error::Error as _, time::Duration};

use http::{Response, StatusCode};
use hyper_util::client::legacy::Error;

use super::{UpstreamBody, instead::disconnected, said::Said, secure::SecureError};
use crate::Work;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// There was no connection, or it ended early.
    Request(Error),
    /// No head in this time.
    TooSlow(Duration),
    /// Nor in the time in which it would have been of use.
    Late,
}

impl Failed {
    /// There was no connection: not a byte was sent.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_connect())
    }

    /// The connection ended, or what came on it was no answer.
    pub(super) fn was_broken_off(&self) -> bool {
        matches!(self, Self::Request(error) if !error.is_connect() && !is_of_the_client(error))
    }

    /// What it says of the origin, if anything.
    pub(super) fn says(&self) -> Option<Said> {
        match self {
            Self::Request(error) if error.is_connect() => Some(Said::Unreachable),
            Self::Request(error) if is_of_the_client(error) => None,
            Self::Request(_) => Some(Said::Failing),
            Self::TooSlow(_) => Some(Said::Unreachable),
            // Who is impatient says nothing of the origin.
            Self::Late => None,
        }
    }

    /// Notes it where the client does not hear of it.
    pub(super) fn note(&self, origin: &str) {
        if let Self::Request(error) = self {
            tracing::debug!(origin, error = error as &dyn std::error::Error, "origin gave no answer: another is asked");
        }
    }

    /// The answer in place of the origin's.
    pub(super) fn answer(self, origin: &str) -> Box<Response<UpstreamBody>> {
        let request = Work::request().map(tracing::field::display);
        Box::new(match self {
            Self::Request(error) => {
                // Whoever shook hands has said so already, once for many requests.
                if let Some(secure) = secure(&error) {
                    tracing::debug!(origin, request, error = &error as &dyn std::error::Error, "origin gave no answer");
                    if matches!(secure, SecureError::Untrusted(_)) {
                        let text = "the origin cannot prove who it is\n";
                        return Box::new(disconnected(StatusCode::SERVICE_UNAVAILABLE, text));
                    }
                } else {
                    tracing::warn!(origin, request, error = &error as &dyn std::error::Error, "origin gave no answer");
                }
                disconnected(StatusCode::BAD_GATEWAY, "the origin gave no answer\n")
            }
            Self::TooSlow(limit) => {
                tracing::warn!(origin, request, limit_ms = limit.as_millis(), "origin is too slow");
                disconnected(StatusCode::GATEWAY_TIMEOUT, "the origin is too slow\n")
            }
            Self::Late => {
                disconnected(StatusCode::GATEWAY_TIMEOUT, "the request took too long (limits.request_timeout)\n")
            }
        })
    }
}

/// What went wrong with TLS before anything was sent.
fn secure(error: &Error) -> Option<&SecureError> {
    error.source()?.downcast_ref()
}

/// Whether the body of the request broke off: the origin is not to blame.
fn is_of_the_client(error: &Error) -> bool {
    error.source().and_then(|source| source.downcast_ref::<hyper::Error>()).is_some_and(hyper::Error::is_user)
}
