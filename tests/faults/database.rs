//! The database away: what is held serves, and the rest says so.

use edge_cache_sandbox::{Mode, Postgres};
use edge_cache_tests::{Demo, eventually, pooled_database};
use http::StatusCode;
use serde_json::{Value, json};

#[tokio::test]
async fn without_its_database_it_serves_what_it_holds_and_503_else() {
    let postgres = Postgres::start().await.unwrap();
    let demo = Demo::with(&["--database", postgres.url(), "--pitches", "60"]).await;
    eventually("it is ready, so that nothing else is said of it later", async || {
        (demo.admin().get("/health/ready").send().await.status == StatusCode::OK).then_some(())
    })
    .await;
    let trending = demo.get("/api/pitches/trending").await;
    let detail = demo.get("/api/pitches/1").await;
    assert!(!trending.ids().is_empty());
    demo.purge(json!({"tags": ["list-trending"]})).await;
    demo.get("/api/pitches/featured").await;
    demo.purge(json!({"tags": ["list-featured"], "hard": true})).await;

    // Commits are not synced here, and an immediate stop is a crash: the data must outlive it.
    pooled_database(postgres.url()).await.execute("CHECKPOINT", &[]).await.unwrap();
    postgres.stop(Mode::Immediate).await.unwrap();
    for _ in 0..2 {
        let stale = demo.get("/api/pitches/trending").await;
        assert_eq!((stale.status, &stale.body), (StatusCode::OK, &trending.body), "{stale:?}");
        assert!(stale.said_by("memory").contains("fwd=stale"), "{stale:?}");
    }
    let fresh = demo.get("/api/pitches/1").await;
    assert!(fresh.is_hit_of("memory") && fresh.body == detail.body, "{fresh:?}");

    let uncached = [
        ("", "/api/pitches/new"),
        ("", "/api/pitches/featured"),
        ("", "/api/pitches/search?q=night"),
        ("", "/api/pitches/2"),
        ("", "/api/stats"),
        ("creator", "/api/pitches/1"),
        ("creator", "/api/pitches/mine"),
        ("", "/api/db-test"),
    ];
    for (who, target) in uncached {
        for _ in 0..2 {
            let away = demo.get_as(who, target).await;
            assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{target}: {away:?}");
            assert_eq!(away.header("retry-after"), "1", "{target}");
            let said = away.json();
            assert_eq!((&said["success"], said.get("data")), (&Value::Bool(false), None), "{target}");
        }
    }
    let origin = demo.admin().get("/origin").send().await.json();
    let way = &origin["endpoints"][0];
    assert_eq!(way["endpoint"], format!("127.0.0.1:{}", postgres.port()), "{origin}");
    assert_ne!(way["breaker"], "closed", "{origin}");
    assert_eq!(origin["governor"]["permits"], 9, "one of ten connections is the outbox's: {origin}");
    let ready = demo.admin().get("/health/ready").send().await.json();
    assert_eq!((&ready["degraded"], &ready["parts"]["database"]), (&true.into(), &"down".into()));
    let why = ready["reasons"][0].as_str().unwrap();
    assert!(why.starts_with("database: ") && why.len() > "database: ".len(), "{ready}");

    postgres.restart().await.unwrap();
    for target in ["/api/pitches/new", "/api/pitches/featured"] {
        eventually("it answers again", async || (demo.get(target).await.status == 200).then_some(())).await;
        assert!(!demo.get(target).await.ids().is_empty());
    }
    assert_eq!(demo.write("viewer", "PUT", "/api/pitches/1/like", &Value::Null).await.status, StatusCode::OK);
}
