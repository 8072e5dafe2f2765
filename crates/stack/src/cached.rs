//! A service behind the cache.

mod body;
pub(crate) mod fast;
mod future;
mod hit;
mod said;

use std::{
    net::IpAddr,
    task::{Context, Poll},
    time::Instant,
};

use edge_cache_core::{ClientAddress, Priority};
use edge_cache_disk::DiskStore;
use edge_cache_memory::MemoryStore;
use edge_cache_redis::RedisStore;
use edge_cache_telemetry::Observe;
use edge_cache_tier::{Invalidate, Key, Tier, Trusted};
use edge_cache_warmer::Warm;
use http::{Extensions, Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use self::fast::Fast;
pub use self::{
    body::{CachedBody, HitBody},
    future::ResponseFuture,
    hit::Hit,
};
use crate::compress::Compress;

/// The layers around a service, for all but plain hits.
pub(crate) type Layers<S> =
    Observe<Key<Warm<Invalidate<Tier<MemoryStore, Tier<RedisStore, Tier<DiskStore, Compress<S>>>>>>>>;

/// A service behind the cache.
///
/// A plain hit, which is fresh in memory and not purged, is answered before any layer, without a task, a box or a clone of the service; it
/// bears no response extensions. Everything else goes through the layers, which come to the same answers. A server of its own can ask
/// [`at_once`](Self::at_once) first, and spare itself all that it prepares only for what goes further in.
#[derive(Clone, Debug)]
pub struct Cached<S> {
    fast: Fast,
    layers: Layers<S>,
}

/// What a server knows of a request that its head does not say.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When it came.
    pub at: Instant,
    /// Where from; `None` where that is not known.
    pub client: Option<IpAddr>,
    /// Whether all of its directives count; see [`Trusted`].
    pub trusted: bool,
    /// Whether somebody waits for it: what nobody waits for is not counted as hot.
    pub awaited: bool,
}

impl Arrival {
    /// What a request's extensions say, if it comes now.
    #[must_use]
    pub fn now(extensions: &Extensions) -> Self {
        Self {
            at: tokio::time::Instant::now().into_std(),
            client: extensions.get::<ClientAddress>().map(|client| client.0),
            trusted: extensions.get::<Trusted>().is_some(),
            awaited: extensions.get::<Priority>().is_none_or(|priority| *priority < Priority::Refresh),
        }
    }
}

impl<S> Cached<S> {
    pub(crate) const fn new(fast: Fast, layers: Layers<S>) -> Self {
        Self { fast, layers }
    }

    /// The same service with a count of references of its own: each hit moves it, and threads that share one wait for each other. Worth it
    /// for a server with a runtime for each thread.
    #[must_use]
    pub fn apart(self) -> Self {
        Self { fast: self.fast.apart(), ..self }
    }

    /// Finds what answers a request from memory where nothing else is to be asked; `no_body` tells whether it has no body. `None` leaves the request to
    /// [`call`](Service::call), on this service and before anything else is waited for: `parts` are then the same request, with what was found out about it.
    pub fn at_once(&self, parts: &mut Parts, no_body: bool, arrival: &Arrival) -> Option<Hit<'_>> {
        self.fast.answer(parts, no_body, arrival)
    }
}

impl<S, B, RB> Service<Request<B>> for Cached<S>
where
    Layers<S>: Service<Request<B>, Response = Response<RB>>,
    B: Body,
{
    type Response = Response<CachedBody<RB>>;
    type Error = <Layers<S> as Service<Request<B>>>::Error;
    type Future = ResponseFuture<<Layers<S> as Service<Request<B>>>::Future, RB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.layers.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let (mut parts, body) = req.into_parts();
        if !fast::was_asked(&parts) {
            let arrival = Arrival::now(&parts.extensions);
            if let Some(hit) = self.at_once(&mut parts, body.is_end_stream(), &arrival) {
                return ResponseFuture::hit(hit.into_response());
            }
        }
        ResponseFuture::layers(self.layers.call(Request::from_parts(parts, body)))
    }
}
