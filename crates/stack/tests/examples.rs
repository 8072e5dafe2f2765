//! The examples run, and cache.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../examples/axum_operated.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod axum_operated;
#[path = "../examples/axum_router.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod axum_router;
#[path = "../examples/hyper_server.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod hyper_server;
#[path = "../examples/one_tier.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod one_tier;
#[path = "../examples/own_store.rs"]
#[expect(dead_code, reason = "its `main` is for people")]
mod own_store;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;

struct Site {
    client: Client<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

struct Answer {
    status: StatusCode,
    cache_status: String,
    tagged: bool,
    body: String,
}

impl Site {
    async fn listen() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        (Self { client, address: listener.local_addr().unwrap() }, listener)
    }

    async fn send(&self, method: Method, path: &str, body: &'static str) -> Answer {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        let response = self.client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(axum::body::Body::new(body), 64 << 10).await.unwrap();
        Answer {
            status: parts.status,
            cache_status: parts.headers["cache-status"].to_str().unwrap().to_owned(),
            tagged: parts.headers.contains_key("cache-tag") || parts.headers.contains_key("cache-group-invalidation"),
            body: String::from_utf8(body.into()).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }
}

#[tokio::test]
async fn a_hyper_server_answers_the_second_request_from_memory() {
    let (site, listener) = Site::listen().await;
    let server = tokio::spawn(hyper_server::serve(listener));
    let (first, second) = (site.get("/hello").await, site.get("/hello").await);
    assert!(first.cache_status.starts_with("edge-memory; fwd=uri-miss"), "{}", first.cache_status);
    assert!(second.cache_status.starts_with("edge-memory; hit"), "{}", second.cache_status);
    assert_eq!((first.status, &*first.body, &*second.body), (StatusCode::OK, "hello from /hello\n", &*first.body));
    server.abort();
}

#[tokio::test]
async fn an_operated_server_is_purged_and_measured_and_ends_in_good_order() {
    let ((site, clients), (admin, operators)) = (Site::listen().await, Site::listen().await);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(axum_operated::serve(clients, operators, async { drop(stopped.await) }));
    for said in ["fwd=uri-miss", "hit"] {
        let answer = site.get("/books").await;
        assert!(answer.cache_status.starts_with(&format!("edge-memory; {said}")), "{}", answer.cache_status);
    }
    let ask = async |method: Method, path: &str, body: String| {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", admin.address));
        let request = request.header("content-type", "application/json").body(Full::from(body)).unwrap();
        let (parts, body) = admin.client.request(request).await.unwrap().into_parts();
        let text = axum::body::to_bytes(axum::body::Body::new(body), 1 << 20).await.unwrap();
        (parts.status, String::from_utf8(text.into()).unwrap())
    };
    let url = format!("[\"http://{}/books\"]", site.address);
    assert_eq!(ask(Method::POST, "/purge", url).await, (StatusCode::OK, "purged, here and everywhere\n".to_owned()));
    assert!(site.get("/books").await.cache_status.contains("fwd="), "it was purged");
    let (status, why) = ask(Method::POST, "/purge", "[\"/books\"]".to_owned()).await;
    assert!(status == StatusCode::BAD_REQUEST && why.starts_with("`/books`: expected an absolute URL"), "{why}");
    let (_, metrics) = ask(Method::GET, "/metrics", String::new()).await;
    assert!(metrics.lines().any(|line| line.starts_with("edge_cache_requests_total")), "{metrics}");
    drop((site.client, admin.client, stop));
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_axum_router_caches_until_a_write() {
    let (site, listener) = Site::listen().await;
    let server = tokio::spawn(axum_router::serve(listener));
    let written = site.send(Method::PUT, "/books/7", "Solaris").await;
    assert_eq!((written.status, written.tagged), (StatusCode::NO_CONTENT, false));
    for path in ["/books", "/books/7"] {
        let (first, second) = (site.get(path).await, site.get(path).await);
        assert!(first.cache_status.starts_with("edge-memory; fwd=uri-miss"), "{}", first.cache_status);
        assert!(second.cache_status.starts_with("edge-memory; hit"), "{}", second.cache_status);
        assert_eq!((&*first.body, &*second.body), ("Solaris", "Solaris"));
        assert!(!first.tagged && !second.tagged, "tags are for the cache");
    }
    site.send(Method::PUT, "/books/7", "Fiasco").await;
    for path in ["/books", "/books/7"] {
        let fresh = site.get(path).await;
        assert!(fresh.cache_status.starts_with("edge-memory; fwd=stale"), "{}", fresh.cache_status);
        assert_eq!(fresh.body, "Fiasco", "{path}");
        assert_eq!(site.get(path).await.cache_status.split("; ttl").next(), Some("edge-memory; hit"));
    }
    server.abort();
}

#[tokio::test]
async fn a_store_of_ones_own_holds_what_it_is_given_and_a_purge_takes_it() {
    let said = own_store::ask_purge_ask().await.unwrap();
    assert!(said[0].starts_with("edge-disk; fwd=uri-miss"), "{said:?}");
    assert!(said[1].starts_with("edge-disk; hit"), "{said:?}");
    assert!(said[2].starts_with("edge-disk; fwd=stale"), "{said:?}");
}

#[tokio::test]
async fn one_tier_works_alone() {
    let said = one_tier::ask_twice().await.unwrap();
    assert!(said[0].starts_with("edge-memory; fwd=uri-miss"), "{said:?}");
    assert!(said[1].starts_with("edge-memory; hit"), "{said:?}");
}
