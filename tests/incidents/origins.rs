//! 9 and 12: a failing origin is asked once, its failures are nobody's data, and its connections are counted.

use edge_cache_tests::{Demo, Origin, ProxyBuilder, Reply, eventually};
use futures_util::future::join_all;

#[tokio::test]
async fn incident_09_a_failed_fetch_is_not_repeated_and_not_stored() {
    let origin = Origin::start(|request| async move {
        if request.earlier < 3 {
            Reply::new(500).header("cache-control", "max-age=60")
        } else {
            Reply::cached("max-age=60", "x")
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for count in 1..=3 {
        assert_eq!(proxy.get("/").await.status, 500);
        assert_eq!(origin.count("/"), count);
    }
    assert_eq!(proxy.get("/").await.text(), "x");
    assert!(proxy.get("/").await.is_hit_of("memory"));
}

#[tokio::test]
async fn incident_09_a_refresh_in_the_background_stores_no_failure() {
    let origin = Origin::start(|request| async move {
        match request.earlier {
            0 => Reply::cached("max-age=60, stale-while-revalidate=600", "good").header("age", "100"),
            _ => Reply::new(503).header("cache-control", "max-age=60").body("bad"),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    eventually("the refresh has failed", async || {
        assert_eq!(proxy.get("/").await.text(), "good");
        (proxy.metrics().await.sum("edge_cache_fill_failures_total", &[]) >= 1.0).then_some(())
    })
    .await;
    for _ in 0..5 {
        let answer = proxy.get("/").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "good"));
    }
}

#[tokio::test]
async fn incident_12_the_pool_is_bounded_counted_and_waited_for() {
    let demo = Demo::start().await;
    let client = demo.client();
    let crowd: Vec<_> = (0..200)
        .map(|at| tokio::spawn(client.get(&format!("/api/pitches/browse?limit=5&offset={at}")).send()))
        .collect();
    for answer in join_all(crowd).await {
        assert!([200, 503].contains(&answer.unwrap().status.as_u16()));
    }
    let metrics = demo.metrics().await;
    let most = metrics.sum("edge_cache_database_connections_max", &[]);
    assert!((1.0..=10.0).contains(&most), "{}", metrics.text());
    assert!(metrics.sum("edge_cache_database_connections", &[]) <= most, "{}", metrics.text());
    assert!(metrics.sum("edge_cache_database_connects_total", &[]) <= most, "none was opened per request");
}
