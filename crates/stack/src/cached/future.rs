use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;

use super::{CachedBody, HitBody};

/// Future of [`Cached`](super::Cached).
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture<F, RB>(Kind<F, RB>);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a hit takes no memory of its own for this")]
enum Kind<F, RB> {
    Hit(Option<Response<CachedBody<RB>>>),
    // Boxed: its room would be part of every hit.
    Layers(Pin<Box<F>>),
}

impl<F, RB> ResponseFuture<F, RB> {
    pub(super) fn hit(response: Response<HitBody>) -> Self {
        Self(Kind::Hit(Some(response.map(CachedBody::from))))
    }

    pub(super) fn layers(inner: F) -> Self {
        Self(Kind::Layers(Box::pin(inner)))
    }
}

impl<F, RB, E> Future for ResponseFuture<F, RB>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<CachedBody<RB>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Hit(response) => Poll::Ready(Ok(response.take().expect("a future is not polled after it is ready"))),
            Kind::Layers(inner) => inner.as_mut().poll(cx).map_ok(|response| response.map(CachedBody::layers)),
        }
    }
}
