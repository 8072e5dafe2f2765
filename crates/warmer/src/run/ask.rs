use edge_cache_core::BoxError;
use futures_util::future::BoxFuture;
use http::StatusCode;

use crate::Replay;

/// How a cache is asked. Clones ask the same one.
pub trait Ask: Clone + Send + Sync + 'static {
    /// Asks for `replay`, reads the answer to its end, and tells what the cache said of it. The request is of the least priority. Dropping the
    /// future gives the request up.
    ///
    /// # Errors
    /// When there was no whole answer; what time it may take is not for this to say.
    fn ask(&self, replay: &Replay, how: How) -> BoxFuture<'static, Result<Told, AskError>>;
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// The origin is asked only for what the cache has not, or has stale.
    IfNeeded,
    /// The origin is asked in any case.
    Refresh,
    /// It should be there by now.
    ReadBack,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The status.
    pub status: StatusCode,
    /// Where it came from.
    pub from_cache: FromCache,
    /// Bytes of the body.
    pub body_bytes: u64,
}

/// What the cache said of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromCache {
    /// It had it, fresh.
    Fresh,
    /// It had it, and it is not fresh any more: it is asked for behind this answer.
    Stale,
    /// The origin was asked, and the answer is kept.
    Stored,
    /// The origin was asked, and the answer is not kept.
    NotStored {
        /// Why, if the cache said so.
        detail: Option<String>,
    },
    /// Nothing.
    Untold,
}

/// Why there was no whole answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum AskError {
    #[error("no connection")]
    Connect(#[source] BoxError),
    #[error("the exchange broke off")]
    Transport(#[source] BoxError),
    #[error("the body is too large")]
    TooLarge,
}
