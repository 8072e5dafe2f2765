//! A scripted origin, and a stack over it.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use edge_cache_core::{
    NoEvents, Outcome, Store, Timestamp,
    headers::CACHE_STATUS,
    marker::Markers,
    route::{Route, Routes},
};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use edge_cache_testkit::{FakeClock, FixedRng};
use edge_cache_tier::{InvalidateLayer, Keeper, KeyLayer, Keying, Purger, TierConfig, TierLayer};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tower::{Layer, Service, ServiceExt};

pub(crate) type Body = UnsyncBoxBody<Bytes, edge_cache_core::BoxError>;
pub(crate) type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Script = Arc<dyn Fn(usize, Request<()>) -> Answer + Send + Sync>;

/// Wednesday, long after the epoch.
pub(crate) const BASE: Timestamp = Timestamp::from_secs(1_700_000_000);

pub(crate) fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with these headers.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body(text)).unwrap()
}

/// Answers by a script that is told how many requests came before; notes what it was asked.
#[derive(Clone)]
pub(crate) struct Origin {
    script: Script,
    calls: Arc<AtomicUsize>,
    pub(crate) seen: Arc<Mutex<Vec<http::request::Parts>>>,
}

impl Origin {
    pub(crate) fn new<F: Future<Output = Response<Body>> + Send + 'static>(
        script: impl Fn(usize, Request<()>) -> F + Send + Sync + 'static,
    ) -> Self {
        let script = move |n: usize, req: Request<()>| Box::pin(script(n, req)) as Answer;
        Self { script: Arc::new(script), calls: Arc::default(), seen: Arc::default() }
    }

    /// Always the same headers; the body counts the calls.
    pub(crate) fn fixed(headers: &'static [(&'static str, &'static str)]) -> Self {
        Self::new(move |n, _| async move { answer(200, headers, format!("body {n}")) })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn last_header(&self, name: &str) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        seen.last()?.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl<B> Service<Request<B>> for Origin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let (parts, _) = req.into_parts();
        self.seen.lock().unwrap().push(parts.clone());
        let answer = (self.script)(self.calls.fetch_add(1, Ordering::SeqCst), Request::from_parts(parts, ()));
        Box::pin(async move { Ok(answer.await) })
    }
}

/// What a client got.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
    pub(crate) outcome: Option<Outcome>,
}

impl Got {
    /// The `Cache-Status` members, innermost first.
    pub(crate) fn cache_status(&self) -> String {
        let lines: Vec<_> = self.headers.get_all(CACHE_STATUS).iter().map(|line| line.to_str().unwrap()).collect();
        lines.join(", ")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Layers under test: one memory tier, or two tiers of which the inner one may be anything.
pub(crate) struct Bench {
    pub(crate) keying: Keying,
    pub(crate) markers: Arc<Markers>,
    pub(crate) purger: Purger,
    pub(crate) clock: FakeClock,
    pub(crate) config: TierConfig,
    /// What every draw gives: 0 takes no jitter off lifetimes and refreshes nothing early.
    pub(crate) drawn: f64,
}

impl Bench {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::with_routes(mode, [])
    }

    pub(crate) fn with_routes(mode: Mode, routes: impl IntoIterator<Item = Route>) -> Self {
        Self::with_markers(mode, routes, Markers::alone(1))
    }

    pub(crate) fn with_markers(mode: Mode, routes: impl IntoIterator<Item = Route>, markers: Markers) -> Self {
        let keying = Keying { mode, routes: Arc::new(Routes::new(routes)), ..Keying::default() };
        let (markers, clock) = (Arc::new(markers), FakeClock::at(BASE));
        let purger = Purger::new(Arc::clone(&markers), keying.clone(), clock.shared(), Arc::new(NoEvents), None);
        Self { keying, markers, purger, clock, config: TierConfig::default(), drawn: 0.0 }
    }

    pub(crate) fn tier<St: Store>(&self, store: St) -> TierLayer<St> {
        let rng = Arc::new(FixedRng(self.drawn));
        TierLayer::build(store, Arc::clone(&self.markers), self.config, self.clock.shared(), rng, Arc::new(NoEvents))
    }

    /// As [`tier`](Self::tier), with draws that differ from each other and are the same in every run.
    pub(crate) fn tier_drawing<St: Store>(&self, store: St) -> TierLayer<St> {
        let rng = Arc::new(edge_cache_testkit::SeededRng::new(1));
        TierLayer::build(store, Arc::clone(&self.markers), self.config, self.clock.shared(), rng, Arc::new(NoEvents))
    }

    pub(crate) fn memory(&self) -> TierLayer<MemoryStore> {
        self.tier(MemoryStore::new(&MemoryConfig { capacity_bytes: 64 << 20, ..MemoryConfig::default() }))
    }

    /// Key and invalidation outside `inner`.
    pub(crate) fn outside<S>(&self, inner: S) -> edge_cache_tier::Key<edge_cache_tier::Invalidate<S>> {
        self.outside_keeping(inner, [])
    }

    fn outside_keeping<S>(
        &self,
        inner: S,
        tiers: impl IntoIterator<Item = Keeper>,
    ) -> edge_cache_tier::Key<edge_cache_tier::Invalidate<S>> {
        let invalidate = InvalidateLayer::new(self.purger.clone()).keeping(tiers);
        KeyLayer::new(self.keying.clone()).layer(invalidate.layer(inner))
    }

    /// The whole stack with a memory tier.
    pub(crate) fn over(
        &self,
        origin: &Origin,
    ) -> edge_cache_tier::Key<edge_cache_tier::Invalidate<edge_cache_tier::Tier<MemoryStore, Origin>>> {
        let memory = self.memory();
        let keeper = memory.keeper();
        self.outside_keeping(memory.layer(origin.clone()), keeper)
    }
}

pub(crate) fn get(path: &str) -> http::request::Builder {
    Request::get(path).header("host", "h.example")
}

/// Sends a request and reads the whole answer.
pub(crate) async fn ask<S, B>(service: &S, req: http::request::Builder) -> Got
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<edge_cache_core::BoxError>,
{
    let response = service.clone().oneshot(req.body(Full::default()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = http_body_util::Limited::new(body, 16 << 20);
    #[expect(clippy::disallowed_methods, reason = "bounded by `Limited`")]
    let bytes = bytes.collect().await.unwrap().to_bytes();
    Got {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8_lossy(&bytes).into_owned(),
        outcome: parts.extensions.get::<Outcome>().copied(),
    }
}
