use std::{
    borrow::Cow,
    pin::Pin,
    task::{Context, Poll, ready},
};

use edge_cache_core::{Outcome, Served};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::Metrics;

/// What is counted once the last byte is out.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) metrics: Metrics,
    pub(super) began: Instant,
    pub(super) route: Cow<'static, str>,
    pub(super) outcome: Outcome,
}

impl Record {
    pub(super) fn done(self) {
        self.metrics.request(self.route, self.outcome.served, self.outcome.tier, self.began.elapsed());
    }
}

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
    pub(super) const fn new(inner: B, record: Record) -> Self {
        Self { inner, record: OnDrop(Some(record)) }
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
        if !matches!(frame, Some(Ok(_)))
            && let Some(mut record) = this.record.0.take()
        {
            if frame.is_some() {
                // A body that breaks off is no answer, however fast it broke.
                record.outcome = Outcome { served: Served::Error, tier: None };
            }
            record.done();
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
