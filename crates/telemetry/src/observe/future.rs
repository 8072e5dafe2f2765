use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use edge_cache_core::TierName;
use http::Response;
use pin_project_lite::pin_project;
use tracing::Span;

use super::{ObserveBody, record::Asked};

pin_project! {
    /// Future of [`Observe`](super::Observe).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        asked: Option<Asked>,
        span: Option<Span>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, asked: Asked, span: Option<Span>) -> Self {
        Self { inner, asked: Some(asked), span }
    }

    pub(super) const fn off(inner: F) -> Self {
        Self { inner, asked: None, span: None }
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
        let asked = this.asked.take();
        Poll::Ready(match result {
            Ok(mut response) => {
                let record = asked.map(|asked| asked.answered(&mut response));
                if let (Some(span), Some(record)) = (this.span.as_ref(), &record) {
                    span.record("status", response.status().as_u16());
                    span.record("result", record.outcome.served.as_str());
                    span.record("tier", record.outcome.tier.map_or("origin", TierName::as_str));
                    tracing::debug!("answered");
                }
                Ok(response.map(|body| ObserveBody::new(body, record)))
            }
            Err(error) => {
                if let Some(asked) = asked {
                    asked.failed();
                }
                Err(error)
            }
        })
    }
}
