//! One answered request, as everybody who looks at requests gets it.

use std::{fmt, net::IpAddr, time::Duration};

use edge_cache_core::{Outcome, Timestamp, TraceContext, Trail};
use http::{HeaderValue, Method, StatusCode, Uri, Version};

/// The status of a request whose client did not wait for the head of its answer, as nginx has it in its log.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// An answered request, or one whose client did not wait for its answer (status 499).
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// Its name, and its place in a trace.
    pub context: &'a TraceContext,
    /// Whether its span is wanted.
    pub is_kept: bool,
    /// When it came.
    pub at: Timestamp,
    /// From its head read to the last byte of its answer handed to the connection.
    pub took: Duration,
    /// The client's address, where the server told it.
    pub client: Option<IpAddr>,
    /// Its method.
    pub method: &'a Method,
    /// Its target.
    pub uri: &'a Uri,
    /// Its `Host`, where the target does not name it.
    pub host: Option<&'a HeaderValue>,
    /// The protocol it came by.
    pub version: Version,
    /// The status of its answer.
    pub status: StatusCode,
    /// The route's name.
    pub route: &'a str,
    /// What was done for it.
    pub outcome: Outcome,
    /// How old the stored answer was, whole seconds.
    pub age: Option<Duration>,
    /// Bytes of the body sent.
    pub body_bytes: u64,
    /// The answer's `Cache-Status` (RFC 9211), its lines joined.
    pub cache_status: &'a str,
    /// What was decided on the way; `None` for a plain hit.
    pub trail: Option<&'a Trail>,
    /// `Referer` and `User-Agent`, where somebody wants them; none of a plain hit that was answered before the layers.
    pub agent: Agent<'a>,
}

/// What a client says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agent<'a> {
    /// `Referer`.
    pub referer: Option<&'a HeaderValue>,
    /// `User-Agent`.
    pub user_agent: Option<&'a HeaderValue>,
}

/// A listener to every answered request. It must be cheap and must not block.
pub trait OnFinished: fmt::Debug + Send + Sync + 'static {
    /// A request was answered.
    fn finished(&self, request: &Finished<'_>);

    /// Sends on what waits; the process is about to end.
    fn flush(&self) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
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
