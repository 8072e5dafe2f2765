use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use edge_cache_core::{Bypass, Fwd, Outcome, Served, TierName};
use edge_cache_policy::cache_status::{self, Member};
use http::Response;
use pin_project_lite::pin_project;

use crate::TierBody;

pin_project! {
    /// Future of [`Tier`](super::Tier).
    #[project = Proj]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, O, RB, E> {
        #[pin]
        kind: Kind<F, O, RB, E>,
    }
}

type Boxed<RB, E> = Pin<Box<dyn Future<Output = Result<Response<TierBody<RB>>, E>> + Send>>;

pin_project! {
    #[project = KindProj]
    enum Kind<F, O, RB, E> {
        Ready { response: Option<Response<TierBody<RB>>> },
        Off { #[pin] inner: F },
        Past { #[pin] inner: O },
        Bypass { #[pin] inner: O, tier: TierName, fwd: Fwd, why: Bypass },
        Slow { boxed: Boxed<RB, E> },
    }
}

impl<F, O, RB, E> ResponseFuture<F, O, RB, E> {
    pub(super) const fn ready(response: Response<TierBody<RB>>) -> Self {
        Self { kind: Kind::Ready { response: Some(response) } }
    }

    pub(super) const fn off(inner: F) -> Self {
        Self { kind: Kind::Off { inner } }
    }

    pub(super) const fn past(inner: O) -> Self {
        Self { kind: Kind::Past { inner } }
    }

    pub(super) const fn bypass(inner: O, tier: TierName, (fwd, why): (Fwd, Bypass)) -> Self {
        Self { kind: Kind::Bypass { inner, tier, fwd, why } }
    }

    pub(super) fn slow(boxed: Boxed<RB, E>) -> Self {
        Self { kind: Kind::Slow { boxed } }
    }
}

impl<F, O, RB, E> Future for ResponseFuture<F, O, RB, E>
where
    F: Future<Output = Result<Response<RB>, E>>,
    O: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<TierBody<RB>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Ready { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after it is ready")))
            }
            KindProj::Off { inner } => inner.poll(cx).map_ok(|response| response.map(TierBody::inner)),
            KindProj::Past { inner } => inner.poll(cx).map_ok(|response| response.map(TierBody::inner)),
            KindProj::Bypass { inner, tier, fwd, why } => {
                let mut response = ready!(inner.poll(cx))?;
                let detail = (*fwd == Fwd::Bypass).then_some(why.as_str());
                let member =
                    Member::Forward { fwd: *fwd, fwd_status: None, ttl: None, stored: false, collapsed: false, detail };
                cache_status::append(response.headers_mut(), *tier, member);
                response.extensions_mut().insert(Outcome { served: Served::Bypass, tier: None });
                Poll::Ready(Ok(response.map(TierBody::inner)))
            }
            KindProj::Slow { boxed } => boxed.as_mut().poll(cx),
        }
    }
}

impl<F, O, RB, E> std::fmt::Debug for ResponseFuture<F, O, RB, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
