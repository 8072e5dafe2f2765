//! How a request to an origin can fail.

use std::time::Duration;

use edge_cache_core::BoxError;
use http::{Response, StatusCode};

use super::{
    UpstreamBody,
    instead::{disconnected, instead},
    said::Said,
    secure::SecureError,
};
use crate::Work;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// There was no connection.
    Unconnected(BoxError),
    /// The connection ended early.
    Broken {
        error: hyper::Error,
        /// After it had brought other answers, and without a byte of this one.
        died_unanswered: bool,
    },
    /// No head in this time.
    TooSlow(Duration),
    /// Nor in the time in which it would have been of use.
    Late,
}

impl Failed {
    /// There was no connection: not a byte was sent.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unconnected(_))
    }

    /// The connection ended, or what came on it was no answer.
    pub(super) fn was_broken_off(&self) -> bool {
        // Where the body of the request broke off, the origin is not to blame.
        matches!(self, Self::Broken { error, .. } if !error.is_user())
    }

    /// What it says of the origin, if anything.
    pub(super) fn says(&self) -> Option<Said> {
        match self {
            Self::Unconnected(_) | Self::TooSlow(_) => Some(Said::Unreachable),
            Self::Broken { error, .. } => (!error.is_user()).then_some(Said::Failing),
            // Who is impatient says nothing of the origin.
            Self::Late => None,
        }
    }

    /// Notes it where the client does not hear of it.
    pub(super) fn note(&self, origin: &str) {
        if let Some(error) = self.error() {
            tracing::debug!(origin, error, "origin gave no answer: another is asked");
        }
    }

    fn error(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unconnected(error) => Some(&**error),
            Self::Broken { error, .. } => Some(error),
            Self::TooSlow(_) | Self::Late => None,
        }
    }

    /// The answer in place of the origin's.
    pub(super) fn answer(self, origin: &str) -> Box<Response<UpstreamBody>> {
        let request = Work::request().map(tracing::field::display);
        let error = self.error();
        let secure = error.and_then(|error| error.downcast_ref::<SecureError>());
        Box::new(match (&self, secure) {
            (Self::TooSlow(limit), _) => {
                tracing::warn!(origin, request, limit_ms = limit.as_millis(), "origin is too slow");
                disconnected(StatusCode::GATEWAY_TIMEOUT, "the origin is too slow\n")
            }
            (Self::Late, _) => {
                disconnected(StatusCode::GATEWAY_TIMEOUT, "the request took too long (limits.request_timeout)\n")
            }
            // Whoever shook hands has said so already, once for many requests.
            (_, Some(secure)) => {
                tracing::debug!(origin, request, error, "origin gave no answer");
                match secure {
                    SecureError::Untrusted(_) => {
                        disconnected(StatusCode::SERVICE_UNAVAILABLE, "the origin cannot prove who it is\n")
                    }
                    _ => disconnected(StatusCode::BAD_GATEWAY, "the origin gave no answer\n"),
                }
            }
            (Self::Broken { error, .. }, _) if error.is_user() => {
                // The client's doing, and not worth a line each.
                tracing::debug!(
                    origin,
                    request,
                    error = error as &dyn std::error::Error,
                    "the request's body broke off"
                );
                instead(StatusCode::BAD_REQUEST, "the request's body broke off\n")
            }
            (_, None) => {
                tracing::warn!(origin, request, error, "origin gave no answer");
                disconnected(StatusCode::BAD_GATEWAY, "the origin gave no answer\n")
            }
        })
    }
}
