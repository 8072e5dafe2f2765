use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::record::Record;

/// Counts on drop: when the connection is done with the body, or gives it up.
#[derive(Debug)]
struct OnDrop(Option<Record>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(record) = self.0.take() {
            record.done();
        }
    }
}

pin_project! {
    /// The body of an [`Observe`](super::Observe)d answer.
    #[derive(Debug)]
    pub struct ObserveBody<B> {
        #[pin]
        inner: B,
        record: OnDrop,
    }
}

impl<B> ObserveBody<B> {
    pub(super) const fn new(inner: B, record: Option<Record>) -> Self {
        Self { inner, record: OnDrop(record) }
    }
}

impl<B: Default> Default for ObserveBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), record: OnDrop(None) }
    }
}

impl<B: Body> Body for ObserveBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        match (&frame, &mut this.record.0) {
            (Some(Ok(frame)), Some(record)) => {
                record.sent(frame.data_ref().map_or(0, Buf::remaining));
            }
            (ended, kept) => {
                if let Some(mut record) = kept.take() {
                    if ended.is_some() {
                        record.broke_off();
                    }
                    record.done();
                }
            }
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
