use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tracing::Span;

use super::{ObserveBody, record::Record, span};

pin_project! {
    /// Future of [`Observe`](super::Observe).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        record: Option<Box<Record>>,
        span: Option<Span>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, record: Box<Record>, span: Option<Span>) -> Self {
        Self { inner, record: Some(record), span }
    }

    pub(super) const fn off(inner: F) -> Self {
        Self { inner, record: None, span: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ObserveBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _entered = this.span.as_ref().map(Span::enter);
        let result = ready!(this.inner.poll(cx));
        let mut record = this.record.take();
        Poll::Ready(match result {
            Ok(mut response) => {
                let outcome = record.as_mut().map(|record| record.answered(&mut response));
                if let (Some(span), Some(outcome)) = (this.span.as_ref(), outcome) {
                    span::answered(span, response.status(), outcome);
                }
                Ok(response.map(|body| ObserveBody::new(body, record)))
            }
            Err(error) => {
                if let Some(record) = record {
                    record.failed();
                }
                Err(error)
            }
        })
    }
}
