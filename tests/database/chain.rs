//! Several ways to one Postgres.

use edge_cache_breaker::State;
use edge_cache_origin::database::{Database, DatabaseConfig, DbError, Transaction, Unavailable, Value};
use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Fault, PATIENCE, Way, eventually};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::support::{by_way_of, config, one, open, running};

/// A chain of a way that can be made bad and one that stays good.
async fn two_ways(connections_max: u32) -> (Postgres, Fault, DatabaseConfig) {
    let postgres = Postgres::start().await.unwrap();
    let fault = Fault::before(postgres.port()).await;
    let fallback_urls = vec![postgres.url().to_owned()];
    let config = DatabaseConfig { fallback_urls, connections_max, ..config(&by_way_of(&fault, &postgres)) };
    (postgres, fault, config)
}

/// Holds the lock that statements here wait for.
async fn locked(db: &Database) -> Transaction {
    let mut lock = db.begin().await.unwrap();
    lock.batch("SELECT pg_advisory_xact_lock(7)").await.unwrap();
    lock
}

#[tokio::test]
async fn reads_that_wait_on_a_way_that_falls_silent_are_answered_by_the_next() {
    let (postgres, fault, config) = two_ways(4).await;
    let watcher = open(crate::support::config(postgres.url())).await;
    let db = open(config).await;
    // They are under way when the way falls silent, held by a lock. None of them has a limit of its own that could end it.
    let lock = locked(&watcher).await;
    let slow = "SELECT CAST(1 AS bigint) AS one FROM (SELECT pg_advisory_xact_lock(7)) AS held";
    let reads: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let db = db.clone();
                async move { db.query(slow, &[]).await.map(|rows| rows[0].int("one").unwrap()) }
            })
        })
        .collect();
    eventually("all four run", async || (running(&watcher, "AS held").await == 4).then_some(())).await;
    fault.make(Way::Silent);
    lock.commit().await.unwrap();
    for read in timeout(PATIENCE, join_all(reads)).await.expect("found out, and asked elsewhere") {
        assert_eq!(read.unwrap().unwrap(), 1);
    }
    let ways = db.endpoints();
    assert_ne!(ways[0].breaker, State::Closed);
    assert!(ways[1].pool.connections > 0);
    assert!(db.state().connections <= 4, "{:?}", db.state());
}

#[tokio::test]
async fn idle_connections_of_a_way_that_is_left_make_room_for_the_next() {
    let (_postgres, fault, config) = two_ways(3).await;
    let db = open(config).await;
    // All that may be open is open on the first way.
    let held = join_all((0..3).map(|_| db.begin())).await;
    held.into_iter().for_each(|tx| drop(tx.unwrap()));
    eventually("they are idle again", async || (db.state().idle == 3).then_some(())).await;
    fault.make(Way::Silent);
    for _ in 0..20 {
        assert_eq!(one(&db).await.unwrap(), 1);
        assert!(db.state().connections <= 3, "{:?}", db.state());
    }
}

#[tokio::test]
async fn a_way_that_heals_is_taken_again_by_itself() {
    let (_postgres, fault, config) = two_ways(4).await;
    let db = open(config).await;
    for way in [Way::Closed, Way::Silent] {
        fault.make(way);
        eventually("the first way is left alone", async || {
            assert_eq!(one(&db).await.unwrap(), 1);
            (db.endpoints()[0].breaker == State::Open).then_some(())
        })
        .await;
        fault.make(Way::Open);
        eventually("it is taken again", async || {
            assert_eq!(one(&db).await.unwrap(), 1);
            let first = &db.endpoints()[0];
            (first.breaker == State::Closed && first.pool.connections > 0).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_chain_starts_by_the_first_way_that_is_open_and_names_the_first_if_none_is() {
    let postgres = Postgres::start().await.unwrap();
    let closed = Fault::before(postgres.port()).await;
    closed.make(Way::Closed);
    let first = by_way_of(&closed, &postgres);
    let chain = DatabaseConfig { fallback_urls: vec![postgres.url().to_owned()], ..config(&first) };
    let db = open(chain).await;
    assert_eq!(one(&db).await.unwrap(), 1);
    db.execute("CREATE TABLE t (i bigint)", &[]).await.unwrap();
    let none = DatabaseConfig { fallback_urls: vec![first.clone()], ..config(&first) };
    let refused = edge_cache_origin::database::Database::connect(none).await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains(&closed.address.port().to_string()), "{why}");
}

#[tokio::test]
async fn a_write_whose_connection_breaks_is_not_sent_again() {
    let (postgres, fault, config) = two_ways(4).await;
    let watcher = open(crate::support::config(postgres.url())).await;
    watcher.execute("CREATE TABLE written (at bigint)", &[]).await.unwrap();
    let db = open(config).await;
    let before = db.queries_total();
    let lock = locked(&watcher).await;
    let write = tokio::spawn({
        let db = db.clone();
        async move { db.execute("INSERT INTO written SELECT 1 FROM (SELECT pg_advisory_xact_lock(7)) AS held", &[]).await }
    });
    eventually("it runs", async || (running(&watcher, "AS held").await == 1).then_some(())).await;
    fault.make(Way::Closed);
    let broken = timeout(PATIENCE, write).await.unwrap().unwrap().unwrap_err();
    assert_eq!(broken.unavailability(), Some(Unavailable::Broken), "{broken:?}");
    assert_eq!(db.queries_total() - before, 1, "sent once");
    lock.commit().await.unwrap();
    eventually("the server is done with it", async || (running(&watcher, "AS held").await == 0).then_some(())).await;
    // The next one goes the other way, because nothing of it was sent on the first.
    let write = db.execute("INSERT INTO written VALUES ($1)", &[Value::Int(2)]);
    assert_eq!(timeout(PATIENCE, write).await.unwrap().unwrap(), 1);
    let rows = watcher.query("SELECT count(*) AS n FROM written WHERE at = 2", &[]).await.unwrap();
    assert_eq!(rows[0].int("n").unwrap(), 1);
    let rows = watcher.query("SELECT count(*) AS n FROM written WHERE at = 1", &[]).await.unwrap();
    assert!(rows[0].int("n").unwrap() <= 1);
}

#[tokio::test]
async fn a_server_that_is_out_is_left_alone_after_three_failures_and_probed_by_one() {
    let postgres = Postgres::start().await.unwrap();
    let fault = Fault::before(postgres.port()).await;
    let limits = DatabaseConfig {
        breaker_reset: crate::support::FOREVER,
        breaker_reset_max: crate::support::FOREVER,
        ..config(&by_way_of(&fault, &postgres))
    };
    let limits = DatabaseConfig { breaker_reset: limits.breaker_reset / 2, ..limits };
    let db = open(limits).await;
    fault.make(Way::Closed);
    let mut refused = 0;
    let left_alone = loop {
        match one(&db).await.unwrap_err() {
            DbError::Unavailable { reason: Unavailable::BreakerOpen, .. } => break refused,
            _ => refused += 1,
        }
    };
    // Each of them may have been sent again within the budget; the third failure opens it.
    assert!((1..=3).contains(&left_alone), "{left_alone}");
    let connects = db.state().connect_errors;
    for _ in 0..50 {
        assert_eq!(one(&db).await.unwrap_err().unavailability(), Some(Unavailable::BreakerOpen));
    }
    assert_eq!(db.state().connect_errors, connects, "nothing is tried");
}

#[tokio::test]
async fn a_crowd_waits_in_a_short_queue_and_the_rest_is_told_at_once() {
    let postgres = Postgres::start().await.unwrap();
    let limits = DatabaseConfig { connections_max: 2, queue_max: 3, ..config(postgres.url()) };
    let db = open(limits).await;
    let held = [db.begin().await.unwrap(), db.begin().await.unwrap()];
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let db = db.clone();
                async move { one(&db).await }
            })
        })
        .collect();
    eventually("three wait", async || (db.permits().load().waiting == 3).then_some(())).await;
    let refused = one(&db).await.unwrap_err();
    assert_eq!(refused.unavailability(), Some(Unavailable::Overloaded));
    drop(held);
    for waited in waiting {
        assert_eq!(waited.await.unwrap().unwrap(), 1);
    }
    assert_eq!((db.permits().load().in_use_max, db.permits().load().refused), (2, 1));
    assert!(db.endpoints()[0].breaker == State::Closed, "a crowd says nothing of the server");
}
