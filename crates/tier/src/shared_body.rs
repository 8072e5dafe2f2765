//! A body that is read from the origin once and by any number of clients while it grows.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

/// The body ended before its end: nothing of it is stored.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the origin's body ended early")]
pub(crate) struct BodyCut;

/// Bytes that may wait for the slowest reader once the body is too large to be stored.
const WINDOW_BYTES: u64 = 256 << 10;

/// Written by one fill, read by its leader and the waiters.
///
/// While it may still be stored it keeps everything, and the origin is read at its own pace. Past the store's limit it keeps only a
/// window: the slowest of those that already read sets the pace, unless it takes nothing at all, and nobody joins any more.
#[derive(Debug)]
pub(crate) struct SharedBody {
    state: Mutex<State>,
    len_expected: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Chunks dropped from the front.
    dropped: usize,
    /// Bytes in `chunks`.
    kept: u64,
    windowed: bool,
    end: Option<End>,
    readers: Vec<Option<Place>>,
    writer: Option<Waker>,
    /// The last reader left.
    unread_since: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    chunk: usize,
    waker: Option<Waker>,
    /// It took something since the writer began to wait.
    took: bool,
    /// The others do not wait for it any more: it gets no more.
    left_behind: bool,
}

#[derive(Clone, Debug)]
enum End {
    Complete(Option<HeaderMap>),
    Cut,
}

impl State {
    /// Readers whose pace counts.
    fn followed(&self) -> impl Iterator<Item = &Place> {
        self.readers.iter().flatten().filter(|place| !place.left_behind)
    }

    fn wake_readers(&mut self) {
        for place in self.readers.iter_mut().flatten() {
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }

    /// Drops what every reader has had, when only a window is kept.
    fn slide(&mut self) {
        if !self.windowed {
            return;
        }
        let next = self.dropped + self.chunks.len();
        let slowest = self.followed().map(|place| place.chunk).min().unwrap_or(next);
        while self.dropped < slowest {
            let Some(chunk) = self.chunks.pop_front() else { break };
            self.kept -= chunk.len() as u64;
            self.dropped += 1;
        }
        if self.kept < WINDOW_BYTES
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }
}

impl SharedBody {
    pub(crate) fn new(len_expected: Option<u64>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), len_expected })
    }

    pub(crate) fn push(&self, chunk: Bytes) {
        let mut state = self.state.lock();
        state.kept += chunk.len() as u64;
        state.chunks.push_back(chunk);
        state.slide();
        state.wake_readers();
    }

    pub(crate) fn finish(&self, trailers: Option<HeaderMap>) {
        self.end(End::Complete(trailers));
    }

    pub(crate) fn cut(&self) {
        self.end(End::Cut);
    }

    fn end(&self, end: End) {
        let mut state = self.state.lock();
        state.end.get_or_insert(end);
        state.wake_readers();
    }

    /// From now on only a window is kept: the body will not be stored.
    pub(crate) fn keep_window(&self) {
        let mut state = self.state.lock();
        state.windowed = true;
        state.slide();
    }

    /// Ready with `true` when there is room for another chunk, with `false` when nobody reads any more.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.state.lock();
        if !state.windowed {
            return Poll::Ready(true);
        }
        if state.followed().next().is_none() {
            return Poll::Ready(false);
        }
        if state.kept < WINDOW_BYTES {
            return Poll::Ready(true);
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Since when nobody reads it any more; `None` while somebody does, or nobody ever has.
    pub(crate) fn unread_since(&self) -> Option<Instant> {
        self.state.lock().unread_since
    }

    /// From now on it is noted who takes something.
    pub(crate) fn watch_readers(&self) {
        self.state.lock().readers.iter_mut().flatten().for_each(|place| place.took = false);
    }

    /// Leaves those behind who have taken nothing since [`watch_readers`](Self::watch_readers), and the least of all, where others have taken more and wait for
    /// them. Whether there were any.
    pub(crate) fn leave_behind(&self) -> bool {
        let mut state = self.state.lock();
        let (slowest, fastest) = state
            .followed()
            .fold((usize::MAX, 0), |(slowest, fastest), place| (slowest.min(place.chunk), fastest.max(place.chunk)));
        if slowest >= fastest {
            return false;
        }
        let mut any = false;
        for place in state.readers.iter_mut().flatten().filter(|place| place.chunk == slowest && !place.took) {
            (place.left_behind, any) = (true, true);
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
        state.slide();
        any
    }

    /// Everything written so far, in one piece.
    pub(crate) fn bytes(&self) -> Bytes {
        let state = self.state.lock();
        match state.chunks.len() {
            0 => Bytes::new(),
            1 => state.chunks[0].clone(),
            _ => {
                let mut all = BytesMut::with_capacity(usize::try_from(state.kept).unwrap_or(0));
                state.chunks.iter().for_each(|chunk| all.extend_from_slice(chunk));
                all.freeze()
            }
        }
    }

    /// A reader from the first byte; `None` once that is gone.
    pub(crate) fn reader(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.state.lock();
        if state.windowed {
            return None;
        }
        let place = Some(Place { chunk: 0, waker: None, took: false, left_behind: false });
        state.unread_since = None;
        let slot = match state.readers.iter().position(Option::is_none) {
            Some(free) => {
                state.readers[free] = place;
                free
            }
            None => {
                state.readers.push(place);
                state.readers.len() - 1
            }
        };
        drop(state);
        Some(Reader { body: Arc::clone(self), slot, done: false })
    }
}

/// Cuts a body off where whoever writes it goes before its end: nobody must wait for what does not come.
#[derive(Debug)]
pub(crate) struct Writing(pub(crate) Arc<SharedBody>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// One client's view of a [`SharedBody`].
#[derive(Debug)]
pub(crate) struct Reader {
    body: Arc<SharedBody>,
    slot: usize,
    done: bool,
}

impl Body for Reader {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        if self.done {
            return Poll::Ready(None);
        }
        let mut guard = self.body.state.lock();
        let state = &mut *guard;
        let place = state.readers[self.slot].as_mut().expect("a reader keeps its place until it is dropped");
        if place.left_behind {
            drop(guard);
            self.done = true;
            return Poll::Ready(Some(Err(BodyCut)));
        }
        if let Some(chunk) = state.chunks.get(place.chunk - state.dropped) {
            let chunk = chunk.clone();
            place.chunk += 1;
            place.took = true;
            state.slide();
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        let end = match &state.end {
            None => {
                place.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Some(End::Complete(trailers)) => trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))),
            Some(End::Cut) => Some(Err(BodyCut)),
        };
        drop(guard);
        self.done = true;
        Poll::Ready(end)
    }

    fn is_end_stream(&self) -> bool {
        if self.done {
            return true;
        }
        let state = self.body.state.lock();
        let place = state.readers[self.slot].as_ref().expect("a reader keeps its place until it is dropped");
        let is_after_all = || place.chunk - state.dropped == state.chunks.len();
        matches!(state.end, Some(End::Complete(None))) && !place.left_behind && is_after_all()
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.body.state.lock();
        let place = state.readers[self.slot].as_ref().expect("a reader keeps its place until it is dropped");
        if place.left_behind {
            return SizeHint::default();
        }
        let ahead = || state.chunks.iter().skip(place.chunk - state.dropped).map(|chunk| chunk.len() as u64).sum();
        match (&state.end, self.body.len_expected) {
            // A known length would become `Content-Length`, after which nothing can follow (RFC 9112 §6.3).
            (Some(End::Complete(Some(_))), _) => SizeHint::default(),
            (Some(End::Complete(None)), _) => SizeHint::with_exact(ahead()),
            (_, Some(len)) if place.chunk == 0 => SizeHint::with_exact(len),
            _ => SizeHint::default(),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.body.state.lock();
        state.readers[self.slot] = None;
        if state.readers.iter().all(Option::is_none) {
            state.unread_since = Some(Instant::now());
        }
        state.slide();
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, task::noop_waker};
    use http_body_util::BodyExt;

    use super::*;

    fn room(body: &SharedBody) -> Poll<bool> {
        body.poll_room(&mut Context::from_waker(&noop_waker()))
    }

    fn next(reader: &mut Reader) -> Option<Option<Bytes>> {
        let frame = reader.frame().now_or_never()?;
        Some(frame.map(|frame| frame.unwrap().into_data().unwrap()))
    }

    #[test]
    fn late_readers_see_it_whole() {
        let body = SharedBody::new(None);
        let mut early = body.reader().unwrap();
        assert_eq!(next(&mut early), None);
        body.push(Bytes::from_static(b"ab"));
        let mut late = body.reader().unwrap();
        assert_eq!(next(&mut early), Some(Some(Bytes::from_static(b"ab"))));
        body.push(Bytes::from_static(b"c"));
        body.finish(None);
        assert_eq!(next(&mut early), Some(Some(Bytes::from_static(b"c"))));
        assert_eq!(next(&mut early), Some(None));
        assert_eq!(late.size_hint().exact(), Some(3));
        assert_eq!((next(&mut late), next(&mut late)), (Some(Some("ab".into())), Some(Some("c".into()))));
        assert!(late.is_end_stream());
        assert_eq!(body.bytes(), "abc");
    }

    #[test]
    fn a_cut_body_is_an_error_for_all() {
        let body = SharedBody::new(Some(9));
        let mut reader = body.reader().unwrap();
        body.push("ab".into());
        body.cut();
        assert!(reader.frame().now_or_never().unwrap().unwrap().is_ok());
        assert!(reader.frame().now_or_never().unwrap().unwrap().is_err());
        assert!(reader.frame().now_or_never().unwrap().is_none());
    }

    #[test]
    fn trailers_come_last() {
        let body = SharedBody::new(None);
        let mut reader = body.reader().unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x", http::HeaderValue::from_static("1"));
        body.finish(Some(trailers.clone()));
        assert!(!reader.is_end_stream() && reader.size_hint().exact().is_none());
        let frame = reader.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap(), trailers);
        assert_eq!(next(&mut reader), Some(None));
    }

    #[test]
    fn a_body_is_cut_where_its_writer_goes() {
        let body = SharedBody::new(None);
        let (writing, mut reader) = (Writing(Arc::clone(&body)), body.reader().unwrap());
        assert_eq!(next(&mut reader), None);
        drop(writing);
        assert!(reader.frame().now_or_never().unwrap().unwrap().is_err());

        let body = SharedBody::new(None);
        let (writing, mut reader) = (Writing(Arc::clone(&body)), body.reader().unwrap());
        body.finish(None);
        drop(writing);
        assert_eq!(next(&mut reader), Some(None), "it was over");
    }

    #[test]
    fn who_takes_nothing_is_left_behind_where_others_wait() {
        let body = SharedBody::new(Some(1 << 30));
        let (mut slow, mut fast) = (body.reader().unwrap(), body.reader().unwrap());
        body.keep_window();
        let chunk = Bytes::from(vec![0; usize::try_from(WINDOW_BYTES).unwrap()]);
        body.push(chunk.clone());
        body.push(chunk.clone());
        assert!(!body.leave_behind(), "nobody is ahead of anybody");
        body.watch_readers();
        assert!(next(&mut fast).is_some() && next(&mut fast).is_some());
        assert!(next(&mut slow).is_some());
        assert!(!body.leave_behind(), "who takes something is only slow");
        body.watch_readers();
        assert!(body.leave_behind());
        assert_eq!(room(&body), Poll::Ready(true));
        body.push(chunk);
        assert!(slow.size_hint().exact().is_none() && !slow.is_end_stream());
        assert!(slow.frame().now_or_never().unwrap().unwrap().is_err());
        assert!(slow.frame().now_or_never().unwrap().is_none());
        assert_eq!(room(&body), Poll::Pending);
        assert!(!body.leave_behind(), "who reads alone may take all the time there is");
        assert!(next(&mut fast).is_some());
        drop(fast);
        assert_eq!(room(&body), Poll::Ready(false), "nobody reads any more who counts");
    }

    #[test]
    fn past_the_limit_the_slowest_reader_sets_the_pace() {
        let body = SharedBody::new(None);
        let (mut slow, mut fast) = (body.reader().unwrap(), body.reader().unwrap());
        body.keep_window();
        assert!(body.reader().is_none(), "the beginning may be gone");
        let chunk = Bytes::from(vec![0; usize::try_from(WINDOW_BYTES).unwrap()]);
        assert_eq!(room(&body), Poll::Ready(true));
        body.push(chunk.clone());
        assert_eq!(room(&body), Poll::Pending);
        assert!(next(&mut fast).is_some());
        assert_eq!(room(&body), Poll::Pending);
        assert!(next(&mut slow).is_some());
        assert_eq!(room(&body), Poll::Ready(true));
        assert_eq!(body.bytes().len(), 0, "nothing is kept that all have read");
        drop(fast);
        drop(slow);
        assert_eq!(room(&body), Poll::Ready(false));
    }
}
