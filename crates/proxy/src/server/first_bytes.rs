//! A limit on how long a new connection may say nothing.
//!
//! The server tells HTTP/1 from HTTP/2 by the first 24 bytes and waits for them without a limit; its own limit on a request's head
//! begins only after that.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::conduct::Conduct;

/// How an HTTP/2 connection begins (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream that fails to read with `TimedOut` if its protocol is not clear in time.
#[derive(Debug)]
pub(super) struct FirstBytes<S> {
    stream: S,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes of the preface seen so far.
    seen: usize,
    conduct: Arc<Conduct>,
}

impl<S> FirstBytes<S> {
    /// `stream`, whose protocol must be clear within `limit`; `conduct` is told of HTTP/2.
    pub(super) fn within(limit: Duration, stream: S, conduct: Arc<Conduct>) -> Self {
        Self { stream, deadline: Some(Box::pin(sleep(limit))), seen: 0, conduct }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(deadline) = &mut self.deadline else { return read };
        if read.is_pending() {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let new = &buf.filled()[before..];
        let rest = &PREFACE[self.seen..];
        if new.len() >= rest.len() || !rest.starts_with(new) {
            if new.starts_with(rest) {
                self.conduct.is_h2();
            }
            self.deadline = None;
        } else {
            self.seen += new.len();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
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
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    async fn read(sent: &[u8]) -> io::Result<usize> {
        let (mut client, server) = duplex(64);
        client.write_all(sent).await.expect("there is room");
        let mut server = FirstBytes::within(Duration::from_secs(30), server, Arc::new(Conduct::new()));
        let mut buffer = [0; 64];
        let mut sum = server.read(&mut buffer).await?;
        // Asks once more, as a server that waits for the rest does.
        sum += tokio::time::timeout(Duration::from_secs(60), server.read(&mut buffer)).await.unwrap_or(Ok(0))?;
        Ok(sum)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_what_it_speaks_is_cut_off() {
        for silent in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
            assert_eq!(read(silent).await.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut), "{silent:?}");
        }
        for clear in [&b"G"[..], b"PO", PREFACE] {
            assert_eq!(read(clear).await.expect("no limit"), clear.len());
        }
    }
}
