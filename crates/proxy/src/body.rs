//! The bodies of requests.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use edge_cache::{core::Upload, settings::LimitSettings};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

/// The body of a request: a client's, or none where this process asks itself.
#[derive(Debug, Default)]
pub(crate) enum ClientBody {
    /// As it comes over a connection. Boxed: most requests have none.
    Client(Box<Bounded<Incoming>>),
    /// No body.
    #[default]
    None,
}

/// Why the body of a request ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The connection.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// See [`Fault::Long`].
    #[error("the body of the request is longer than limits.body_bytes_max")]
    Long,
    /// See [`Fault::Silent`].
    #[error("nothing came of the body of the request for limits.body_timeout")]
    Silent,
}

/// What a client did wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is longer than allowed.
    Long,
    /// It stopped.
    Silent,
    /// It cannot be read, or its client went away within it.
    Broken,
}

/// Where a [`Fault`] is found by whoever answers.
pub(crate) type Verdict = Arc<OnceLock<Fault>>;

/// A body within limits.
#[derive(Debug)]
pub(crate) struct Bounded<B> {
    body: B,
    left: u64,
    limit: Duration,
    /// Made when something first has to be waited for: the client may have been told to wait before.
    silence: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    verdict: Verdict,
    upload: Upload,
}

impl<B> Bounded<B> {
    fn new(body: B, limits: &LimitSettings, verdict: Verdict, upload: Upload) -> Self {
        let left = if limits.body_bytes_max == 0 { u64::MAX } else { limits.body_bytes_max };
        let limit = limits.body_timeout;
        Self { body, left, limit, silence: None, waiting: false, verdict, upload }
    }

    fn fault(&self, fault: Fault, error: BodyError) -> BodyError {
        // The first counts.
        self.verdict.get_or_init(|| fault);
        error
    }
}

impl ClientBody {
    /// A client's body, and where is written what was wrong with it and when it is over; nothing where there is no body.
    pub(crate) fn of_client(body: Incoming, limits: &LimitSettings) -> (Self, Option<(Verdict, Upload)>) {
        if body.is_end_stream() {
            return (Self::None, None);
        }
        let (verdict, upload) = (Verdict::default(), Upload::default());
        let bounded = Bounded::new(body, limits, Arc::clone(&verdict), upload.clone());
        (Self::Client(Box::new(bounded)), Some((verdict, upload)))
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes> + Unpin,
    BodyError: From<B::Error>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            this.upload.wait();
            let limit = this.limit;
            let silence = this.silence.get_or_insert_with(|| Box::pin(sleep(limit)));
            if !std::mem::replace(&mut this.waiting, true) {
                silence.as_mut().reset(Instant::now() + limit);
            }
            return silence.as_mut().poll(cx).map(|()| Some(Err(this.fault(Fault::Silent, BodyError::Silent))));
        };
        this.waiting = false;
        let now = Instant::now().into_std();
        this.upload.take(now);
        if frame.is_none() || this.body.is_end_stream() {
            this.upload.end(now);
        }
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(|error| this.fault(Fault::Broken, BodyError::from(error)));
        let len = frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, |data| data.len() as u64);
        match this.left.checked_sub(len) {
            Some(left) => this.left = left,
            None => return Poll::Ready(Some(Err(this.fault(Fault::Long, BodyError::Long)))),
        }
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Client(body) => Pin::new(body).poll_frame(cx),
            Self::None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Client(body) => body.is_end_stream(),
            Self::None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Client(body) => body.size_hint(),
            Self::None => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::advance;

    use super::*;

    impl From<Infallible> for BodyError {
        fn from(never: Infallible) -> Self {
            match never {}
        }
    }

    fn bounded(
        pieces: usize,
        bytes_max: u64,
    ) -> (Bounded<impl Body<Data = Bytes, Error = Infallible> + Unpin>, Verdict) {
        let pieces = (0..pieces).map(|_| Ok(Frame::data(Bytes::from_static(b"four"))));
        let body = StreamBody::new(stream::iter(pieces).chain(stream::pending()));
        let limits = LimitSettings { body_bytes_max: bytes_max, ..LimitSettings::default() };
        let verdict = Verdict::default();
        (Bounded::new(body, &limits, Arc::clone(&verdict), Upload::default()), verdict)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up() {
        let (mut body, verdict) = bounded(1, 0);
        advance(LimitSettings::default().body_timeout * 2).await;
        assert!(body.frame().await.unwrap().is_ok(), "what is there is taken, however late it is asked for");
        assert!(matches!(body.frame().await, Some(Err(BodyError::Silent))));
        assert_eq!(verdict.get(), Some(&Fault::Silent));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_too_long_is_cut() {
        let (mut body, verdict) = bounded(3, 8);
        assert!(body.frame().await.unwrap().is_ok() && body.frame().await.unwrap().is_ok());
        assert!(matches!(body.frame().await, Some(Err(BodyError::Long))));
        assert_eq!(verdict.get(), Some(&Fault::Long));
    }
}
