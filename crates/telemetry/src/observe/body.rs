use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::record::Record;

pin_project! {
    /// The body of an [`Observe`](super::Observe)d answer.
    #[derive(Debug)]
    pub struct ObserveBody<B> {
        #[pin]
        inner: B,
        // Counts when it is dropped: with this body, at the latest.
        record: Option<Box<Record>>,
    }
}

impl<B> ObserveBody<B> {
    pub(super) const fn new(inner: B, record: Option<Box<Record>>) -> Self {
        Self { inner, record }
    }
}

impl<B: Default> Default for ObserveBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), record: None }
    }
}

impl<B: Body> Body for ObserveBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        match (&frame, this.record.as_mut()) {
            (Some(Ok(frame)), Some(record)) => record.sent(frame.data_ref().map_or(0, Buf::remaining)),
            (Some(Err(_)), Some(record)) => record.broke_off(),
            (None, _) | (_, None) => {}
        }
        if !matches!(frame, Some(Ok(_))) {
            drop(this.record.take());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
