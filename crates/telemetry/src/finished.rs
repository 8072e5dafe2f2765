//! One answered request, as everybody who looks at requests gets it.

use std::{fmt, net::IpAddr, time::Duration};

use edge_cache_core::{Outcome, Timestamp, TraceContext, Trail, headers::CACHE_STATUS};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};

use crate::text::Text;

/// An answered request.
#[derive(Debug)]
pub struct Finished<'a> {
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
    pub route: &'a str,
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

/// An answer's `Cache-Status` (RFC 9211), its lines joined.
#[derive(Debug, Default)]
pub struct CacheStatus(Text);

impl CacheStatus {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut all = Text::default();
        for (at, line) in headers.get_all(CACHE_STATUS).iter().enumerate() {
            let line = line.to_str().unwrap_or("?");
            if at == 0 { all = Text::new(line) } else { all.append(line) }
        }
        Self(all)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A listener to every answered request. It must be cheap and must not block.
pub trait OnFinished: fmt::Debug + Send + Sync + 'static {
    /// A request was answered.
    fn finished(&self, request: &Finished<'_>);
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
