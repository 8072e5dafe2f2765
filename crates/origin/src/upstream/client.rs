//! What an upstream knows of the client of the cache, handed inward by a request extension.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderMap, StatusCode};

/// Takes interim answers (1xx) to a client while it waits for the final one.
pub trait InterimSink: Send + Sync + 'static {
    /// Passes an interim answer on, if the request numbered `request` on this connection still waits. Must not block.
    fn send(&self, request: u64, status: StatusCode, headers: &HeaderMap);
}

/// The client that a request came from (request extension). Set by the server that accepted it.
#[derive(Clone)]
pub struct FromClient {
    /// The address that the request came from, for `X-Forwarded-For`; `None` where it has none.
    pub address: Option<IpAddr>,
    interim: Option<(Arc<dyn InterimSink>, u64)>,
}

impl FromClient {
    /// A client at `address` that is not told of interim answers.
    #[must_use]
    pub const fn new(address: Option<IpAddr>) -> Self {
        Self { address, interim: None }
    }

    /// A client that is told of interim answers to the request numbered `request` on its connection.
    #[must_use]
    pub fn with_interim(address: Option<IpAddr>, sink: Arc<dyn InterimSink>, request: u64) -> Self {
        Self { address, interim: Some((sink, request)) }
    }

    pub(super) fn interim(&self) -> Option<(Arc<dyn InterimSink>, u64)> {
        self.interim.clone()
    }
}

impl fmt::Debug for FromClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromClient").field("address", &self.address).finish_non_exhaustive()
    }
}
