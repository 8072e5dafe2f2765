//! The layer that counts: it stands outside the tiers and inside the key layer, and sees by what a tier hands up which stored answer was
//! served.
//!
//! ```
//! use edge_cache_warmer::{HotSet, WarmLayer};
//! use tower_layer::Layer;
//!
//! # let tiers = ();
//! let hot = HotSet::new(4096);
//! let counted = WarmLayer::new(hot.clone()).layer(tiers);
//! # let _ = counted;
//! assert!(hot.top(10).is_empty(), "nothing was asked for yet");
//! ```

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use edge_cache_core::{Handoff, Kind, OwnRequest, Priority};
use http::{Request, Response, header};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::HotSet;

/// Counts which stored answers clients get. A layer that is [off](Self::off) passes everything through.
#[derive(Clone, Debug)]
pub struct WarmLayer {
    hot: Option<HotSet>,
}

impl WarmLayer {
    /// A layer that counts into `hot`.
    #[must_use]
    pub const fn new(hot: HotSet) -> Self {
        Self { hot: Some(hot) }
    }

    /// A layer that does nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self { hot: None }
    }

    /// What is counted into, unless the layer is off.
    #[must_use]
    pub const fn hot(&self) -> Option<&HotSet> {
        self.hot.as_ref()
    }
}

impl<S> Layer<S> for WarmLayer {
    type Service = Warm<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Warm { inner, hot: self.hot.clone() }
    }
}

/// Service made by [`WarmLayer`].
#[derive(Clone, Debug)]
pub struct Warm<S> {
    inner: S,
    hot: Option<HotSet>,
}

impl<S, B, RB> Service<Request<B>> for Warm<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        // Nobody asked for what is asked for in advance. With credentials another answer may be meant than whoever warms would get.
        let counts = !req.headers().contains_key(header::AUTHORIZATION)
            && req.extensions().get::<OwnRequest>().is_none()
            && req.extensions().get::<Priority>().is_none_or(|priority| *priority < Priority::Refresh);
        let hot = self.hot.clone().filter(|_| counts);
        ResponseFuture { inner: self.inner.call(req), hot }
    }
}

pin_project! {
    /// Future of [`Warm`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        hot: Option<HotSet>,
    }
}

impl<F: Future<Output = Result<Response<B>, E>>, B, E> Future for ResponseFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        if let Some(hot) = this.hot.take()
            && let Some(handoff) = response.extensions().get::<Handoff>()
            && handoff.head().kind == Kind::Response
            && handoff.head().status.is_success()
        {
            hot.record(&handoff.key, handoff.head());
        }
        Poll::Ready(Ok(response))
    }
}
