use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use super::{BreakerError, Classify, Verdict};
use crate::{Open, Permit};

pin_project! {
    /// Future of [`BreakerService`](super::BreakerService). Dropped before its end, it is a cancelled call, of which the breaker
    /// learns nothing.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Req, C>
    where
        S: Service<Req>,
    {
        #[pin]
        kind: Kind<S, Req, C>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<S, Req, C>
    where
        S: Service<Req>,
    {
        Refused { open: Open },
        Called { #[pin] inner: Oneshot<S, Req>, permit: Option<Permit>, classify: C },
    }
}

impl<S: Service<Req>, Req, C> ResponseFuture<S, Req, C> {
    pub(super) const fn refused(open: Open) -> Self {
        Self { kind: Kind::Refused { open } }
    }

    /// `service` need not be ready.
    pub(super) const fn called(service: S, request: Req, permit: Permit, classify: C) -> Self {
        Self { kind: Kind::Called { inner: Oneshot::new(service, request), permit: Some(permit), classify } }
    }
}

impl<S, Req, C> Future for ResponseFuture<S, Req, C>
where
    S: Service<Req>,
    C: Classify<S::Response, S::Error>,
{
    type Output = Result<S::Response, BreakerError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Refused { open } => Poll::Ready(Err(BreakerError::Open(*open))),
            KindProj::Called { inner, permit, classify } => {
                let result = ready!(inner.poll(cx));
                if let Some(permit) = permit.take() {
                    match classify.classify(result.as_ref()) {
                        Verdict::Success => permit.success(),
                        Verdict::Failure => permit.failure(),
                        Verdict::Ignore => drop(permit),
                    }
                }
                Poll::Ready(result.map_err(BreakerError::Inner))
            }
        }
    }
}

impl<S: Service<Req>, Req, C> fmt::Debug for ResponseFuture<S, Req, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
