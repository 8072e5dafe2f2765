//! Reads from a streaming replica: as old as they may be, and never older than what this process knows to have changed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_core::marker::{Markers, PurgeKind};
use edge_cache_core::{TagHash, Timestamp};
use edge_cache_origin::database::{Database, DatabaseConfig};
use edge_cache_sandbox::Postgres;
use edge_cache_tests::eventually;

use crate::support::{FOREVER, config, open};

/// A primary with a table, a replica that has it, and a database over both.
async fn with_replica(lag_max: Duration) -> (Postgres, Postgres, Database) {
    let primary = Postgres::start().await.unwrap();
    let db = open(config(primary.url())).await;
    db.execute("CREATE TABLE t (i bigint)", &[]).await.unwrap();
    let replica = primary.replica().await.unwrap();
    let replica_urls = vec![replica.url().to_owned()];
    let db = open(DatabaseConfig { replica_urls, replica_lag_max: lag_max, ..config(primary.url()) }).await;
    (primary, replica, db)
}

/// Rows in the table, and whether a replica said so.
async fn read(db: &Database) -> (i64, bool) {
    let sql = "SELECT count(*) AS n, pg_is_in_recovery() AS replica FROM t";
    let row = &db.query(sql, &[]).await.unwrap()[0];
    (row.int("n").unwrap(), row.bool("replica").unwrap())
}

async fn read_by_replica(db: &Database) -> i64 {
    eventually("a replica is read", async || {
        let (rows, replica) = read(db).await;
        replica.then_some(rows)
    })
    .await
}

#[tokio::test]
async fn reads_go_to_the_replica_and_whoever_wrote_reads_it() {
    let (_primary, _replica, db) = with_replica(FOREVER).await;
    for written in 0..20 {
        assert_eq!(read_by_replica(&db).await, written);
        db.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
        assert_eq!(read(&db).await.0, written + 1, "wherever it is read");
    }
    assert!(db.state().connections <= 10);
}

#[tokio::test]
async fn a_replica_that_stands_still_is_read_only_until_something_is_written_or_purged() {
    let (primary, replica, db) = with_replica(FOREVER).await;
    let markers = Arc::new(Markers::alone(1));
    let known = Arc::clone(&markers);
    db.follow_purges(Box::new(move || Some(known.start())));
    assert_eq!(read_by_replica(&db).await, 0);
    let admin = open(config(replica.url())).await;
    admin.query("SELECT pg_wal_replay_pause()::text AS done", &[]).await.unwrap();
    // Somebody else writes, and this process learns of it by a purge.
    let other = open(config(primary.url())).await;
    other.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    assert_eq!(read(&db).await, (0, true), "nobody has said that this is too old");
    markers.purge(PurgeKind::Soft, &[TagHash::user("t")], Timestamp::from_secs(1));
    for _ in 0..50 {
        assert_eq!(read(&db).await, (1, false));
    }
    admin.query("SELECT pg_wal_replay_resume()::text AS done", &[]).await.unwrap();
    assert_eq!(read_by_replica(&db).await, 1);
}

#[tokio::test]
async fn a_replica_that_lags_is_not_read_and_one_that_is_away_costs_nothing() {
    let (primary, replica, db) = with_replica(Duration::from_millis(100)).await;
    read_by_replica(&db).await;
    let admin = open(config(replica.url())).await;
    admin.query("SELECT pg_wal_replay_pause()::text AS done", &[]).await.unwrap();
    open(config(primary.url())).await.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    eventually("it is too far behind", async || (!read(&db).await.1).then_some(())).await;
    for _ in 0..50 {
        assert_eq!(read(&db).await, (1, false));
    }
    admin.query("SELECT pg_wal_replay_resume()::text AS done", &[]).await.unwrap();
    read_by_replica(&db).await;
    replica.stop(edge_cache_sandbox::Mode::Immediate).await.unwrap();
    for _ in 0..50 {
        assert_eq!(read(&db).await, (1, false));
    }
}

#[tokio::test]
async fn a_process_that_cannot_know_of_purges_reads_no_replica() {
    let (_primary, _replica, db) = with_replica(FOREVER).await;
    let markers = Arc::new(Markers::alone(1));
    let knows = Arc::new(AtomicU64::new(1));
    let (known, asked) = (Arc::clone(&markers), Arc::clone(&knows));
    db.follow_purges(Box::new(move || (asked.load(Ordering::Relaxed) == 1).then(|| known.start())));
    read_by_replica(&db).await;
    knows.store(0, Ordering::Relaxed);
    for _ in 0..50 {
        assert!(!read(&db).await.1);
    }
}
