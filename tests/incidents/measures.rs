//! 13: what is measured is what happened.

use edge_cache_tests::{Demo, Gate, Origin, ProxyBuilder, Reply};
use tokio::time::Instant;

#[tokio::test]
async fn incident_13_a_latency_includes_the_wait_for_the_origin() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.passed().await;
            Reply::cached("max-age=60", "x")
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let began = Instant::now();
    let reader = tokio::spawn(proxy.client().get("/").send());
    origin.arrived("/", 1).await;
    let arrived = Instant::now();
    for _ in 0..5 {
        proxy.metrics().await;
    }
    let waited = arrived.elapsed().as_secs_f64();
    gate.open();
    reader.await.unwrap();
    // The record is written when the last byte has left, which the client may see first.
    let took = edge_cache_tests::eventually("the request is recorded", async || {
        let metrics = proxy.metrics().await;
        let count = metrics.sum("edge_cache_request_duration_seconds_count", &[("result", "miss")]);
        (count >= 1.0).then(|| metrics.sum("edge_cache_request_duration_seconds_sum", &[("result", "miss")]))
    })
    .await;
    assert!(took >= waited && took <= began.elapsed().as_secs_f64(), "{took} s, of which {waited} s waited");
}

#[tokio::test]
async fn incident_13_hits_are_counted_where_they_happen_and_failures_are_no_successes() {
    let origin = Origin::start(|request| async move {
        if request.seen.target == "/bad" { Reply::new(500) } else { Reply::cached("max-age=60", "x") }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for target in ["/good", "/good", "/good", "/bad", "/bad"] {
        proxy.get(target).await;
    }
    let metrics = proxy.metrics().await;
    let of = |result| metrics.sum("edge_cache_requests_total", &[("result", result)]);
    assert_eq!((of("miss"), of("hit"), of("error")), (1.0, 2.0, 2.0), "{}", metrics.text());
}

#[tokio::test]
async fn incident_13_probes_reach_the_database_every_time() {
    let demo = Demo::start().await;
    let queries = async || demo.metrics().await.sum("edge_cache_database_queries_total", &[]);
    for target in ["/api/db-test", "/api/health/ready"] {
        for _ in 0..3 {
            let before = queries().await;
            let answer = demo.get(target).await;
            assert_eq!(answer.status, 200);
            assert!(answer.said_by("memory").contains("fwd=bypass"), "{answer:?}");
            assert!(queries().await > before, "{target}");
        }
    }
    let before = queries().await;
    demo.admin().get("/health/ready").send().await;
    assert!(queries().await > before, "the operators' probe too");
}
