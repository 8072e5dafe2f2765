//! PgBouncer in transaction mode, which takes no settings of a session and keeps no prepared statements.

use std::time::Duration;

use edge_cache_breaker::State;
use edge_cache_origin::database::{DatabaseConfig, DbError, Value};
use edge_cache_sandbox::{PgBouncer, Postgres};
use edge_cache_tests::{PATIENCE, eventually};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::support::{config, one, open, running};

async fn pooled(server_connections: u16) -> (Postgres, PgBouncer) {
    let postgres = Postgres::builder().max_connections(20).start().await.unwrap();
    let pooler = PgBouncer::builder(&postgres).setting("default_pool_size", server_connections.to_string());
    let pooler = pooler.start().await.unwrap();
    (postgres, pooler)
}

#[tokio::test]
async fn statements_and_transactions_go_through_few_connections_of_a_pooler() {
    let (postgres, pooler) = pooled(2).await;
    let watcher = open(config(postgres.url())).await;
    let db = open(config(pooler.url())).await;
    db.execute("CREATE TABLE t (i bigint PRIMARY KEY, s text)", &[]).await.unwrap();
    let writes = (0..40).map(|at| {
        let db = db.clone();
        async move {
            let mut tx = db.begin_with("SET LOCAL edge_cache.writer = 'w'").await?;
            tx.execute("INSERT INTO t VALUES ($1, $2)", &[Value::Int(at), format!("row {at}").into()]).await?;
            tx.query("SELECT s FROM t WHERE i = $1", &[Value::Int(at)]).await?;
            tx.commit().await?;
            db.query("SELECT s FROM t WHERE i = $1", &[Value::Int(at)]).await.map(|rows| rows[0].text("s").unwrap())
        }
    });
    for (at, read) in timeout(PATIENCE, join_all(writes)).await.unwrap().into_iter().enumerate() {
        assert_eq!(read.unwrap(), format!("row {at}"));
    }
    let sessions = "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND application_name = 'edge-cache' AND pid <> pg_backend_pid()";
    let own = 1;
    assert!(watcher.query(sessions, &[]).await.unwrap()[0].int("n").unwrap() <= 2 + own);
}

#[tokio::test]
async fn what_a_transaction_sets_does_not_stay_on_the_server_s_connection() {
    let (_postgres, pooler) = pooled(1).await;
    let db = open(config(pooler.url())).await;
    let shown = async || db.query("SHOW statement_timeout", &[]).await.unwrap()[0].text("statement_timeout").unwrap();
    let before = shown().await;
    let mut tx = db.begin_long().await.unwrap();
    tx.batch("SELECT 1").await.unwrap();
    tx.commit().await.unwrap();
    db.begin_with("SET LOCAL statement_timeout = 12345").await.unwrap().rollback().await.unwrap();
    assert_eq!(shown().await, before);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cancelled_through_the_pooler() {
    let (postgres, pooler) = pooled(3).await;
    let watcher = open(config(postgres.url())).await;
    let limits = DatabaseConfig { statement_timeout: Duration::from_millis(300), ..config(pooler.url()) };
    let db = open(limits).await;
    let slow = db.query("SELECT CAST(pg_sleep(3600) AS text) AS slept", &[]);
    let slow = timeout(PATIENCE, slow).await.unwrap().unwrap_err();
    assert!(matches!(slow, DbError::Timeout { .. }), "{slow:?}");
    eventually("the server has stopped it", async || (running(&watcher, "pg_sleep").await == 0).then_some(())).await;
    eventually("the pooler's only connection is free", async || one(&db).await.ok()).await;
}

#[tokio::test]
async fn a_pooler_that_is_halted_is_left_for_the_server_and_taken_again() {
    let (postgres, pooler) = pooled(2).await;
    let chain = DatabaseConfig { fallback_urls: vec![postgres.url().to_owned()], ..config(pooler.url()) };
    let db = open(chain).await;
    assert_eq!(one(&db).await.unwrap(), 1);
    pooler.pause().await.unwrap();
    for _ in 0..20 {
        assert_eq!(one(&db).await.unwrap(), 1);
    }
    assert_ne!(db.endpoints()[0].breaker, State::Closed);
    pooler.resume().await.unwrap();
    eventually("the pooler is used again", async || {
        assert_eq!(one(&db).await.unwrap(), 1);
        let first = &db.endpoints()[0];
        (first.breaker == State::Closed && first.pool.connections > 0).then_some(())
    })
    .await;
}
