use edge_cache_core::BoxError;
use edge_cache_warmer::Replay;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::By;

/// How a cache is asked. Clones ask the same one.
pub trait Ask: Clone + Send + Sync + 'static {
    /// Sends [`Question::request`] as a client would, with a client's priority, reads the answer to its end, and tells what came. Dropping the
    /// future gives the request up.
    ///
    /// A service in this process has to be told that the request may say `no-cache` (the extension `Trusted` of the tiers); whose answer it was is
    /// read from the headers in either case, with [`said`](crate::said).
    ///
    /// # Errors
    /// When there was no whole answer; what time it may take is not for this to say.
    fn ask(&self, question: &Question) -> BoxFuture<'static, Result<Answer, AskError>>;
}

/// What is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The GET.
    pub replay: Replay,
    /// Whether what is stored will do.
    pub way: Way,
    /// Longest body that is read, in bytes: a longer one is [`AskError::TooLarge`].
    pub body_bytes_max: u64,
}

impl Question {
    /// The request, as a client would send it to its server. Past the cache it says `no-cache`, which is heeded from trusted clients alone.
    #[must_use]
    pub fn request(&self) -> Request<()> {
        let mut request = self.replay.request();
        if self.way == Way::Past {
            request.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        request
    }
}

/// The way that a question takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// As readers ask: what is stored will do.
    Through,
    /// The origin is to answer, whatever is stored.
    Past,
}

impl Way {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Through => "through",
            Self::Past => "past",
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Who gave it; of headers [`said`](crate::said) tells it.
    pub by: By,
    /// What the cache remarked, where it did.
    pub detail: Option<String>,
    /// Bytes of the body.
    pub body_bytes: u64,
}

/// Why there was no whole answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum AskError {
    #[error("no connection")]
    Connect(#[source] BoxError),
    #[error("the connection broke before an answer")]
    Transport(#[source] BoxError),
    #[error("the body broke off")]
    BrokeOff(#[source] BoxError),
    #[error("the body is too long")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_past_the_cache_the_request_wants_something_new() {
        let replay = Replay::from_url("http://h/x", []).unwrap();
        let question = |way| Question { replay: replay.clone(), way, body_bytes_max: 1 };
        assert!(!question(Way::Through).request().headers().contains_key("cache-control"));
        assert_eq!(question(Way::Past).request().headers()["cache-control"], "no-cache");
        assert_eq!(question(Way::Past).request().headers()["host"], "h");
    }
}
