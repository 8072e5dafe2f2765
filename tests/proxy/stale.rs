//! A stale answer where it is allowed, and only there. The origin makes its answers stale itself, by an `Age` beyond their lifetime:
//! no test waits for a clock.

use edge_cache_tests::{Gate, Origin, Proxy, ProxyBuilder, Reply, eventually};
use futures_util::future::join_all;
use http::StatusCode;

/// Waits until `count` fills are over: who comes while one still settles may share its answer.
async fn settled(proxy: &Proxy, count: f64) {
    eventually("the fills have settled", async || {
        (proxy.metrics().await.sum("edge_cache_fills_total", &[]) >= count).then_some(())
    })
    .await;
}

/// An answer that is stale as it comes.
fn old(more: &str) -> Reply {
    Reply::cached(&format!("max-age=60, {more}"), "old").header("age", "100")
}

#[tokio::test]
async fn a_stale_answer_comes_at_once_while_exactly_one_request_fetches_a_new_one() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            if request.earlier == 0 {
                return old("stale-while-revalidate=600");
            }
            held.passed().await;
            Reply::cached("max-age=600", "new")
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    assert_eq!(proxy.get("/").await.text(), "old");
    settled(&proxy, 1.0).await;
    let crowd: Vec<_> = (0..20).map(|_| tokio::spawn(proxy.client().get("/").send())).collect();
    for answer in join_all(crowd).await {
        let answer = answer.unwrap();
        assert_eq!(answer.text(), "old", "the origin has not answered yet");
        assert!(answer.said_by("memory").contains("detail=stale-while-revalidate"), "{answer:?}");
        assert!(answer.ttl_of("memory").unwrap() < 0, "{answer:?}");
    }
    origin.arrived("/", 2).await;
    gate.open();
    let new = eventually("the new answer", async || {
        let answer = proxy.get("/").await;
        (answer.text() == "new").then_some(answer)
    })
    .await;
    assert!(new.is_hit_of("memory"), "{new:?}");
    assert_eq!(origin.count("/"), 2);
}

#[tokio::test]
async fn a_refresh_that_fails_keeps_the_old_answer() {
    let origin = Origin::start(|request| async move {
        if request.earlier == 0 { old("stale-while-revalidate=600") } else { Reply::new(500).body("broken") }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).env("CACHE_PROXY__CACHE__RETRY_THROTTLE", "1h").start().await;
    assert_eq!(proxy.get("/").await.text(), "old");
    settled(&proxy, 1.0).await;
    assert_eq!(proxy.get("/").await.text(), "old");
    origin.arrived("/", 2).await;
    eventually("the failure is counted", async || {
        (proxy.metrics().await.sum("edge_cache_fill_failures_total", &[]) >= 1.0).then_some(())
    })
    .await;
    for _ in 0..5 {
        let answer = proxy.get("/").await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "old"));
    }
    assert_eq!(origin.count("/"), 2, "a failing origin is left alone for a while");
}

#[tokio::test]
async fn when_the_origin_is_gone_the_stale_copy_serves_and_says_so() {
    let mut origin = Origin::start(|_| async { old("stale-if-error=600").header("etag", "\"1\"") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    assert_eq!(proxy.get("/").await.text(), "old");
    settled(&proxy, 1.0).await;
    origin.stop().await;
    for _ in 0..3 {
        let answer = proxy.get("/").await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "old"));
        assert!(answer.said_by("memory").contains("fwd=stale"), "{answer:?}");
    }
    let without_copy = proxy.get("/other").await;
    assert_eq!(without_copy.status, StatusCode::BAD_GATEWAY);
    assert_eq!((without_copy.header("retry-after"), without_copy.header("cache-control")), ("1", "no-store"));
}

#[tokio::test]
async fn a_server_error_is_hidden_behind_a_copy_only_where_that_is_allowed() {
    let origin = Origin::start(|request| async move {
        match (request.earlier, request.seen.target.as_str()) {
            (0, "/allowed") => old("stale-if-error=600").header("etag", "\"1\""),
            (0, "/strict") => old("stale-if-error=600, must-revalidate").header("etag", "\"1\""),
            (0, _) => old("x").header("etag", "\"1\""),
            _ => Reply::new(503).body("away"),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let cases = [("/allowed", 200, "old"), ("/strict", 503, "away"), ("/silent", 503, "away")];
    for (target, ..) in cases {
        assert_eq!(proxy.get(target).await.text(), "old");
    }
    settled(&proxy, 3.0).await;
    for (target, status, text) in cases {
        let answer = proxy.get(target).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, text), "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn a_slow_origin_is_504_without_a_copy_and_its_late_answer_stored_with_one() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            if request.seen.target == "/copied" && request.earlier == 0 {
                return old("stale-if-error=600");
            }
            held.passed().await;
            Reply::cached("max-age=60", "new")
        }
    })
    .await;
    let slow = format!("[origin]\nurl = \"{}\"\nresponse_timeout = \"20ms\"\n", origin.url());
    let impatient = ProxyBuilder::config(&slow).start().await;
    let late = impatient.get("/uncopied").await;
    assert_eq!((late.status, late.header("retry-after")), (StatusCode::GATEWAY_TIMEOUT, "1"));

    let patient = ProxyBuilder::serve(&origin.url()).start().await;
    let first = patient.get("/copied").await;
    assert_eq!(first.text(), "old");
    settled(&patient, 1.0).await;
    let instead = patient.get("/copied").await;
    assert_eq!(instead.text(), "old");
    assert!(instead.said_by("memory").contains("detail=soft-timeout"), "{instead:?}");
    gate.open();
    eventually("the late answer is stored", async || {
        let answer = patient.get("/copied").await;
        (answer.is_hit_of("memory") && answer.text() == "new").then_some(())
    })
    .await;
    assert_eq!(origin.count("/copied"), 2);
}

#[tokio::test]
async fn a_304_of_the_origin_refreshes_the_stored_answer() {
    let origin = Origin::start(|request| async move {
        match request.seen.header("if-none-match") {
            "\"1\"" => {
                Reply::new(304).header("etag", "\"1\"").header("cache-control", "max-age=60").header("x-new", "1")
            }
            _ => old("x").header("etag", "\"1\"").header("x-new", "0"),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    assert_eq!(proxy.get("/").await.header("x-new"), "0");
    settled(&proxy, 1.0).await;
    for _ in 0..3 {
        let answer = proxy.get("/").await;
        assert_eq!((answer.status, answer.text(), answer.header("x-new")), (StatusCode::OK, "old", "1"));
    }
    assert!(proxy.get("/").await.is_hit_of("memory"));
    assert_eq!(origin.count("/"), 2);
}
