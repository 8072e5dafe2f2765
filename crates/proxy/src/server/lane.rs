//! The lane for hits: beneath the server of HTTP, requests that stand alone and whose answers are in memory are answered straight from the connection.
//!
//! Whatever else a request may be, the server reads it as if there were no lane: its bytes are handed on as they came, with what was found out about it if it
//! was looked at ([`Turn`](super::turn::Turn)). Where one request ends and the next begins is the server's to tell, so the lane takes part only while there is no doubt: it has seen
//! all bytes that the server got, they were heads without bodies, one in each read, and the answer to the last is out. Once that is not so, as after a POST or a
//! head in two pieces, the server has the connection to its end: no more is lost than the lane.
//!
//! When the answer is out is known by its body, which the server drops when it has put all of the message into its own buffer, and by the flush after that,
//! which comes to the connection only when the buffer is empty.

mod head;

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, buf::Chain};
use edge_cache::Hit;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    front::{Front, Looked},
    head_timer::HeadTimer,
    house::Told,
};

/// A longer head is the server's.
const READ_MAX: usize = 8 << 10;
/// Whoever was not answered here so many times in a row, as one who asks for what may not be stored, mostly is not the next time either: then the lane looks at
/// one in so many, and leaves the look at the others to the server, which reads them in any case, and answers hits too.
const NO_HITS: u32 = 4;
const ONE_IN: u32 = 8;

thread_local! {
    static READ: RefCell<[u8; READ_MAX]> = const { RefCell::new([0; READ_MAX]) };
    static WRITE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection with a lane for hits.
#[derive(Debug)]
pub(super) struct Lane<T, S> {
    stream: T,
    front: Arc<Front<S>>,
    /// How long the server waits for a head.
    timer: HeadTimer,
    lines_max: usize,
    stage: Stage,
    /// Requests since the last one that was answered here.
    no_hits: u32,
    /// What was read for the server, and is more than it took so far.
    left: Bytes,
    /// What the client makes no room for yet.
    unsent: Option<Unsent>,
}

/// What is left of a head, and of the body after it. Boxed: hardly ever there.
type Unsent = Box<Chain<Bytes, Bytes>>;

/// Where the lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing came yet. The first request is the server's, which tells by it what is spoken.
    New,
    /// The server has one request, and nothing after it.
    Handed,
    /// The lane is open: the server waits for the next request, and has nothing of it.
    Open,
    /// The lane is closed for good.
    Closed,
}

impl<T, S> Lane<T, S> {
    /// A lane for what `front` finds in memory, and for heads of at most `lines_max` lines.
    pub(super) fn new(stream: T, front: Arc<Front<S>>, timer: HeadTimer, lines_max: usize) -> Self {
        Self { stream, front, timer, lines_max, stage: Stage::New, no_hits: 0, left: Bytes::new(), unsent: None }
    }

    /// Whether it is worth a look whether the next request is a hit.
    const fn is_worth_a_look(&self) -> bool {
        self.no_hits < NO_HITS || self.no_hits.is_multiple_of(ONE_IN)
    }

    /// Lets the server read these bytes, in as many turns as it takes.
    fn pass_on(&mut self, bytes: &[u8], buf: &mut ReadBuf<'_>) {
        let (now, later) = bytes.split_at(bytes.len().min(buf.remaining()));
        buf.put_slice(now);
        self.left = Bytes::copy_from_slice(later);
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, S> Lane<T, S> {
    /// Reads what comes next, and answers it or hands it over. Whether it was answered.
    fn poll_next(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        READ.with_borrow_mut(|read| {
            let mut read = ReadBuf::new(read);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            let bytes = read.filled();
            let known = match self.stage {
                // There is nothing to spare it, or hardly: the server looks.
                Stage::New if head::is_alone(bytes, self.lines_max) => None,
                Stage::Open if !self.is_worth_a_look() && head::is_alone(bytes, self.lines_max) => None,
                Stage::Open if let Some(parts) = head::alone_in(bytes, self.lines_max) => {
                    let came = Instant::now();
                    let site = self.front.site.load();
                    match self.front.look(&site, parts, Told::NOTHING, came.into_std()) {
                        Looked::Hit(hit) if hit.is_whole() => {
                            self.no_hits = 0;
                            self.unsent = answer(&mut self.stream, cx, hit)?;
                            match self.unsent {
                                None => self.timer.begin(came),
                                // It is the client that takes its time, not one that sends no head.
                                Some(_) => self.timer.hold(),
                            }
                            return Poll::Ready(Ok(true));
                        }
                        other => Some(other.into()),
                    }
                }
                _ => {
                    self.stage = Stage::Closed;
                    self.pass_on(bytes, buf);
                    return Poll::Ready(Ok(false));
                }
            };
            self.front.turn.hand(known);
            self.no_hits = self.no_hits.wrapping_add(1);
            self.stage = Stage::Handed;
            self.pass_on(bytes, buf);
            Poll::Ready(Ok(false))
        })
    }

    /// Writes what there was no room for.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(unsent) = &mut self.unsent else { return Poll::Ready(Ok(())) };
        while unsent.has_remaining() {
            let mut pieces = [IoSlice::new(&[]); 2];
            let count = unsent.chunks_vectored(&mut pieces);
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &pieces[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            unsent.advance(written);
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unsent = None;
        self.timer.begin(Instant::now());
        Poll::Ready(Ok(()))
    }
}

/// Writes an answer; what there was no room for.
fn answer<T: AsyncWrite + Unpin>(stream: &mut T, cx: &mut Context<'_>, hit: Hit<'_>) -> io::Result<Option<Unsent>> {
    WRITE.with_borrow_mut(|head| {
        head.clear();
        let mut body = hit.write(head);
        let bytes = body.take().unwrap_or_default();
        let pieces = [IoSlice::new(head), IoSlice::new(&bytes)];
        let written = match Pin::new(&mut *stream).poll_write_vectored(cx, &pieces) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        if written == head.len() + bytes.len() && Pin::new(stream).poll_flush(cx)?.is_ready() {
            return Ok(None);
        }
        let of_body = written.saturating_sub(head.len());
        let head = Bytes::copy_from_slice(&head[written.min(head.len())..]);
        Ok(Some(Box::new(head.chain(bytes.slice(of_body..)))))
    })
}

impl<T: AsyncRead + AsyncWrite + Unpin, S> AsyncRead for Lane<T, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.left.is_empty() {
            let left = this.left.split_to(this.left.len().min(buf.remaining()));
            buf.put_slice(&left);
            return Poll::Ready(Ok(()));
        }
        match this.stage {
            Stage::New | Stage::Open => loop {
                ready!(this.poll_send(cx))?;
                if !ready!(this.poll_next(cx, buf))? {
                    return Poll::Ready(Ok(()));
                }
            },
            Stage::Handed => {
                let before = buf.filled().len();
                ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
                if buf.filled().len() > before {
                    this.stage = Stage::Closed;
                }
                Poll::Ready(Ok(()))
            }
            Stage::Closed => Pin::new(&mut this.stream).poll_read(cx, buf),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, S> AsyncWrite for Lane<T, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // The server flushes the connection when its own buffer is empty.
        if self.stage == Stage::Handed && self.front.turn.take_over() {
            self.stage = Stage::Open;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
