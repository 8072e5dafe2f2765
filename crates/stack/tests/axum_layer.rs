//! The layer in an axum application: what compiles, what survives, what is shared.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    cell::Cell,
    convert::Infallible,
    marker::PhantomData,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{MatchedPath, Path, State},
    http::header::CACHE_CONTROL,
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;
use edge_cache::{EdgeCache, tier::RequestBody};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};

fn cache() -> EdgeCache {
    EdgeCache::builder().build().unwrap()
}

async fn ask(app: &Router, path: &str) -> (String, String) {
    let request = Request::get(path).header("host", "h.example").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.headers()["cache-status"].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(response.into_body(), 64 << 10).await.unwrap();
    (status, String::from_utf8(body.into()).unwrap())
}

/// A body that threads cannot share, as axum's own.
struct NotSync(Full<Bytes>, PhantomData<Cell<()>>);

impl http_body::Body for NotSync {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
}

/// What `Router::layer` and hyper ask of a service, and that nothing about errors changed.
fn stays_infallible<S>(service: S) -> S
where
    S: Service<Request<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    service
}

#[tokio::test]
async fn bodies_need_not_be_sync_and_errors_stay_infallible() {
    let answer = || {
        let mut response = Response::new(NotSync(Full::from("once"), PhantomData));
        response.headers_mut().insert(CACHE_CONTROL, "max-age=60".parse().unwrap());
        response
    };
    let inner = service_fn(move |_: Request<RequestBody<Body>>| std::future::ready(Ok::<_, Infallible>(answer())));
    let service = stays_infallible(cache().layer().layer(inner));
    for expected in ["edge-memory; fwd=uri-miss", "edge-memory; hit"] {
        let request = Request::get("http://h.example/").body(Body::empty()).unwrap();
        let Ok(response) = service.clone().oneshot(request).await;
        let status = response.headers()["cache-status"].to_str().unwrap();
        assert!(status.starts_with(expected), "{status}");
    }
}

#[tokio::test]
async fn every_place_that_takes_a_layer_takes_this_one() {
    let cache = cache();
    let answer = || async { ([(CACHE_CONTROL, "max-age=60")], "x") };
    let apps: [Router; 3] = [
        Router::new().route("/router", get(answer)).layer(cache.layer()),
        Router::new().route("/routes", get(answer)).route_layer(cache.layer()),
        Router::new().route("/method", get(answer).layer(cache.layer())),
    ];
    for (app, path) in apps.iter().zip(["/router", "/routes", "/method"]) {
        assert!(ask(app, path).await.0.starts_with("edge-memory; fwd=uri-miss"));
        assert!(ask(app, path).await.0.starts_with("edge-memory; hit"));
    }
}

#[derive(Clone)]
struct Shift(u32);

#[tokio::test]
async fn extensions_path_parameters_and_state_reach_the_handler() {
    async fn handler(
        State(base): State<u32>,
        Path((shelf, id)): Path<(String, u32)>,
        Extension(Shift(shift)): Extension<Shift>,
        matched: MatchedPath,
    ) -> impl IntoResponse {
        ([(CACHE_CONTROL, "max-age=60")], format!("{} {shelf} {}", matched.as_str(), base + id + shift))
    }
    let app = Router::new()
        .route("/shelves/{shelf}/books/{id}", get(handler))
        .layer(cache().layer())
        .layer(Extension(Shift(100)))
        .with_state(1000);
    let expected = "/shelves/{shelf}/books/{id} sf 1107";
    let (first, body) = ask(&app, "/shelves/sf/books/7").await;
    assert!(first.starts_with("edge-memory; fwd=uri-miss"), "{first}");
    assert_eq!(body, expected);
    let (second, body) = ask(&app, "/shelves/sf/books/7").await;
    assert!(second.starts_with("edge-memory; hit"), "{second}");
    assert_eq!(body, expected);
}

#[tokio::test]
async fn every_layer_of_a_cache_shares_its_entries() {
    let (cache, asked) = (cache(), Arc::new(AtomicUsize::new(0)));
    let app = || {
        let asked = Arc::clone(&asked);
        let handler = async move || {
            asked.fetch_add(1, Ordering::Relaxed);
            ([(CACHE_CONTROL, "max-age=60")], "shared")
        };
        // axum calls `layer` once for each route, and once for the fallback.
        Router::new().route("/a", get(handler.clone())).route("/b", get(handler)).layer(cache.layer())
    };
    let (one, other) = (app(), app());
    assert!(ask(&one, "/a").await.0.starts_with("edge-memory; fwd=uri-miss"));
    assert!(ask(&one, "/b").await.0.starts_with("edge-memory; fwd=uri-miss"), "another URL is another entry");
    for (app, path) in [(&one, "/a"), (&other, "/a"), (&other, "/b")] {
        let (status, body) = ask(app, path).await;
        assert!(status.starts_with("edge-memory; hit"), "{path}: {status}");
        assert_eq!(body, "shared");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert!(ask(&app(), "/a").await.0.starts_with("edge-memory; hit"), "a router made later too");
    let apart = Router::new().route("/a", get(|| async { "x" })).layer(self::cache().layer());
    assert!(ask(&apart, "/a").await.0.starts_with("edge-memory; fwd=uri-miss"), "another cache shares nothing");
}
