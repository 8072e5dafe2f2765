//! Connections that remember whether a request on them was answered: what tells a stale connection from an origin that died at work.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tower_service::Service;

/// What happened on a connection so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Bytes came before: the connection was used for another request.
    answered: AtomicBool,
    /// Something was sent since bytes last came.
    waiting: AtomicBool,
}

impl Usage {
    /// Whether an earlier request was answered here and the last one not by a byte: so it is, among others, with a connection that the
    /// origin closed while it was idle.
    pub(super) fn died_unanswered(&self) -> bool {
        self.0.answered.load(Ordering::Acquire) && self.0.waiting.load(Ordering::Acquire)
    }

    fn sent(&self) {
        self.0.waiting.store(true, Ordering::Release);
    }

    fn received(&self) {
        self.0.answered.store(true, Ordering::Release);
        self.0.waiting.store(false, Ordering::Release);
    }
}

/// Connects to the origin.
#[derive(Clone, Debug)]
pub(super) struct Connector(HttpConnector);

impl Connector {
    pub(super) fn new(connect_timeout: std::time::Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect_timeout));
        connector.set_nodelay(true);
        Self(connector)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Watched>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(Watched { stream, usage: Usage::default() }))
        })
    }
}

/// A connection that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    usage: Usage,
}

impl Connection for Watched {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.usage.clone())
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() > before {
            self.usage.received();
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.usage.sent();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.usage.sent();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
