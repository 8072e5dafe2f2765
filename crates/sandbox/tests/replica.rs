//! A replica follows its primary until it is promoted.

mod common;

use common::{PATIENCE, connect, eventually_asking, folder, is_alive};
use edge_cache_sandbox::{Error, Mode, Postgres};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Client, error::SqlState};

const INSERT: &str = "INSERT INTO t VALUES (1)";

/// A primary with a table `t` that is empty, and a replica of it.
async fn pair() -> (Postgres, Client, Postgres) {
    let primary = Postgres::builder().max_connections(20).start().await.expect("starts");
    let writer = connect(primary.url()).await.expect("connects");
    writer.batch_execute("CREATE TABLE t (n int)").await.expect("creates");
    let replica = primary.replica().await.expect("starts");
    (primary, writer, replica)
}

async fn rows(client: &Client) -> i64 {
    let row = timeout(PATIENCE, client.query_one("SELECT count(*) FROM t", &[])).await;
    row.expect("in time").expect("answers").get(0)
}

async fn arrived(reader: &Client, count: i64) {
    eventually_asking("the rows arrive", async || rows(reader).await == count).await;
}

#[tokio::test]
async fn sees_what_the_primary_commits_and_is_gone_with_its_handle() {
    let (primary, writer, replica) = pair().await;
    assert_eq!(replica.url(), format!("postgres://postgres@127.0.0.1:{}/pitchey", replica.port()));
    assert_ne!(replica.port(), primary.port());
    let reader = connect(replica.url()).await.expect("connects");
    let row = reader.query_one("SELECT pg_is_in_recovery(), current_setting('max_connections')", &[]).await;
    let row = row.expect("answers");
    assert_eq!((row.get::<_, bool>(0), row.get::<_, &str>(1)), (true, "20"));
    assert_eq!(rows(&reader).await, 0, "the copy holds the table");
    writer.batch_execute(INSERT).await.expect("inserts");
    arrived(&reader, 1).await;

    let (pids, folder) = (replica.pids(), folder(&reader).await);
    drop(replica);
    assert!(pids.len() > 1 && !pids.into_iter().any(is_alive));
    assert!(!std::path::Path::new(&folder).exists());
    writer.batch_execute(INSERT).await.expect("the primary goes on");
}

#[tokio::test]
async fn refuses_writes_until_it_is_promoted() {
    let (primary, writer, replica) = pair().await;
    let reader = connect(replica.url()).await.expect("connects");
    let refused = reader.batch_execute(INSERT).await.expect_err("read only");
    assert_eq!(refused.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));

    replica.promote().await.expect("promotes");
    reader.batch_execute(INSERT).await.expect("the same session may write");
    assert_eq!((rows(&reader).await, rows(&writer).await), (1, 0), "each is on its own");
    writer.batch_execute("INSERT INTO t VALUES (2), (3)").await.expect("inserts");
    replica.restart().await.expect("starts again");
    let reader = connect(replica.url()).await.expect("the same URL");
    reader.batch_execute(INSERT).await.expect("it stays promoted");
    assert_eq!((rows(&reader).await, rows(&writer).await), (2, 2), "neither follows the other");

    for server in [&primary, &replica] {
        assert!(matches!(server.promote().await, Err(Error::Postgres(_))), "nothing to promote");
    }
}

#[tokio::test]
async fn catches_up_after_every_way_of_being_away() {
    let (primary, writer, replica) = pair().await;
    let mut count = 0;
    for mode in [Mode::Smart, Mode::Fast, Mode::Immediate, Mode::Kill] {
        replica.stop(mode).await.expect("stops");
        connect(replica.url()).await.expect_err("the port refuses");
        // In a segment of its own: without the slot, a checkpoint would recycle the one before.
        writer.batch_execute(INSERT).await.expect("inserts");
        writer.batch_execute("SELECT pg_switch_wal(); CHECKPOINT").await.expect("goes on to the next segment");
        count += 1;
        replica.restart().await.expect("starts again");
        arrived(&connect(replica.url()).await.expect("connects"), count).await;
    }

    let reader = connect(replica.url()).await.expect("connects");
    replica.pause().await.expect("pauses");
    writer.batch_execute(INSERT).await.expect("the primary does not wait for it");
    let mut answer = Box::pin(reader.query("SELECT n FROM t", &[]));
    timeout(Duration::from_millis(50), &mut answer).await.expect_err("no answer");
    replica.resume().await.expect("resumes");
    timeout(PATIENCE, answer).await.expect("in time").expect("answers");
    arrived(&reader, count + 1).await;

    primary.restart().await.expect("starts again");
    let writer = connect(primary.url()).await.expect("connects");
    writer.batch_execute(INSERT).await.expect("inserts");
    arrived(&reader, count + 2).await;
}

#[tokio::test]
async fn a_second_replica_may_differ_and_takes_over_too() {
    let (primary, writer, replica) = pair().await;
    let second = primary.replica_builder().setting("application_name", "second").start().await.expect("starts");
    writer.batch_execute(INSERT).await.expect("inserts");
    for server in [&replica, &second] {
        arrived(&connect(server.url()).await.expect("connects"), 1).await;
    }
    let reader = connect(second.url()).await.expect("connects");
    let row = reader.query_one("SELECT current_setting('application_name')", &[]).await.expect("answers");
    assert_eq!(row.get::<_, &str>(0), "second");

    primary.stop(Mode::Kill).await.expect("stops");
    second.promote().await.expect("promotes without its primary");
    reader.batch_execute(INSERT).await.expect("takes writes");
    let third = second.replica().await.expect("what was promoted has replicas of its own");
    assert_eq!(rows(&connect(third.url()).await.expect("connects")).await, 2);
    let error = primary.replica().await.expect_err("nothing to copy").to_string();
    assert!(error.contains("pg_basebackup") && error.contains("refused"), "{error}");
}
