use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use edge_cache_core::{BoxError, Bypass, CacheKey, Entry, Fwd, Store, StoreError, Timestamp, Trail};
use edge_cache_policy::conditional::Conditions;
use http::{Method, Request, Response};
use http_body::Body;
use tower::util::Oneshot;
use tower_service::Service;

use super::{
    LookedUp, ResponseFuture,
    layer::Shared,
    respond::{self, Ask},
    slow,
};
use crate::{Bypassed, Keyed, TierBody, keyed::Within};

/// Service made by [`TierLayer`](super::TierLayer).
#[derive(Clone, Debug)]
pub struct Tier<St, S> {
    pub(super) inner: S,
    pub(super) shared: Option<Arc<Shared<St>>>,
}

impl<St, S, B, RB> Service<Request<B>> for Tier<St, S>
where
    St: Store,
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Default + Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<TierBody<RB>>;
    type Error = S::Error; // a tier's own failures are misses
    type Future = ResponseFuture<S::Future, Oneshot<S, Request<B>>, RB, S::Error>;

    /// Always ready: the inner service is driven ready inside a fill, so that a full pool does not stall hits. A tier that is off is not there.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if self.shared.is_none() { self.inner.poll_ready(cx) } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        let Some(shared) = &self.shared else { return ResponseFuture::off(self.inner.call(req)) };
        if req.extensions().get::<Within>().is_some_and(|within| within.has(shared.id())) {
            // One cache layered inside itself: the outer one is filling.
            return ResponseFuture::past(Oneshot::new(self.inner.clone(), req));
        }
        let Some(keyed) = req.extensions().get::<Keyed>().cloned() else {
            let why = req.extensions().get::<Bypassed>().map_or(Bypass::NoKey, |bypassed| bypassed.0);
            let fwd = if matches!(*req.method(), Method::GET | Method::HEAD) { Fwd::Bypass } else { Fwd::Method };
            let trail = Trail::of(req.extensions());
            trail.note(shared.store.name().as_str(), why.as_reason());
            let oneshot = Oneshot::new(self.inner.clone(), req);
            return ResponseFuture::bypass(oneshot, shared.store.name(), (fwd, why));
        };
        let (first, due) = match req.extensions_mut().remove::<LookedUp>().filter(|looked| looked.is_of(shared.id())) {
            Some(looked) => (slow::First::Answered(Ok(looked.found)), looked.due),
            None => {
                // Polled once here, so that a hit in memory costs no box and no clone of the inner service.
                let mut get = shared.store.get(keyed.key());
                match Pin::new(&mut get).poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Ok(Some(entry))) => {
                        let now = shared.clock.now();
                        let is_plain = shared.is_plain_hit(&entry, keyed.directives(), now);
                        let due = is_plain && shared.is_due(&entry, keyed.mode(), now);
                        if is_plain && !due {
                            return ResponseFuture::ready(shared.plain_hit(keyed.key(), &entry, &mut req, now));
                        }
                        (slow::First::Answered(Ok(Some(entry))), due)
                    }
                    Poll::Ready(result) => (slow::First::Answered(result), false),
                    Poll::Pending => (slow::First::Asked(get), false),
                }
            }
        };
        let inner = self.inner.clone();
        ResponseFuture::slow(Box::pin(slow::run(Arc::clone(shared), inner, req, keyed, (first, due))))
    }
}

impl<St: Store> Shared<St> {
    fn plain_hit<B, RB>(
        &self,
        key: &CacheKey,
        entry: &Entry,
        req: &mut Request<B>,
        now: Timestamp,
    ) -> Response<TierBody<RB>> {
        let conditions = Conditions::take(req.headers_mut());
        let ask =
            Ask { head: req.method() == Method::HEAD, conditions: &conditions, headers: req.headers(), refresh: false };
        respond::hit(self.store.name(), key, entry, &ask, now, None)
    }

    /// A store's answer, with its failure counted as the miss it is.
    pub(crate) fn found(&self, result: Result<Option<Entry>, StoreError>) -> Option<Entry> {
        let found = result.unwrap_or_else(|error| {
            self.events.store_failed(self.store.name(), "get");
            tracing::debug!(tier = %self.store.name(), error = &error as &dyn std::error::Error, "lookup failed");
            None
        });
        // A copy that others made can be judged only by a node that knows their purges.
        if self.store.is_shared() { found.and_then(|copy| self.markers.admit(&copy)) } else { found }
    }
}
