//! Watches every request: what was done for it, how long it took to the last byte, and what became of it on the way.
//!
//! A client that leaves before the head of its answer got none, and is not counted.

mod body;
mod future;
mod record;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use edge_cache_core::TraceContext;
use http::{Request, Response};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use self::record::Asked;
pub use self::{body::ObserveBody, future::ResponseFuture};
use crate::Watch;

/// Watches requests; belongs outside every other layer.
#[derive(Clone, Debug, Default)]
pub struct ObserveLayer {
    watch: Option<Arc<Watch>>,
}

impl ObserveLayer {
    /// A layer that does what `watch` says.
    #[must_use]
    pub fn new(watch: Watch) -> Self {
        Self { watch: Some(Arc::new(watch)) }
    }

    /// A layer that passes everything on.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// What it does; `None` for nothing.
    #[must_use]
    pub fn watch(&self) -> Option<&Watch> {
        self.watch.as_deref()
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe { inner, watch: self.watch.clone() }
    }
}

/// Service made by [`ObserveLayer`].
#[derive(Clone, Debug)]
pub struct Observe<S> {
    inner: S,
    watch: Option<Arc<Watch>>,
}

impl<S, B, RB> Service<Request<B>> for Observe<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
{
    type Response = Response<ObserveBody<RB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        let Some(watch) = &self.watch else { return ResponseFuture::off(self.inner.call(req)) };
        let (id, begun) = Watch::name();
        let context =
            TraceContext::of(req.headers(), id, Instant::now().into_std(), || (begun, watch.is_sampled(begun)));
        req.extensions_mut().insert(context);
        let asked = Asked::new(Arc::clone(watch), context, &req);
        if !context.sampled {
            return ResponseFuture::new(self.inner.call(req), asked, None);
        }
        let span = tracing::info_span!(
            target: "edge_cache::request",
            "request",
            id = %context.id,
            trace = %format_args!("{:032x}", context.trace),
            method = %req.method(),
            path = req.uri().path(),
            status = tracing::field::Empty,
            result = tracing::field::Empty,
            tier = tracing::field::Empty,
        );
        let entered = span.enter();
        let inner = self.inner.call(req);
        drop(entered);
        ResponseFuture::new(inner, asked, Some(span))
    }
}
