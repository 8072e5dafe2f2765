use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{DialError, error::is_unwelcome};

/// How a record of TLS begins that says no more than what went wrong (RFC 8446 §5.1). No answer of HTTP begins so.
const ALERT: u8 = 21;

/// A connection to a node. What it reads tells a node that is spoken to in the wrong way from one that is broken.
#[derive(Debug)]
pub(crate) struct Stream {
    bytes: Bytes,
    /// Something came.
    heard: bool,
}

#[derive(Debug)]
enum Bytes {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Calls the same on whichever it is.
macro_rules! on {
    ($this:expr, $stream:ident => $call:expr) => {
        match &mut $this.bytes {
            Bytes::Plain($stream) => $call,
            Bytes::Secure($stream) => $call,
        }
    };
}

impl Stream {
    pub(super) const fn plain(tcp: TcpStream) -> Self {
        Self { bytes: Bytes::Plain(tcp), heard: false }
    }

    pub(super) fn secure(tls: TlsStream<TcpStream>) -> Self {
        Self { bytes: Bytes::Secure(Box::new(tls)), heard: false }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(on!(self, stream => Pin::new(stream).poll_read(cx, buf)));
        let first = !std::mem::replace(&mut self.heard, true);
        Poll::Ready(match (&self.bytes, read) {
            (Bytes::Plain(_), Ok(())) if first && buf.filled().get(before) == Some(&ALERT) => {
                Err(io::Error::other(DialError::SpeaksTls))
            }
            (Bytes::Secure(_), Err(error)) if is_unwelcome(&error) => {
                Err(io::Error::other(DialError::Unwelcome(error)))
            }
            (_, read) => read,
        })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on!(self, stream => Pin::new(stream).poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.bytes {
            Bytes::Plain(tcp) => tcp.is_write_vectored(),
            Bytes::Secure(tls) => tls.is_write_vectored(),
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
