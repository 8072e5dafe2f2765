//! How a request is passed on by the servers here that do nothing else with it: kept connections of hyper-util's client.

use std::net::SocketAddr;

use http::{
    Request, Response, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// An origin, and a thread's connections to it.
#[derive(Clone, Debug)]
pub struct Origin {
    client: Client<HttpConnector, Incoming>,
    authority: Authority,
}

impl Origin {
    /// The origin at `address`.
    ///
    /// # Panics
    /// Never: an address and a port are an authority.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let authority = Authority::try_from(address.to_string()).expect("an address and a port are an authority");
        Self { client: Client::builder(TokioExecutor::new()).build(connector), authority }
    }

    /// The origin's answer; nothing if there is none.
    pub async fn pass(self, mut request: Request<Incoming>) -> Option<Response<Incoming>> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority);
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).ok()?;
        self.client.request(request).await.ok()
    }
}
