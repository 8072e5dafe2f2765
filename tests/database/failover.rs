//! A primary that dies, and the standby that takes its place.

use edge_cache_breaker::State;
use edge_cache_origin::database::{DatabaseConfig, Unavailable, Value};
use edge_cache_sandbox::{Mode, Postgres};
use edge_cache_tests::eventually;

use crate::support::{config, one, open};

#[tokio::test]
async fn a_standby_takes_over_once_it_is_promoted_and_is_not_read_before() {
    let primary = Postgres::start().await.unwrap();
    let db = open(config(primary.url())).await;
    db.execute("CREATE TABLE t (i bigint)", &[]).await.unwrap();
    drop(db);
    let standby = primary.replica().await.unwrap();
    let chain = DatabaseConfig { fallback_urls: vec![standby.url().to_owned()], ..config(primary.url()) };
    let db = open(chain).await;
    db.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    let reader = open(config(standby.url())).await;
    eventually("the standby has it", async || {
        (reader.query("SELECT i FROM t", &[]).await.ok()?.len() == 1).then_some(())
    })
    .await;
    primary.stop(Mode::Immediate).await.unwrap();

    for _ in 0..5 {
        // What it answers may be older than a purge.
        assert!(one(&db).await.unwrap_err().is_unavailable());
        assert!(db.execute("INSERT INTO t VALUES (2)", &[]).await.unwrap_err().is_unavailable());
        assert!(db.begin().await.unwrap_err().is_unavailable());
    }
    standby.promote().await.unwrap();
    eventually("writes are taken", async || db.execute("INSERT INTO t VALUES ($1)", &[Value::Int(3)]).await.ok()).await;
    let mut tx = eventually("a transaction begins", async || db.begin().await.ok()).await;
    tx.execute("INSERT INTO t VALUES (4)", &[]).await.unwrap();
    tx.commit().await.unwrap();
    let rows = eventually("reads too", async || db.query("SELECT i FROM t ORDER BY i", &[]).await.ok()).await;
    let written: Vec<i64> = rows.iter().map(|row| row.int("i").unwrap()).collect();
    // What was sent on a connection that broke may have been done, and was sent once more.
    let (again, once): (Vec<i64>, Vec<i64>) = written.into_iter().partition(|i| *i == 3);
    assert!(!again.is_empty() && once == [1, 4], "{again:?} {once:?}");
}

#[tokio::test]
async fn connections_to_a_server_that_takes_no_writes_any_more_are_replaced() {
    let postgres = Postgres::start().await.unwrap();
    let db = open(config(postgres.url())).await;
    db.execute("CREATE TABLE t (i bigint)", &[]).await.unwrap();
    let admin = open(config(postgres.url())).await;
    let demote = |word: &str| format!("ALTER SYSTEM SET default_transaction_read_only = {word}");
    admin.execute(&demote("on"), &[]).await.unwrap();
    admin.query("SELECT pg_reload_conf()", &[]).await.unwrap();
    let refused =
        eventually("a write is refused", async || db.execute("INSERT INTO t VALUES (1)", &[]).await.err()).await;
    assert_eq!(refused.unavailability(), Some(Unavailable::ReadOnly), "{refused:?}");
    let created = db.state().created;
    assert_eq!(one(&db).await.unwrap(), 1);
    assert_eq!(db.state().created, created + 1, "on a new connection");
    assert_eq!(db.endpoints()[0].breaker, State::Closed);
}
