//! Plain hits, which are answered before any layer: they say what the layers would say, and are counted as the layers would count them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use edge_cache::{
    Arrival, Cached, EdgeCache, Purge, PurgeKind, Target,
    core::{
        ClientAddress, Clock, OwnRequest, Served, TierName, Timestamp,
        route::{Identity, PathPattern, QueryRule, Route},
    },
};
use edge_cache_testkit::{FakeClock, FixedRng};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, ServiceExt};

/// What stands behind the cache.
#[derive(Clone, Debug)]
struct Origin;

impl<B> Service<Request<B>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let language = req.headers().get("accept-language").map_or(&b"none"[..], |value| value.as_bytes());
        let body = format!("{} in {}", req.uri(), String::from_utf8_lossy(language));
        let mut response = Response::builder()
            .header("content-type", "text/plain")
            .header("cache-control", "public, max-age=60")
            .header("etag", "\"v1\"")
            .header("cache-tag", "page")
            .header("cache-status", "further-in; hit")
            .header("link", "<a>")
            .header("link", "<b>");
        if req.uri().path().starts_with("/vary") {
            response = response.header("vary", "accept-language");
        }
        ready(Ok(response.body(Full::from(body)).unwrap()))
    }
}

type Asked = Request<Empty<Bytes>>;
type Headers = &'static [(&'static str, &'static str)];

fn asked(method: Method, target: &str, headers: &[(&str, &str)]) -> Asked {
    let request = Request::builder().method(method).uri(target).header("host", "h.example");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(Empty::new()).unwrap()
}

async fn answer(cached: &Cached<Origin>, asked: Asked) -> (StatusCode, HeaderMap, Bytes) {
    let response = cached.clone().oneshot(asked).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(axum::body::Body::new(body), 1 << 10).await.unwrap();
    (parts.status, parts.headers, body)
}

/// The request as this process asks itself: it goes through the layers.
fn through_layers(mut asked: Asked) -> Asked {
    asked.extensions_mut().insert(OwnRequest);
    asked
}

fn cached() -> (EdgeCache, Cached<Origin>) {
    let clock = FakeClock::at(Timestamp::from_secs(1_000_000));
    let cache = EdgeCache::builder().clock(clock.shared()).rng(Arc::new(FixedRng(0.0))).build().unwrap();
    let cached = cache.layer().layer(Origin);
    (cache, cached)
}

#[tokio::test(start_paused = true)]
async fn they_say_what_the_layers_say() {
    let (_cache, cached) = cached();
    const LANGUAGES: [(&str, &str); 2] = [("accept-language", "de"), ("accept-language", "en")];
    for target in ["/page?b=1&a=2", "/other"] {
        answer(&cached, asked(Method::GET, target, &[])).await;
    }
    for language in LANGUAGES {
        answer(&cached, asked(Method::GET, "/vary", &[language])).await;
    }
    let asks: &[(Method, &str, Headers)] = &[
        (Method::GET, "/page?a=2&b=1", &[]),
        (Method::GET, "http://h.example/page?a=2&b=1", &[]),
        (Method::GET, "/%70age?a=2&b=1", &[("accept", "*/*"), ("x-forwarded-host", "evil.example")]),
        (Method::HEAD, "/page?a=2&b=1", &[]),
        (Method::GET, "/other", &[("if-none-match", "\"v1\"")]),
        (Method::GET, "/other", &[("if-none-match", "\"v2\"")]),
        (Method::GET, "/other", &[("range", "bytes=1-3")]),
        (Method::GET, "/other", &[("range", "bytes=1-3"), ("if-range", "\"v0\"")]),
        (Method::GET, "/other", &[("range", "bytes=900-")]),
        (Method::GET, "/other", &[("cache-control", "no-cache")]),
        (Method::GET, "/vary", &[LANGUAGES[0]]),
        (Method::GET, "/vary", &[LANGUAGES[1]]),
    ];
    for seconds in [0, 7, 50] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        for (method, target, headers) in asks {
            let ask = || asked(method.clone(), target, headers);
            let by_layers = answer(&cached, through_layers(ask())).await;
            let said = by_layers.1.get_all("cache-status").iter().next_back().unwrap();
            assert!(said.as_bytes().starts_with(b"edge-memory; hit"), "{method} {target}: {said:?}");
            // More often than it takes to keep a head at hand.
            for _ in 0..20 {
                let (status, mut head, body) = answer(&cached, ask()).await;
                assert!(head.remove("x-edge-cache-id").is_some(), "what a client asks has a name");
                assert_eq!((status, head, body), by_layers, "{method} {target} {headers:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_be_judged_is_left_to_the_layers() {
    let (cache, cached) = cached();
    let ask = || asked(Method::GET, "/page", &[]);
    let said = async |asked: Asked| {
        let (_, head, _) = answer(&cached, asked).await;
        head.get_all("cache-status").iter().next_back().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(said(ask()).await, "edge-memory; fwd=uri-miss; ttl=60; stored");
    assert_eq!(said(ask()).await, "edge-memory; hit; ttl=60");
    let with_cookie = asked(Method::GET, "/page", &[("cookie", "a=1")]);
    assert_eq!(said(with_cookie).await, "edge-memory; fwd=bypass; detail=credentials");
    let written = asked(Method::POST, "/page", &[]);
    assert_eq!(said(written).await, "edge-memory; fwd=method");
    assert!(said(ask()).await.contains("fwd=stale"), "the write purged it softly");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(said(ask()).await.contains("fwd=stale"));
    let purge = Purge { targets: vec![Target::All], kind: PurgeKind::Hard };
    cache.purger().purge(&purge).await.unwrap();
    assert_eq!(said(ask()).await, "edge-memory; fwd=uri-miss; ttl=60; stored");
}

#[tokio::test(start_paused = true)]
async fn they_are_counted() {
    let (cache, cached) = cached();
    answer(&cached, asked(Method::GET, "/page", &[])).await;
    let mut len = 0;
    for _ in 0..10 {
        len += answer(&cached, asked(Method::GET, "/page", &[])).await.2.len() as u64;
    }
    answer(&cached, asked(Method::HEAD, "/page", &[])).await;
    answer(&cached, asked(Method::GET, "/page", &[("priority", "u=7"), ("authorization", "Bearer x")])).await;
    let routes = cache.metrics().routes();
    let hits = routes[0].result(Served::Hit);
    assert_eq!((routes.len(), &*routes[0].name), (1, "other"));
    assert_eq!((hits.count(), hits.of(Some(TierName::Memory)), hits.duration.count()), (12, 12, 12));
    assert_eq!((hits.body_bytes, routes[0].saved_calls), (len + len / 10, 12));
    assert_eq!(cache.metrics().in_flight(), 0);
    let hot = cache.hot().unwrap().top(10);
    // The miss was answered by what it stored, and counts; with credentials somebody may have meant another answer.
    assert_eq!((hot.len(), hot[0].hits), (1, 12));
    let watch = cache.watch().unwrap();
    let last = watch.requests.last(20);
    let plain: Vec<_> = last.iter().filter(|seen| seen.outcome.served == Served::Hit).collect();
    assert_eq!(plain.len(), 12);
    assert!(plain.iter().all(|seen| seen.url == "h.example/page" && seen.cache_status == "edge-memory; hit; ttl=60"));
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_told_as_it_was_asked_and_free_routes_are_hot_whoever_asks() {
    let mut route = Route::new("list", PathPattern::parse("/list").unwrap());
    route.query = QueryRule::Allow(vec!["page".into()]);
    route.identity = Identity::Free;
    let cache = EdgeCache::builder().routes([route]).build().unwrap();
    let cached = cache.layer().layer(Origin);
    let ask = || asked(Method::GET, "/list?utm=x&page=2", &[("authorization", "Bearer x")]);
    for served in [Served::Miss, Served::Hit, Served::Hit] {
        let (_, _, body) = answer(&cached, ask()).await;
        assert_eq!(body, "/list?page=2 in none", "the origin is asked the canonical question");
        let last = cache.watch().unwrap().requests.last(10);
        let last = last.iter().find(|seen| seen.outcome.served == served).unwrap();
        assert_eq!(last.url, "h.example/list?utm=x&page=2");
    }
    assert_eq!(cache.hot().unwrap().top(1)[0].hits, 3);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_given_up_is_counted_for_what_was_sent() {
    let (cache, cached) = cached();
    answer(&cached, asked(Method::GET, "/page", &[])).await;
    let response = cached.clone().oneshot(asked(Method::GET, "/page", &[])).await.unwrap();
    assert_eq!(cache.metrics().in_flight(), 1);
    drop(response);
    let hits = cache.metrics().routes()[0].result(Served::Hit).clone();
    assert_eq!((cache.metrics().in_flight(), hits.count(), hits.body_bytes), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_found_under_other_declarations_is_no_answer() {
    let mut route = Route::new("list", PathPattern::parse("/list").unwrap());
    route.query = QueryRule::Allow(Vec::new());
    let clock = FakeClock::at(Timestamp::from_secs(1_000_000));
    // Whatever is near its end is due: it is found, and goes through the layers.
    let cache =
        EdgeCache::builder().routes([route]).clock(clock.shared()).rng(Arc::new(FixedRng(0.999))).build().unwrap();
    let before = cache.layer().layer(Origin);
    answer(&before, asked(Method::GET, "/list", &[])).await;
    tokio::time::advance(Duration::from_secs(52)).await;
    let (mut parts, body) = asked(Method::GET, "/list?page=2", &[]).into_parts();
    let arrival = Arrival::now(&parts.extensions);
    assert!(before.at_once(&mut parts, true, &arrival).is_none(), "it is due");
    let after = cache.redeclared([], []).layer().layer(Origin);
    let (_, _, body) = answer(&after, Request::from_parts(parts, body)).await;
    assert_eq!(body, "/list?page=2 in none");
}

#[test]
fn the_clock_of_a_moment_ago_will_do_for_a_moment() {
    let clock = edge_cache::core::SystemClock;
    let moment = tokio::time::Instant::now().into_std();
    let at = clock.at(moment);
    assert_eq!(clock.at(moment + Duration::from_millis(99)), at + Duration::from_millis(99), "by the monotonic clock");
    assert!(clock.at(moment + Duration::from_secs(3600)) < at + Duration::from_secs(60), "asked anew");
}

#[tokio::test]
async fn a_client_that_is_trusted_by_its_address_may_purge_by_method() {
    let cache = EdgeCache::builder().trusted([IpAddr::from([192, 0, 2, 1])]).purge_method(true).build().unwrap();
    let service = cache.layer().layer(Origin);
    for (last, status) in [(2, StatusCode::FORBIDDEN), (1, StatusCode::OK)] {
        let mut purge = asked(Method::from_bytes(b"PURGE").unwrap(), "/a", &[]);
        purge.extensions_mut().insert(ClientAddress([192, 0, 2, last].into()));
        assert_eq!(service.clone().oneshot(purge).await.unwrap().status(), status, "192.0.2.{last}");
    }
}
