use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use edge_cache_core::{Outcome, Served, route::Matched};
use http::Response;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::{ObserveBody, body::Record};
use crate::Metrics;

pin_project! {
    /// Future of [`Observe`](super::Observe).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        metrics: Metrics,
        began: Instant,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, metrics: Metrics, began: Instant) -> Self {
        Self { inner, metrics, began }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ObserveBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let record = |route: Cow<'static, str>, outcome: Outcome| Record {
            metrics: this.metrics.clone(),
            began: *this.began,
            route,
            outcome,
        };
        Poll::Ready(match result {
            Ok(response) => {
                let route = response.extensions().get::<Matched>().map_or(Cow::Borrowed("other"), |m| m.0.name.clone());
                let said = response.extensions().get::<Outcome>().copied();
                // A server error is an error whoever made it, unless a tier served it as an answer of its own.
                let outcome = match said {
                    Some(outcome) if outcome.tier.is_some() => outcome,
                    _ if response.status().is_server_error() => Outcome { served: Served::Error, tier: None },
                    Some(outcome) => outcome,
                    None => Outcome { served: Served::Bypass, tier: None },
                };
                let record = record(route, outcome);
                Ok(response.map(|body| ObserveBody::new(body, record)))
            }
            Err(error) => {
                record(Cow::Borrowed("other"), Outcome { served: Served::Error, tier: None }).done();
                Err(error)
            }
        })
    }
}
