//! Interim answers (1xx) to clients: the server itself sends none but 100.
//!
//! They are written into the connection beneath the server, at the one moment when nothing else can stand in their way: in a flush. The
//! server flushes only once all that it had to send is gone, so the answers before are out; and the answer that is waited for cannot
//! have begun, because its future is not ready before the interim ones are sent. With pipelined requests too, which the server takes
//! one after another. The [lane](super::lane) flushes when no request is with the server, and then no interim answer waits.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, BytesMut};
use edge_cache_origin::upstream::InterimSink;
use futures_util::task::AtomicWaker;
use http::{HeaderMap, StatusCode};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Interim heads that may wait for a slow client; more are dropped, they are hints.
const WAITING_BYTES_MAX: usize = 16 << 10;

const POISONED: &str = "no code panics while it holds the interim heads";

/// What one connection has to send before its next final answer.
#[derive(Debug, Default)]
pub(super) struct Interim {
    /// Requests so far.
    requests: AtomicU64,
    /// The number of the request that waits for its answer, and in the lowest bit whether heads wait to be sent before that; 0 for none.
    ///
    /// One number, so that an answer and a late head cannot both believe to be first: whoever changes it first wins.
    state: AtomicU64,
    heads: Mutex<BytesMut>,
    /// The connection's task.
    task: AtomicWaker,
}

/// Heads wait.
const HEADS: u64 = 1;

impl Interim {
    /// Another request waits for its answer from now on; returns its number.
    pub(super) fn begin(&self) -> u64 {
        let request = self.requests.fetch_add(1, Ordering::AcqRel) + 1;
        self.state.store(request << 1, Ordering::Release);
        request
    }

    /// The answer to `request` goes out, unless heads wait that go first.
    fn end(&self, request: u64) -> bool {
        self.state.compare_exchange(request << 1, 0, Ordering::AcqRel, Ordering::Acquire) != Err(request << 1 | HEADS)
    }

    fn heads_wait(&self) -> bool {
        self.state.load(Ordering::Acquire) & HEADS != 0
    }
}

impl InterimSink for Interim {
    fn send(&self, request: u64, status: StatusCode, headers: &HeaderMap) {
        let mut heads = self.heads.lock().expect(POISONED);
        let before = heads.len();
        if before > WAITING_BYTES_MAX {
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
        let waits = |state: u64| (state >> 1 == request).then_some(state | HEADS);
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, waits).is_err() {
            // The answer is out: it is too late for hints.
            heads.truncate(before);
            return;
        }
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
        // The connection, and the number of the request; none where no interim answers are sent.
        interim: Option<(Arc<Interim>, u64)>,
        ready: Option<F::Output>,
    }
}

impl<F: Future> After<F> {
    pub(super) const fn new(inner: F, interim: Option<(Arc<Interim>, u64)>) -> Self {
        Self { inner, interim, ready: None }
    }
}

impl<F: Future> Future for After<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some((interim, request)) = this.interim else { return this.inner.poll(cx) };
        let output = match this.ready.take() {
            Some(output) => output,
            None => match this.inner.poll(cx) {
                Poll::Ready(output) => output,
                Poll::Pending => {
                    interim.task.register(cx.waker());
                    return Poll::Pending;
                }
            },
        };
        if interim.end(*request) {
            return Poll::Ready(output);
        }
        *this.ready = Some(output);
        interim.task.register(cx.waker());
        // The flush that follows in this same turn sends the heads and wakes this task; if it just did, this task is not to sleep.
        if !interim.heads_wait() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
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
        if !self.interim.heads_wait() {
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
        self.interim.state.fetch_and(!HEADS, Ordering::AcqRel);
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

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;
    use http::HeaderValue;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";

    fn hint(interim: &Interim, request: u64) {
        let headers = HeaderMap::from_iter([(http::header::LINK, HeaderValue::from_static("</a>"))]);
        interim.send(request, StatusCode::EARLY_HINTS, &headers);
    }

    fn after<T>(interim: &Arc<Interim>, request: u64, answer: T) -> After<std::future::Ready<T>> {
        After::new(ready(answer), Some((Arc::clone(interim), request)))
    }

    #[tokio::test]
    async fn heads_go_out_in_a_flush_and_hold_the_answer_back_until_then() {
        let interim = Arc::<Interim>::default();
        let (stream, mut client) = duplex(1 << 10);
        let mut stream = WithInterim::new(stream, Arc::clone(&interim));
        let request = interim.begin();
        hint(&interim, request);
        let mut answer = after(&interim, request, "answer");
        assert_eq!((&mut answer).now_or_never(), None);
        stream.write_all(b"the answer before|").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(answer.now_or_never(), Some("answer"));
        let mut sent = [0; 18 + HINTS.len()];
        client.read_exact(&mut sent).await.unwrap();
        assert_eq!(std::str::from_utf8(&sent).unwrap(), format!("the answer before|{HINTS}"));
    }

    #[tokio::test]
    async fn a_hint_that_comes_after_the_answer_is_dropped() {
        let interim = Arc::<Interim>::default();
        let (stream, mut client) = duplex(1 << 10);
        let mut stream = WithInterim::new(stream, Arc::clone(&interim));
        let first = interim.begin();
        hint(&interim, first + 1);
        assert_eq!(after(&interim, first, 1).now_or_never(), Some(1));
        hint(&interim, first);
        let second = interim.begin();
        hint(&interim, first);
        assert_eq!(after(&interim, second, 2).now_or_never(), Some(2), "nothing of another's waits");
        stream.flush().await.unwrap();
        drop(stream);
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_torn_head_is_finished_before_anything_else() {
        let interim = Arc::<Interim>::default();
        let (stream, mut client) = duplex(10);
        let mut stream = WithInterim::new(stream, Arc::clone(&interim));
        let request = interim.begin();
        hint(&interim, request);
        assert!(stream.flush().now_or_never().is_none(), "there is room for ten bytes");
        let write = async {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
            drop(stream);
        };
        let mut all = String::new();
        tokio::join!(write, async { client.read_to_string(&mut all).await.unwrap() });
        assert_eq!(all, format!("{HINTS}HTTP/1.1 100 Continue\r\n\r\n"));
    }

    #[tokio::test]
    async fn what_waits_is_bounded() {
        let interim = Arc::<Interim>::default();
        let request = interim.begin();
        for _ in 0..10_000 {
            hint(&interim, request);
        }
        assert!(interim.heads.lock().unwrap().len() <= WAITING_BYTES_MAX + HINTS.len());
        let waiting = After::new(pending::<()>(), Some((interim, request)));
        assert_eq!(waiting.now_or_never(), None);
    }

    #[test]
    fn an_answer_and_a_late_hint_never_both_go_first() {
        for _ in 0..2_000 {
            let interim = Arc::<Interim>::default();
            let request = interim.begin();
            let (answered, waits) = std::thread::scope(|scope| {
                let hinted = scope.spawn(|| hint(&interim, request));
                let answered = after(&interim, request, ()).now_or_never().is_some();
                hinted.join().unwrap();
                (answered, interim.heads_wait())
            });
            assert_ne!(answered, waits, "either the answer is out, or the hint holds it back");
        }
    }
}
