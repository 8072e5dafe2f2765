//! A body that is passed on while it is stored.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use edge_cache_core::{Entry, Head, NoStore, Store};
use futures_util::FutureExt;
use http::header;
use http_body::Body;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Outward, Pad, reading::Reading};
use crate::{
    flight::{Landed, LandedBody},
    shared_body::{SharedBody, Writing},
    tier::respond::Inner,
};

/// Short pieces of a body that have come are passed on together up to this.
const READ_AHEAD_BYTES: usize = 16 << 10;

/// How a body belongs to what is stored.
pub(super) enum Shape {
    /// It is all of it.
    Whole,
    /// It is a part, stored as one.
    Part,
    /// It is what a part lacked: `first` comes before it.
    Rest {
        first: Bytes,
        /// Bytes that it is to have.
        rest_len: u64,
    },
}

/// A body that is not all there yet.
struct Begun {
    /// What comes before it.
    first: Bytes,
    /// What was read of it.
    reading: Reading,
    /// Of the whole.
    len_expected: Option<u64>,
    /// It completes a part.
    completes: bool,
}

impl<St: Store, RB, E> Pad<St, RB, E> {
    /// Reads the body once for everybody, and stores it if it ends well and is not too large.
    pub(super) fn stream(self, head: Arc<Head>, body: RB, said: Inner, shape: Shape) -> impl Future<Output = ()>
    where
        RB: Body<Data = Bytes>,
    {
        let completes = matches!(shape, Shape::Rest { .. });
        let (first, announced) = match shape {
            Shape::Whole | Shape::Part => (Bytes::new(), content_length(&head)),
            Shape::Rest { first, rest_len } => (first, Some(rest_len)),
        };
        let first_len = first.len() as u64;
        let len_expected = body.size_hint().exact().map(|len| first_len.saturating_add(len));
        let max = self.shared.store.body_bytes_max().saturating_sub(first_len);
        let mut reading = Reading::of(max, announced);

        async move {
            let mut body = pin!(body);
            // What is there already is taken before anyone is told: most handlers' bodies are whole at once.
            let early = std::future::poll_fn(|cx| {
                while !reading.ended() {
                    match body.as_mut().poll_frame(cx) {
                        Poll::Ready(frame) => reading.take(frame, body.is_end_stream()),
                        Poll::Pending => return Poll::Ready(false),
                    }
                    if reading.over() {
                        return Poll::Ready(false);
                    }
                }
                Poll::Ready(true)
            })
            .await;
            if early && reading.is_complete() && reading.trailers.is_none() {
                let mut bytes = reading.drain();
                if !first.is_empty() {
                    bytes = [first, bytes].concat().into();
                }
                let entry = Entry::new(Arc::unwrap_or_clone(head), bytes, self.start);
                return self.whole(entry, said).await;
            }
            // Boxed: what is there already needs no room for it.
            Box::pin(self.pass_on(head, body, said, Begun { first, reading, len_expected, completes })).await;
        }
    }

    /// Waits until somebody has taken enough of a body; `false` where nobody reads it any more. Who takes nothing for long keeps others waiting no longer.
    async fn wait_for_room(&self, body: &SharedBody) -> bool {
        let room = || std::future::poll_fn(|cx| body.poll_room(cx));
        if let Some(is_read) = room().now_or_never() {
            return is_read;
        }
        loop {
            body.watch_readers();
            match timeout(self.shared.config.body_idle_max, room()).await {
                Ok(is_read) => return is_read,
                Err(_) => drop(body.leave_behind()),
            }
        }
    }

    /// Passes a body on as it comes.
    async fn pass_on<B>(mut self, head: Arc<Head>, mut body: Pin<&mut B>, said: Inner, begun: Begun)
    where
        B: Body<Data = Bytes>,
    {
        let Begun { first, mut reading, len_expected, completes } = begun;
        let shared_body = SharedBody::new(len_expected);
        // A body that panics must not leave its readers waiting.
        let _writing = Writing(Arc::clone(&shared_body));
        if !first.is_empty() {
            shared_body.push(first);
        }

        let variant = self.variant(&head);
        let landed = Landed {
            body: LandedBody::Growing(Arc::clone(&head), Arc::clone(&shared_body)),
            variant: variant.clone(),
            stored: true,
            start: self.start,
        };
        // The leader's place is taken before the body can move on: past the limit nobody can join any more.
        let has_client = self.to_leader.is_some();
        let reader = has_client.then(|| shared_body.reader()).flatten();
        let landed = self.land(landed);
        self.tell(Outward::Landed(landed, said, reader));
        let (idle_max, abandoned_max) = (self.shared.config.body_idle_max, self.shared.config.abandoned_max);
        let mut given_up = false;
        'body: loop {
            if reading.over() && !reading.passing {
                // Too large after all: it streams on to those who read it, unstored.
                reading.passing = true;
                if let Some(mut lead) = self.lead.take() {
                    lead.close();
                }
                self.shared.uncacheable.add(&self.key, NoStore::TooLarge, self.shared.clock.now());
            }
            if reading.ended() {
                break;
            }
            for piece in reading.pieces() {
                shared_body.push(piece);
            }
            if reading.passing {
                shared_body.keep_window();
            }
            if !self.wait_for_room(&shared_body).await {
                break;
            }
            // An origin that stalls must not hold the key for ever, nor one that takes its time for nobody a place of those who wait.
            let silent = Instant::now() + idle_max;
            let frame = loop {
                let now = Instant::now();
                let end = shared_body.unread_since().filter(|_| has_client).map(|since| since + abandoned_max);
                given_up = end.is_some_and(|end| now >= end);
                if given_up || now >= silent {
                    break 'body;
                }
                // Who reads it may leave, and another come.
                let next_look = end.unwrap_or(now + if has_client { abandoned_max } else { idle_max });
                let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx));
                if let Ok(frame) = timeout_at(next_look.min(silent), frame).await {
                    break frame;
                }
            };
            reading.take(frame, body.is_end_stream());
            // What is there already goes on in one piece.
            while !reading.ended() && reading.waiting() < READ_AHEAD_BYTES {
                let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).now_or_never();
                let Some(frame) = frame else { break };
                reading.take(frame, body.is_end_stream());
            }
        }
        if !reading.is_complete() {
            // What came before the end is good.
            for piece in reading.pieces() {
                shared_body.push(piece);
            }
            shared_body.cut();
            if given_up {
                return self.note("given up: nobody reads it any more");
            }
            self.shared.events.fill_failed(self.shared.store.name());
            if completes {
                // The part that was to be completed would lead the next one here too.
                drop(self.shared.store.remove(&self.key).await);
            }
            return;
        }
        // The entry is stored before the last bytes go out, so that a client that has them all finds a hit.
        let stored = !reading.passing;
        let mut pending = None;
        if stored {
            let mut all = BytesMut::from(&shared_body.bytes()[..]);
            reading.read().iter().for_each(|chunk| all.extend_from_slice(chunk));
            let mut keep =
                Box::pin(self.keep(Entry::new(Arc::unwrap_or_clone(head), all.freeze(), self.start), variant));
            if keep.as_mut().now_or_never().is_none() {
                pending = Some(keep);
            }
        }
        for piece in reading.pieces() {
            shared_body.push(piece);
        }
        shared_body.finish(reading.trailers.take());
        if let Some(keep) = pending {
            keep.await;
        }
        self.settle(stored);
    }
}

/// `Content-Length`, where it is one number.
pub(in crate::tier) fn content_length(head: &Head) -> Option<u64> {
    std::str::from_utf8(head.headers.get(&header::CONTENT_LENGTH)?).ok()?.parse().ok()
}
