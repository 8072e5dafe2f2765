//! Watches every request: what was done for it, how long it took to the last byte, and what became of it on the way.
//!
//! A client that leaves before the head of its answer got none: it is counted apart.

mod body;
mod future;
mod hits;
mod record;
mod span;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use edge_cache_core::{OwnRequest, Trail};
use http::{Request, Response};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use self::record::Record;
pub use self::{
    body::ObserveBody,
    future::ResponseFuture,
    hits::{Hit, HitRecord, Hits},
};
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

    /// For whoever answers plain hits of so many `routes` without this layer, and tells of them as it would; `None` where nobody wants to know.
    #[must_use]
    pub fn hits(&self, routes: usize) -> Option<Hits> {
        self.watch.clone().map(|watch| Hits::new(watch, routes))
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
        let Some(watch) = self.watch.as_ref().filter(|_| req.extensions().get::<OwnRequest>().is_none()) else {
            return ResponseFuture::off(self.inner.call(req));
        };
        let context = watch.context(req.headers(), Instant::now().into_std());
        let trail = Trail::new(context);
        req.extensions_mut().insert(trail.clone());
        let is_kept = context.sampled && watch.may_keep();
        let record = Record::new(Arc::clone(watch), (context, trail), is_kept, &req);
        if !is_kept {
            return ResponseFuture::new(self.inner.call(req), record, None);
        }
        let span = span::of(&context, req.method(), req.uri());
        let entered = span.enter();
        let inner = self.inner.call(req);
        drop(entered);
        ResponseFuture::new(inner, record, Some(span))
    }
}
