//! One node over a Postgres: what is written past the API is purged too.

use edge_cache_origin::database::{Database, Value};
use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Demo, eventually, pooled_database};

async fn demo() -> (Postgres, Demo, Database) {
    let postgres = Postgres::builder().start().await.unwrap();
    let demo = Demo::with(&["--pitches", "40", "--database", postgres.url()]).await;
    let database = pooled_database(postgres.url()).await;
    (postgres, demo, database)
}

async fn a_public_pitch(demo: &Demo) -> i64 {
    demo.get("/api/pitches/new").await.ids()[0]
}

/// Asks until the answer is held, so that only a purge can bring a newer one.
async fn held(demo: &Demo, target: &str) {
    eventually("it is held", async || demo.get(target).await.is_hit_of("memory").then_some(())).await;
}

async fn retitle(database: &Database, id: i64, title: &str) {
    let sql = "UPDATE pitches SET title = $1 WHERE id = $2";
    database.execute(sql, &[Value::Text(title.into()), Value::Int(id)]).await.unwrap();
}

#[tokio::test]
async fn a_write_by_sql_is_purged_for_and_a_counter_is_not() {
    let (_postgres, demo, database) = demo().await;
    let id = a_public_pitch(&demo).await;
    let detail = format!("/api/pitches/{id}");
    held(&demo, &detail).await;
    database.execute("UPDATE pitches SET view_count = view_count + 1 WHERE id = $1", &[Value::Int(id)]).await.unwrap();
    retitle(&database, id, "Written With SQL").await;
    eventually("the new title is served", async || {
        (demo.get(&detail).await.json()["data"]["title"] == "Written With SQL").then_some(())
    })
    .await;
    let rows = database.query("SELECT reason FROM edge_cache.outbox", &[]).await.unwrap();
    assert_eq!(rows.len(), 1, "the counter left nothing: {rows:?}");
    eventually("it is done", async || (open(&database).await == 0).then_some(())).await;
}

async fn open(database: &Database) -> i64 {
    let sql = "SELECT count(*) AS n FROM edge_cache.outbox WHERE done_at IS NULL";
    database.query(sql, &[]).await.unwrap()[0].int("n").unwrap()
}

#[tokio::test]
async fn what_is_rolled_back_purges_nothing_and_what_commits_late_is_not_overlooked() {
    let (_postgres, demo, database) = demo().await;
    let ids = demo.get("/api/pitches/new").await.ids();
    let (first, second) = (ids[0], ids[1]);
    let detail = |id: i64| format!("/api/pitches/{id}");
    let mut undone = database.begin().await.unwrap();
    undone.execute("SELECT edge_cache.invalidate('undone')", &[]).await.unwrap();
    undone.rollback().await.unwrap();
    held(&demo, &detail(first)).await;
    held(&demo, &detail(second)).await;
    // The row with the lower number is committed last.
    let mut early = database.begin().await.unwrap();
    early.execute("UPDATE pitches SET title = 'Early' WHERE id = $1", &[Value::Int(first)]).await.unwrap();
    retitle(&database, second, "Late").await;
    eventually("the second is purged", async || {
        (demo.get(&detail(second)).await.json()["data"]["title"] == "Late").then_some(())
    })
    .await;
    assert!(demo.get(&detail(first)).await.is_hit_of("memory"), "nothing was committed yet");
    early.commit().await.unwrap();
    eventually("the first is purged", async || {
        (demo.get(&detail(first)).await.json()["data"]["title"] == "Early").then_some(())
    })
    .await;
    let rows = database.query("SELECT tags FROM edge_cache.outbox WHERE 'undone' = ANY(tags)", &[]).await.unwrap();
    assert!(rows.is_empty());
}

#[tokio::test]
async fn what_a_handler_has_purged_is_recognised_and_not_purged_again() {
    let (_postgres, demo, database) = demo().await;
    let id = demo.published("Through The API").await;
    let sql = "SELECT writer, done_at FROM edge_cache.outbox";
    let rows = eventually("what the triggers left is done", async || {
        (open(&database).await == 0).then_some(database.query(sql, &[]).await.unwrap())
    })
    .await;
    assert!(!rows.is_empty(), "the triggers saw the write as well");
    for row in &rows {
        assert!(matches!(row.value("writer"), Some(Value::Text(writer)) if !writer.is_empty()), "{row:?}");
    }
    assert_eq!(demo.metrics().await.sum("edge_cache_outbox_rows_total", &[]), 0.0, "the consumer had nothing to do");
    let detail = format!("/api/pitches/{id}");
    held(&demo, &detail).await;
    // A look of the consumer that finds something else has passed the handler's rows by.
    database.execute("SELECT edge_cache.invalidate('unrelated')", &[]).await.unwrap();
    eventually("the consumer has looked", async || {
        (demo.metrics().await.sum("edge_cache_outbox_rows_total", &[]) == 1.0).then_some(())
    })
    .await;
    assert!(demo.get(&detail).await.is_hit_of("memory"), "the late copy did not take the fresh answer");
}

#[tokio::test]
async fn a_handler_that_died_before_it_purged_is_stood_in_for() {
    let (_postgres, demo, database) = demo().await;
    let id = a_public_pitch(&demo).await;
    let detail = format!("/api/pitches/{id}");
    held(&demo, &detail).await;
    let mut dying = database.begin_with("SET LOCAL edge_cache.writer = 'it died'").await.unwrap();
    dying.execute("UPDATE pitches SET title = 'Orphaned' WHERE id = $1", &[Value::Int(id)]).await.unwrap();
    dying.commit().await.unwrap();
    eventually("the consumer purged in its stead", async || {
        (demo.get(&detail).await.json()["data"]["title"] == "Orphaned").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_consumer_is_one_of_the_ten_connections_and_comes_back_after_a_restart() {
    let (postgres, demo, database) = demo().await;
    let id = a_public_pitch(&demo).await;
    let sql = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'edge-cache outbox'";
    // It connects beside the first requests, and not before them.
    let connections = async || database.query(sql, &[]).await.unwrap()[0].int("n").unwrap();
    eventually("the consumer is connected", async || (connections().await == 1).then_some(())).await;
    assert_eq!(demo.metrics().await.sum("edge_cache_database_connections_max", &[]), 9.0);
    postgres.restart().await.unwrap();
    let database = pooled_database(postgres.url()).await;
    let detail = format!("/api/pitches/{id}");
    held(&demo, &detail).await;
    retitle(&database, id, "After The Restart").await;
    eventually("it is purged again", async || {
        (demo.get(&detail).await.json()["data"]["title"] == "After The Restart").then_some(())
    })
    .await;
    assert!(demo.metrics().await.sum("edge_cache_outbox_failures_total", &[]) > 0.0);
}
