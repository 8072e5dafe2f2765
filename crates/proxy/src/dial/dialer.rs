use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};
use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt};

use super::{Address, DialError, stream::Stream};

/// Connects to one node. Clones are cheap.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: Address,
    tcp: HttpConnector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    limit: Option<Duration>,
}

impl Dialer {
    /// In the clear.
    pub(super) fn plain(address: Address) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Self { address, tcp, tls: None, limit: None }
    }

    /// By TLS, with whoever proves to be the host of `address`; `None` where no certificate can name that.
    pub(super) fn secure(address: Address, config: Arc<ClientConfig>) -> Option<Self> {
        let name = ServerName::try_from(address.host().to_owned()).ok()?;
        Some(Self { tls: Some((TlsConnector::from(config), name)), ..Self::plain(address) })
    }

    /// Gives up after `limit`, where nobody else does.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        // So that a host of several addresses, of which the first does not answer, has time for the others.
        self.tcp.set_connect_timeout(Some(limit));
        Self { limit: Some(limit), ..self }
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// A connection on which nothing was said yet.
    ///
    /// # Errors
    /// Nobody is there, or not whom the address names.
    pub(crate) async fn connect(&self) -> Result<Stream, DialError> {
        match self.limit {
            Some(limit) => timeout(limit, self.open()).await.unwrap_or(Err(DialError::TooSlow(limit))),
            None => self.open().await,
        }
    }

    async fn open(&self) -> Result<Stream, DialError> {
        let tcp = self.tcp.clone().oneshot(self.address.uri()).await;
        let tcp = tcp.map_err(|error| DialError::Tcp(error.into()))?.into_inner();
        match self.tls.clone() {
            None => Ok(Stream::plain(tcp)),
            Some((tls, name)) => tls.connect(name, tcp).await.map(Stream::secure).map_err(DialError::of_handshake),
        }
    }
}

/// As the connector of a pooled client, whose requests all go to this node.
impl Service<Uri> for Dialer {
    type Response = TokioIo<Stream>;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let this = self.clone();
        async move { this.connect().await.map(TokioIo::new) }.boxed()
    }
}

/// The URL of the node.
impl fmt::Display for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("address", &self.address).finish_non_exhaustive()
    }
}
