//! What the benchmarks share: a handler as small as one can be, the cache in front of it, and what is asked of both.
//!
//! Each benchmark answers one question: `hit`, what a memory hit costs beside the bare handler, alone and where nodes share purges; `purge`, what a purge
//! costs that covers much, and when other nodes have it; `wire`, what it costs to bring an
//! entry into its stored form and back; `allocations`, how often a memory hit asks the allocator; `memory`, what an entry takes; `hit_rate`, which share of requests the
//! memory tier answers; `redis_hit`, what a hit in Redis costs beside a bare `GET`.

pub mod reference;

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use edge_cache::{
    Cached, EdgeCache,
    core::{Entry, Handoff, OwnRequest},
};
use http::{
    HeaderMap, HeaderValue, Request, Response, Uri,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, USER_AGENT},
};
use http_body::Body;
use http_body_util::{Empty, Full};
use tower::{Layer, Service};

/// Sizes of bodies in bytes, with their names in reports: a short list and a detail page.
pub const SIZES: [(&str, usize); 2] = [("1KiB", 1 << 10), ("16KiB", 16 << 10)];

/// What is asked.
pub type Asked = Request<Empty<Bytes>>;

/// A request as a server hands it to a service. Always the same, so that all but the first are hits.
#[must_use]
pub fn request() -> Asked {
    request_for(Uri::from_static("/api/pitches/trending?limit=10"))
}

/// The same for another target.
#[must_use]
pub fn request_for(target: Uri) -> Asked {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = target;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("pitchey.example"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("bench"));
    request
}

/// The floor: a handler that has its answer ready.
#[derive(Clone, Debug)]
pub struct Handler {
    body: Bytes,
    cache_control: HeaderValue,
}

impl Handler {
    /// A handler that answers with `len` bytes of JSON.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let row = |id: u32| format!("{{\"id\":{id},\"title\":\"The Long Night {id}\",\"views\":{}}},", id % 37);
        let body = (0..).flat_map(|id| row(id).into_bytes()).take(len).collect();
        Self { body, cache_control: HeaderValue::from_static("public, max-age=86400") }
    }

    /// The same, and nobody may store the answer.
    #[must_use]
    pub fn private(self) -> Self {
        Self { cache_control: HeaderValue::from_static("private, no-store"), ..self }
    }
}

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Full::new(self.body.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, self.cache_control.clone());
        headers.insert(ETAG, HeaderValue::from_static("\"5f1c9a0b\""));
        ready(Ok(response))
    }
}

/// The handler behind the cache, which holds the answer already.
///
/// # Panics
/// When the cache did not keep the answer: then nothing of what follows would measure a hit.
#[must_use]
pub fn warmed(len: usize) -> Cached<Handler> {
    let cache = EdgeCache::builder().build().expect("the defaults are valid");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("threads are to be had");
    warmed_in(&cache, &runtime, len)
}

/// The handler behind `cache`, which holds the answer already. Only the fill needs the runtime: it may need a task of its own.
///
/// # Panics
/// As [`warmed`].
#[must_use]
pub fn warmed_in(cache: &EdgeCache, runtime: &tokio::runtime::Runtime, len: usize) -> Cached<Handler> {
    let mut service = cache.layer().layer(Handler::new(len));
    runtime.block_on(fill(&mut service, request()));
    assert_eq!(entry(&mut service).body().len(), len);
    service
}

/// Asks for the first time.
///
/// # Panics
/// When the answer is not one that is kept.
pub async fn fill(service: &mut Cached<Handler>, asked: Asked) {
    let Ok(miss) = service.call(asked).await;
    let said = miss.headers().get_all("cache-status").iter().next_back().expect("each tier says what it did");
    assert_eq!(said.as_bytes().split(|b| *b == b';').nth(1), Some(&b" fwd=uri-miss"[..]));
}

/// The entry that answers [`request`].
///
/// # Panics
/// When there is none.
pub fn entry(service: &mut Cached<Handler>) -> Entry {
    let mut asked = request();
    // What the process asks of itself hears from the layers what they answered with.
    asked.extensions_mut().insert(OwnRequest);
    let hit = answer(service, asked);
    assert!(is_memory_hit(hit.headers()), "{:?}", hit.headers());
    hit.extensions().get::<Handoff>().and_then(|handoff| handoff.entry().cloned()).expect("a hit hands its entry up")
}

/// Whether an answer came from memory.
#[must_use]
pub fn is_memory_hit(headers: &HeaderMap) -> bool {
    let said = headers.get_all("cache-status").iter().next_back();
    said.is_some_and(|said| said.as_bytes().starts_with(b"edge-memory; hit"))
}

/// One whole exchange with a service that does not wait: the call, the head, and the body to its end. Returns the body's length.
///
/// # Panics
/// When the service has to wait.
pub fn exchange<S, B>(service: &mut S, asked: Asked) -> usize
where
    S: Service<Asked, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes>,
{
    let mut body = pin!(answer(service, asked).into_body());
    let mut len = 0;
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
        len += frame.ok().and_then(|frame| frame.into_data().ok()).map_or(0, |data| data.len());
    }
    len
}

/// The head of what a service answers that does not wait, and a body that nobody has read.
///
/// # Panics
/// When the service has to wait.
pub fn answer<S, B>(service: &mut S, asked: Asked) -> Response<B>
where
    S: Service<Asked, Response = Response<B>, Error = Infallible>,
{
    match pin!(service.call(asked)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("neither a handler that is ready nor a memory hit waits"),
    }
}

/// The value at a share of them all.
#[must_use]
pub fn at_share(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_the_comparison_answer_alike() {
        for (_, len) in SIZES {
            assert_eq!(exchange(&mut Handler::new(len), request()), len);
            assert_eq!(exchange(&mut warmed(len), request()), len);
        }
    }
}
