//! Fifteen hundred clients at once.

use edge_cache_origin::database::Database;
use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Demo, allow_files, eventually, pooled_database};
use futures_util::future::join_all;

const CLIENTS: usize = 1500;

/// Sessions on the server beside the test's own, by what they wait for; `None` where the crowd, which shares the test's thread, left no time to ask.
async fn sessions(db: &Database, only: &str) -> Option<i64> {
    let sql = format!(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' \
         AND application_name = 'edge-cache' AND datname = 'pitchey' {only}"
    );
    db.query(&sql, &[]).await.ok().map(|rows| rows[0].int("n").unwrap())
}

#[tokio::test]
async fn fifteen_hundred_clients_on_one_cold_key_are_one_query() {
    allow_files();
    let postgres = Postgres::start().await.unwrap();
    let demo = Demo::patient(&["--database", postgres.url(), "--pitches", "100"]).await;
    // Named apart, so that the test does not count itself.
    let own = pooled_database(&format!("{}?application_name=the-test", postgres.url())).await;
    let before = demo.metrics().await.sum("edge_cache_database_queries_total", &[]);

    // The one query is held until the crowd has come.
    let mut lock = own.begin().await.unwrap();
    lock.execute("LOCK TABLE pitches IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    let client = demo.client();
    let crowd: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(client.get("/api/pitches/trending?limit=17").send())).collect();
    eventually("the query waits for the lock", async || {
        (sessions(&own, "AND wait_event_type = 'Lock'").await == Some(1)).then_some(())
    })
    .await;
    lock.commit().await.unwrap();

    let mut bodies = Vec::new();
    for answer in join_all(crowd).await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!((bodies.len(), demo.get("/api/pitches/trending?limit=17").await.ids().len()), (1, 17));
    let metrics = demo.metrics().await;
    assert_eq!(metrics.sum("edge_cache_database_queries_total", &[]) - before, 1.0, "{}", metrics.text());
    assert_eq!(metrics.sum("edge_cache_requests_total", &[("route", "trending"), ("result", "miss")]), 1.0);
}

#[tokio::test]
async fn fifteen_hundred_clients_with_different_questions_share_at_most_ten_connections() {
    allow_files();
    let postgres = Postgres::builder().max_connections(20).start().await.unwrap();
    let demo = Demo::with(&["--database", postgres.url(), "--pitches", "100"]).await;
    let own = pooled_database(&format!("{}?application_name=the-test", postgres.url())).await;
    let client = demo.client();
    let ask = |at: usize| tokio::spawn(client.get(&format!("/api/pitches/browse?limit=5&offset={at}")).send());
    let crowd: Vec<_> = (0..CLIENTS).map(ask).collect();
    let mut most = 0;
    while crowd.iter().any(|asked| !asked.is_finished()) {
        most = most.max(sessions(&own, "").await.unwrap_or(0));
    }
    for answer in join_all(crowd).await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            200 => assert!(answer.json()["data"].is_array()),
            // A queue that is too long is refused in time, and says when to come back.
            503 => assert_eq!(answer.header("retry-after"), "1"),
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert!((1..=10).contains(&most), "{most} connections");
    assert_eq!(demo.get("/api/pitches/browse?limit=7").await.status, 200, "it goes on after that");
}
