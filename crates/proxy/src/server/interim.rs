//! Interim answers (1xx) to clients: the server itself sends none but 100.
//!
//! They are written into the connection beneath the server, at the one moment when nothing else can stand in their way: in a flush. The
//! server flushes only once all that it had to send is gone, so the answers before are out; and the answer that is waited for cannot
//! have begun, because its future is not ready before the interim ones are sent. With pipelined requests too, which the server takes
//! one after another.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use edge_cache_origin::upstream::InterimSink;
use futures_util::task::AtomicWaker;
use http::{HeaderMap, StatusCode};
use pin_project_lite::pin_project;
use std::sync::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Interim heads that may wait for a slow client; more are dropped, they are hints.
const WAITING_BYTES_MAX: usize = 16 << 10;

const POISONED: &str = "no code panics while it holds the interim heads";

/// What one connection has to send before its next final answer.
#[derive(Debug, Default)]
pub(super) struct Interim {
    /// Requests so far.
    requests: AtomicU64,
    /// The number of the request that waits; 0 for none.
    waiting: AtomicU64,
    /// Whether heads are to be sent.
    any: AtomicBool,
    heads: Mutex<BytesMut>,
    /// The connection's task.
    task: AtomicWaker,
}

impl Interim {
    /// Another request waits for its answer from now on; returns its number.
    pub(super) fn begin(&self) -> u64 {
        let request = self.requests.fetch_add(1, Ordering::AcqRel) + 1;
        self.waiting.store(request, Ordering::Release);
        request
    }
}

impl InterimSink for Interim {
    fn send(&self, request: u64, status: StatusCode, headers: &HeaderMap) {
        let mut heads = self.heads.lock().expect(POISONED);
        if self.waiting.load(Ordering::Acquire) != request || heads.len() > WAITING_BYTES_MAX {
            return;
        }
        let reason = status.canonical_reason().unwrap_or_default();
        heads.put_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
        for (name, value) in headers {
            heads.put_slice(name.as_str().as_bytes());
            heads.put_slice(b": ");
            heads.put_slice(value.as_bytes());
            heads.put_slice(b"\r\n");
        }
        heads.put_slice(b"\r\n");
        self.any.store(true, Ordering::Release);
        drop(heads);
        self.task.wake();
    }
}

pin_project! {
    /// An answer that lets interim ones go first.
    #[derive(Debug)]
    pub(super) struct After<F: Future> {
        #[pin]
        inner: F,
        interim: Option<Arc<Interim>>,
        ready: Option<F::Output>,
    }
}

impl<F: Future> After<F> {
    pub(super) const fn new(inner: F, interim: Option<Arc<Interim>>) -> Self {
        Self { inner, interim, ready: None }
    }
}

impl<F: Future> Future for After<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(interim) = this.interim else { return this.inner.poll(cx) };
        if this.ready.is_none() {
            match this.inner.poll(cx) {
                Poll::Ready(output) => {
                    interim.waiting.store(0, Ordering::Release);
                    *this.ready = Some(output);
                }
                Poll::Pending => {
                    interim.task.register(cx.waker());
                    return Poll::Pending;
                }
            }
        }
        if interim.any.load(Ordering::Acquire) {
            // The flush that follows in this same turn sends them, and wakes this task.
            interim.task.register(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(this.ready.take().expect("a future is not polled after it is ready"))
    }
}

/// A connection into which interim answers are written.
#[derive(Debug)]
pub(super) struct WithInterim<S> {
    stream: S,
    interim: Arc<Interim>,
    /// A head went out in part: nothing else may follow before the rest.
    torn: bool,
}

impl<S> WithInterim<S> {
    pub(super) const fn new(stream: S, interim: Arc<Interim>) -> Self {
        Self { stream, interim, torn: false }
    }
}

impl<S: AsyncWrite + Unpin> WithInterim<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.interim.any.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        let mut heads = self.interim.heads.lock().expect(POISONED);
        while !heads.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &heads))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            heads.advance(written);
            self.torn = !heads.is_empty();
        }
        self.interim.any.store(false, Ordering::Release);
        drop(heads);
        self.interim.task.wake();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithInterim<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithInterim<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.torn {
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
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
        if self.torn {
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
