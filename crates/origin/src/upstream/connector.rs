//! Connections that remember whether a request on them was answered: what tells a stale connection from an origin that died at work.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use edge_cache_core::BoxError;

use http::{Uri, uri::PathAndQuery};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::client::TlsStream;
use tower::ServiceExt;

use super::{secure::Secure, target::Target};

/// An origin whose machine is gone is found out within half a minute.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// What happened on a connection so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Bytes came before: the connection was used for another request.
    answered: AtomicBool,
    /// Something was sent since bytes last came.
    waiting: AtomicBool,
    /// Another protocol is spoken on it.
    is_tunnel: AtomicBool,
}

impl Usage {
    /// Whether an earlier request was answered here and the last one not by a byte: so it is, among others, with a connection that the
    /// origin closed while it was idle.
    pub(super) fn died_unanswered(&self) -> bool {
        self.0.answered.load(Ordering::Acquire) && self.0.waiting.load(Ordering::Acquire)
    }

    /// From here on it is a tunnel, of which one half may end before the other.
    pub(super) fn tunnels(&self) {
        self.0.is_tunnel.store(true, Ordering::Release);
    }

    fn sent(&self) {
        self.0.waiting.store(true, Ordering::Release);
    }

    fn received(&self) {
        self.0.answered.store(true, Ordering::Release);
        self.0.waiting.store(false, Ordering::Release);
    }
}

/// Connects to an origin.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
    origin: Uri,
    secure: Option<Secure>,
    connect_timeout: Duration,
}

impl Connector {
    /// To `target`; by TLS, where `secure` is given.
    pub(super) fn new(target: &Target, connect_timeout: Duration, secure: Option<Secure>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(connect_timeout));
        tcp.set_nodelay(true);
        // Who waits for an answer sends nothing, and would not hear that the other side is gone.
        tcp.set_keepalive(Some(KEEPALIVE_AFTER));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        tcp.enforce_http(secure.is_none());
        let mut origin = http::uri::Parts::default();
        origin.scheme = Some(target.scheme());
        origin.authority = Some(target.authority.clone());
        origin.path_and_query = Some(PathAndQuery::from_static("/"));
        let origin = Uri::from_parts(origin).expect("a validated authority makes a URI");
        Self { tcp, origin, secure, connect_timeout }
    }

    /// A new connection.
    ///
    /// # Errors
    /// What is in the way of it; a `SecureError` once the origin was reached.
    pub(super) async fn connect(&self) -> Result<TokioIo<Watched>, BoxError> {
        let until = Instant::now() + self.connect_timeout;
        let tcp = self.tcp.clone().oneshot(self.origin.clone()).await?.into_inner();
        let stream = match &self.secure {
            None => Stream::Plain(tcp),
            Some(secure) => Stream::Secure(Box::new(secure.handshake(tcp, until).await?)),
        };
        Ok(TokioIo::new(Watched { stream, usage: Usage::default() }))
    }
}

/// The bytes of a connection.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Calls the same on whichever stream it is.
macro_rules! on {
    ($this:expr, $stream:ident => $call:expr) => {
        match &mut $this.stream {
            Stream::Plain($stream) => $call,
            Stream::Secure($stream) => $call,
        }
    };
}

/// A connection that is watched: what counts are bytes of HTTP, not those of TLS.
#[derive(Debug)]
pub(super) struct Watched {
    stream: Stream,
    usage: Usage,
}

impl Watched {
    /// What happens on it.
    pub(super) fn usage(&self) -> Usage {
        self.usage.clone()
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(on!(self, stream => Pin::new(stream).poll_read(cx, buf)));
        if buf.filled().len() > before {
            self.usage.received();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.usage.sent();
        on!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            // An origin that reads nothing takes the end of TLS neither: whoever ends the connection would wait for it, and keep it, for as long.
            Stream::Secure(tls) => match Pin::new(tls).poll_shutdown(cx) {
                Poll::Pending if !self.usage.0.is_tunnel.load(Ordering::Acquire) => Poll::Ready(Ok(())),
                shut => shut,
            },
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.usage.sent();
        on!(self, stream => Pin::new(stream).poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(tcp) => tcp.is_write_vectored(),
            Stream::Secure(tls) => tls.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_used_connection_without_a_byte_of_the_answer_died_unanswered() {
        let usage = Usage::default();
        usage.sent();
        assert!(!usage.died_unanswered(), "a new connection: the origin may have seen the request");
        usage.received();
        assert!(!usage.died_unanswered());
        usage.sent();
        assert!(usage.died_unanswered());
        usage.received();
        assert!(!usage.died_unanswered(), "it began to answer");
    }
}
