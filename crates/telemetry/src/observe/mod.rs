//! Watches every request: what was done for it, how long it took to the last byte, and what became of it on the way.
//!
//! A client that leaves before the head of its answer got none: it is counted apart.

mod body;
mod future;
mod record;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use edge_cache_core::{OwnRequest, TraceContext};
use http::{Request, Response};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use self::record::Record;
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
        Observe { inner, handle: self.watch.clone().map(Handle::new) }
    }
}

/// Whoever looks at requests, by a count of its own: all threads count the one, and a connection only its own.
#[derive(Clone, Debug)]
struct Handle(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    watch: Arc<Watch>,
}

impl Handle {
    fn new(watch: Arc<Watch>) -> Self {
        Self(Arc::new(Counted { watch }))
    }

    fn watch(&self) -> &Watch {
        &self.0.watch
    }
}

/// Service made by [`ObserveLayer`].
#[derive(Clone, Debug)]
pub struct Observe<S> {
    inner: S,
    handle: Option<Handle>,
}

impl<S> Observe<S> {
    /// The same for one connection: what its requests count to keep this service alive is no other connection's business. Worth it where a
    /// server clones the service for each request.
    #[must_use]
    pub fn for_connection(mut self) -> Self {
        self.handle = self.handle.map(|handle| Handle::new(Arc::clone(&handle.0.watch)));
        self
    }
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
        let Some(handle) = self.handle.as_ref().filter(|_| req.extensions().get::<OwnRequest>().is_none()) else {
            return ResponseFuture::off(self.inner.call(req));
        };
        let watch = handle.watch();
        let (id, begun) = Watch::name();
        let context =
            TraceContext::of(req.headers(), id, Instant::now().into_std(), || (begun, watch.is_sampled(begun)));
        req.extensions_mut().insert(context);
        let is_kept = context.sampled && watch.may_keep();
        let record = Record::new(handle.clone(), context, is_kept, &req);
        if !is_kept {
            return ResponseFuture::new(self.inner.call(req), record, None);
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
        ResponseFuture::new(inner, record, Some(span))
    }
}
