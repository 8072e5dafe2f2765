//! Until when an answer is of use.

use std::time::Duration;

use edge_cache_breaker::State;
use edge_cache_core::{Deadline, Priority};
use edge_cache_origin::{
    Work,
    database::{DatabaseConfig, DbError, Unavailable},
};
use edge_cache_sandbox::Postgres;
use edge_cache_tests::{PATIENCE, eventually};
use tokio::time::{Instant, timeout};

use crate::support::{FOREVER, config, one, open, running};

fn until(deadline: Instant) -> Work {
    Work { deadline: Some(Deadline(deadline.into_std())), ..Work::default() }
}

#[tokio::test]
async fn a_statement_ends_at_the_request_s_deadline_on_the_server_too() {
    let postgres = Postgres::start().await.unwrap();
    let watcher = open(config(postgres.url())).await;
    let db = open(DatabaseConfig { connections_max: 1, acquire_timeout: PATIENCE, ..config(postgres.url()) }).await;
    let soon = until(Instant::now() + Duration::from_millis(200));
    let late = timeout(PATIENCE, soon.run(db.query("SELECT CAST(pg_sleep(3600) AS text) AS slept", &[]))).await;
    assert!(matches!(late.unwrap(), Err(DbError::Timeout { .. })));
    eventually("the server has stopped it", async || (running(&watcher, "pg_sleep").await == 0).then_some(())).await;
    assert_eq!(one(&db).await.unwrap(), 1, "its only connection was replaced");
    assert_eq!(db.endpoints()[0].breaker, State::Closed, "who is impatient says nothing of the server");
}

#[tokio::test]
async fn a_wait_for_a_permit_ends_at_the_deadline() {
    let postgres = Postgres::start().await.unwrap();
    let limits = DatabaseConfig { connections_max: 1, queue_timeout: FOREVER, ..config(postgres.url()) };
    let db = open(limits).await;
    let held = db.begin().await.unwrap();
    let refused = timeout(PATIENCE, until(Instant::now()).run(one(&db))).await.unwrap().unwrap_err();
    assert_eq!(refused.unavailability(), Some(Unavailable::Overloaded));
    drop(held);
}

#[tokio::test]
async fn a_commit_is_not_given_up_at_the_deadline() {
    let postgres = Postgres::start().await.unwrap();
    let db = open(config(postgres.url())).await;
    // The commit itself takes a while: what is deferred happens in it.
    db.batch(
        "CREATE TABLE kept (i bigint); \
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    .await
    .unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO kept VALUES (1)", &[]).await.unwrap();
    until(Instant::now()).run(tx.commit()).await.unwrap();
    assert_eq!(db.query("SELECT i FROM kept", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_waits_behind_what_nobody_waits_for() {
    let postgres = Postgres::start().await.unwrap();
    let watcher = open(config(postgres.url())).await;
    let db = open(DatabaseConfig { connections_max: 10, ..config(postgres.url()) }).await;
    let slow = |priority| {
        let (db, work) = (db.clone(), Work { priority, ..Work::default() });
        tokio::spawn(
            async move { work.run(db.query("SELECT CAST(pg_sleep(3600) AS text) AS slept", &[])).await.map(drop) },
        )
    };
    let behind: Vec<_> = [Priority::Refresh; 4].into_iter().chain([Priority::Warm; 4]).map(slow).collect();
    eventually("as many run as may", async || (running(&watcher, "pg_sleep").await >= 2).then_some(())).await;
    // One refresh (15 % of ten) and one warming (5 %, at least one); the others wait, and leave eight connections.
    assert_eq!((db.permits().load().in_use, db.permits().load().waiting), (2, 6));
    let crowd = futures_util::future::join_all((0..8).map(|_| one(&db))).await;
    assert!(crowd.into_iter().all(|answer| answer.unwrap() == 1));
    assert_eq!(running(&watcher, "pg_sleep").await, 2);
    behind.into_iter().for_each(|task| task.abort());
}
