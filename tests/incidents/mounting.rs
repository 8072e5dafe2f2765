//! 1 to 3: whether the cache is there at all, whether it is one, and how often a handler runs.

use edge_cache_tests::{Origin, ProxyBuilder, Reply, eventually};

#[tokio::test]
async fn incident_01_the_cache_is_mounted_and_a_bypassed_tier_is_seen() {
    for mounted in [true, false] {
        let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
        let toml = format!("[origin]\nurl = \"{}\"\n[memory]\nenabled = {mounted}\n", origin.url());
        let proxy = ProxyBuilder::config(&toml).start().await;
        for _ in 0..10 {
            let answer = proxy.get("/").await;
            assert_eq!(answer.said_by("memory").is_empty(), !mounted, "{answer:?}");
        }
        let metrics = proxy.metrics().await;
        let hits = metrics.sum("edge_cache_requests_total", &[("result", "hit"), ("tier", "memory")]);
        let all = metrics.sum("edge_cache_requests_total", &[]);
        assert_eq!((hits, all), (if mounted { 9.0 } else { 0.0 }, 10.0), "{}", metrics.text());
        assert_eq!(origin.count("/"), if mounted { 1 } else { 10 });
    }
}

#[tokio::test]
async fn incident_02_all_connections_share_one_cache() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    proxy.get("/").await;
    for http2 in [false, true, false, true] {
        let ask = proxy.client().get("/");
        let answer = if http2 { ask.http2().send().await } else { ask.send().await };
        assert!(answer.is_hit_of("memory"), "{answer:?}");
    }
    assert_eq!(origin.count("/"), 1);
    // The gauge is read when the tier has tidied up.
    eventually("the entry weighs something", async || {
        (proxy.metrics().await.sum("edge_cache_memory_used_bytes", &[]) > 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn incident_03_a_write_handler_runs_once() {
    let origin = Origin::start(|mut request| async move {
        let body = request.whole().await;
        match request.seen.target.as_str() {
            "/fails" => Reply::new(500),
            "/leaves" => Reply::new(204).header("cache-group-invalidation", "\"x\""),
            _ => Reply::new(201).header("location", "/made").body(body),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for target in ["/works", "/fails", "/leaves"] {
        proxy.client().ask("POST", target).bytes("once").send().await;
        assert_eq!(origin.count(target), 1, "{target}");
    }
    assert_eq!(origin.seen().len(), 3, "and nothing else was asked for");
}
