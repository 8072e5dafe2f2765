//! One answered request, as everybody who looks at requests gets it.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use edge_cache_core::{Outcome, Timestamp, TraceContext, Trail};
use http::{HeaderValue, Method, StatusCode, Uri, Version};

/// An answered request.
#[derive(Debug)]
pub struct Finished {
    /// Its name, and its place in a trace.
    pub context: TraceContext,
    /// When it came.
    pub at: Timestamp,
    /// From its head read to the last byte of its answer handed to the connection.
    pub took: Duration,
    /// The client's address, where the server told it.
    pub client: Option<IpAddr>,
    /// Its method.
    pub method: Method,
    /// Its target.
    pub uri: Uri,
    /// Its `Host`, where the target does not name it.
    pub host: Option<HeaderValue>,
    /// The protocol it came by.
    pub version: Version,
    /// The status of its answer.
    pub status: StatusCode,
    /// The route's name.
    pub route: Arc<str>,
    /// What was done for it.
    pub outcome: Outcome,
    /// How old the stored answer was, whole seconds.
    pub age: Option<Duration>,
    /// Bytes of the body sent.
    pub body_bytes: u64,
    /// The members of the answer's `Cache-Status`.
    pub cache_status: CacheStatus,
    /// What was decided on the way; `None` for a plain hit.
    pub trail: Option<Trail>,
    /// `Referer` and `User-Agent`, where somebody wants them.
    pub agent: Option<Agent>,
}

/// What a client says of itself.
#[derive(Debug, Default)]
pub struct Agent {
    /// `Referer`.
    pub referer: Option<HeaderValue>,
    /// `User-Agent`.
    pub user_agent: Option<HeaderValue>,
}

/// The lines of an answer's `Cache-Status` (RFC 9211).
#[derive(Debug, Default)]
pub struct CacheStatus {
    pub(crate) first: Option<HeaderValue>,
    pub(crate) more: Vec<HeaderValue>,
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.first.iter().chain(&self.more).enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            f.write_str(line.to_str().unwrap_or("?"))?;
        }
        Ok(())
    }
}

/// A listener to every answered request. It must be cheap and must not block.
pub trait OnFinished: fmt::Debug + Send + Sync + 'static {
    /// A request was answered.
    fn finished(&self, request: &Finished);
}

/// The protocol's name in logs.
pub(crate) const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}
