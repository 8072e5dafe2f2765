//! The store and the backplane against a real Redis.
#![allow(clippy::unwrap_used, missing_docs)]

mod acknowledging;
mod hot;
mod leases;
mod nodes;
mod shapes;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_core::{
    CacheKey, Entry, Freshness, Head, KeyParts, Kind, PackedHeaders, Store, StoreError, TagHash, TagSet, Timestamp,
    marker::{Guard, Markers, Published, PurgeKind, Start, Verdict},
};
use edge_cache_redis::{Delivery, RedisBackplane, RedisConfig, RedisStore};
use edge_cache_sandbox::Redis;
use http::StatusCode;

/// How long these tests wait for Redis: a busy machine must not decide them.
const PATIENCE: Duration = Duration::from_secs(30);

fn patient(url: &str) -> RedisConfig {
    RedisConfig { url: url.to_owned(), read_timeout: PATIENCE, write_timeout: PATIENCE, ..RedisConfig::default() }
}

fn store(redis: &Redis) -> RedisStore {
    RedisStore::new(patient(redis.url())).unwrap()
}

/// A node that is in step.
async fn node(redis: &Redis) -> (Arc<Markers>, RedisBackplane) {
    let markers = Arc::new(Markers::shared(2 * PATIENCE, true));
    let backplane = store(redis).backplane(Arc::clone(&markers)).unwrap();
    backplane.sync().await.unwrap();
    (markers, backplane)
}

async fn connect(redis: &Redis) -> redis::aio::MultiplexedConnection {
    redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

fn key(path: &str) -> CacheKey {
    CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path, query: "" })
}

fn entry(start: Start, tag: &str) -> Entry {
    let at = Timestamp::from_secs(1_700_000_000);
    let freshness =
        Freshness { born: at, stored: at, fresh_until: at, revalidate_until: at, error_until: at, stale_allowed: true };
    let head = Head {
        kind: Kind::Response,
        status: StatusCode::OK,
        headers: PackedHeaders::default(),
        freshness,
        fence: start.fence,
        tags: TagSet::from_hashes(vec![TagHash::user(tag), TagHash::all()]),
        fill_millis: 0,
    };
    Entry::new(head, Bytes::from_static(b"body"), start)
}

async fn purge((markers, backplane): &(Arc<Markers>, RedisBackplane), kind: PurgeKind, tag: &str) -> bool {
    let ticket = markers.defer(kind, &[TagHash::user(tag)]);
    match backplane.publish(&ticket, None).await {
        Ok(Delivery { published: Published { incarnation, seq, .. }, .. }) => {
            markers.settle(&ticket, incarnation, seq);
            true
        }
        Err(_) => false,
    }
}

/// What another node finds of an entry that `start`ed here.
async fn copy(store: &RedisStore, start: Start, tag: &str) -> Entry {
    store.put(key(tag), entry(start, tag), Duration::from_secs(60)).await.unwrap();
    store.get(&key(tag)).await.unwrap().unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let redis = Redis::start().await.unwrap();
    edge_cache_testkit::contract::store_contract(&store(&redis)).await;
}

#[tokio::test]
async fn entries_come_back_until_they_are_removed_or_over() {
    let redis = Redis::start().await.unwrap();
    let (store, (markers, _)) = (store(&redis), node(&redis).await);
    assert!(store.get(&key("/a")).await.unwrap().is_none());
    let want = entry(markers.start(), "a");
    store.put(key("/a"), want.clone(), Duration::from_secs(60)).await.unwrap();
    let found = store.get(&key("/a")).await.unwrap().unwrap();
    assert_eq!((found.head(), found.body()), (want.head(), want.body()));
    store.remove(&key("/a")).await.unwrap();
    assert!(store.get(&key("/a")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_redis_that_is_away_is_unavailable_and_comes_back() {
    let redis = Redis::start().await.unwrap();
    let store = store(&redis);
    assert!(store.get(&key("/a")).await.unwrap().is_none());
    redis.kill().await.unwrap();
    for _ in 0..5 {
        assert!(matches!(store.get(&key("/a")).await, Err(StoreError::Unavailable { .. })));
    }
    assert_eq!(store.read_breaker().as_str(), "open");
    redis.restart().await.unwrap();
    // The breaker lets a probe through after its reset time, and closes when enough more went well.
    while store.read_breaker().as_str() != "closed" {
        drop(store.get(&key("/a")).await);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stalled_redis_costs_its_timeout_and_then_nothing() {
    let redis = Redis::start().await.unwrap();
    let brief = RedisConfig { read_timeout: Duration::from_millis(100), ..patient(redis.url()) };
    let store = RedisStore::new(brief).unwrap();
    // Its first connection may take longer.
    while store.get(&key("/a")).await.is_err() {
        tokio::task::yield_now().await;
    }
    redis.pause().await.unwrap();
    for _ in 0..3 {
        assert!(store.get(&key("/a")).await.is_err());
    }
    // Open: refused without asking.
    assert!(store.get(&key("/a")).await.unwrap_err().to_string().contains("unavailable"));
    assert_eq!(store.read_breaker().as_str(), "open");
    redis.resume().await.unwrap();
}

#[tokio::test]
async fn a_purge_reaches_other_nodes_and_later_runs() {
    let redis = Redis::start().await.unwrap();
    let (store, one, other) = (store(&redis), node(&redis).await, node(&redis).await);
    let copy = copy(&store, one.0.start(), "a").await;
    assert_eq!(other.0.judge(&copy), Verdict::Live, "nodes that share a Redis share what is in it");
    assert!(purge(&one, PurgeKind::Hard, "a").await);
    assert_eq!(one.0.judge(&copy), Verdict::Gone);
    other.1.sync().await.unwrap();
    assert_eq!(other.0.judge(&copy), Verdict::Gone);
    let later = node(&redis).await;
    assert_eq!(later.0.judge(&copy), Verdict::Gone, "a restart does not undo a purge");
    assert_eq!(later.0.judge(&entry(later.0.start(), "a")), Verdict::Live);
}

#[tokio::test]
async fn purges_of_two_nodes_do_not_hide_each_other() {
    let redis = Redis::start().await.unwrap();
    let (store, one, other) = (store(&redis), node(&redis).await, node(&redis).await);
    let copy = copy(&store, one.0.start(), "a").await;
    assert!(purge(&other, PurgeKind::Soft, "a").await);
    // A purge of its own, with a higher number, must not make node one skip the one it has not heard of.
    assert!(purge(&one, PurgeKind::Soft, "unrelated").await);
    assert_eq!(one.0.judge(&copy), Verdict::Live, "not heard of yet");
    one.1.sync().await.unwrap();
    assert_eq!(one.0.judge(&copy), Verdict::Soft);
}

#[tokio::test]
async fn a_purge_made_while_redis_is_away_counts_at_once_and_is_published_later() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (node(&redis).await, node(&redis).await);
    let (held, held_there) = (entry(one.0.start(), "a"), entry(other.0.start(), "a"));
    redis.kill().await.unwrap();
    assert!(!purge(&one, PurgeKind::Hard, "a").await);
    assert_eq!(one.0.judge(&held), Verdict::Gone);
    assert_eq!(one.0.waiting(Duration::ZERO).len(), 1);
    redis.restart().await.unwrap();
    while !one.0.waiting(Duration::ZERO).is_empty() {
        // It may be too early, or Redis not back yet.
        drop(one.1.sync().await);
        tokio::task::yield_now().await;
    }
    assert_eq!(one.0.judge(&held), Verdict::Gone);
    assert_eq!(other.0.judge(&held_there), Verdict::Live, "it has not heard of it");
    while other.1.sync().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(other.0.judge(&held_there), Verdict::Gone);
}

#[tokio::test]
async fn a_redis_that_lost_its_data_gets_a_new_order_and_old_copies_are_dead() {
    let redis = Redis::start().await.unwrap();
    let (store, one) = (store(&redis), node(&redis).await);
    let held = entry(one.0.start(), "a");
    let copy = copy(&store, one.0.start(), "a").await;
    redis.restart().await.unwrap();
    while one.1.sync().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(one.0.judge(&copy), Verdict::Gone);
    assert_eq!(one.0.judge(&held), Verdict::Live, "what a node filled itself it may keep");
    assert!(purge(&one, PurgeKind::Hard, "a").await);
    assert_eq!(one.0.judge(&held), Verdict::Gone);
}

#[tokio::test]
async fn more_markers_than_a_page_arrive_whole() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (node(&redis).await, node(&redis).await);
    let tags: Vec<_> = (0..2500).map(|n| format!("tag-{n}")).collect();
    for chunk in tags.chunks(500) {
        let hashes: Vec<_> = chunk.iter().map(|tag| TagHash::user(tag)).collect();
        let ticket = one.0.defer(PurgeKind::Soft, &hashes);
        let Published { incarnation, seq, .. } = one.1.publish(&ticket, None).await.unwrap().published;
        one.0.settle(&ticket, incarnation, seq);
    }
    let before: Vec<_> = tags.iter().map(|tag| entry(other.0.start(), tag)).collect();
    assert!(before.iter().all(|entry| other.0.judge(entry) == Verdict::Live));
    other.1.sync().await.unwrap();
    assert!(before.iter().all(|entry| other.0.judge(entry) == Verdict::Soft));
}

#[tokio::test]
async fn a_guard_sees_the_purges_of_other_nodes() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (node(&redis).await, node(&redis).await);
    let guard = || Guard { start: one.0.start(), tags: vec![TagHash::user("a"), TagHash::user("b")] };
    let holds = async |guard: &Guard| {
        let ticket = one.0.defer(PurgeKind::Soft, &[TagHash::user("a")]);
        let published = one.1.publish(&ticket, Some(guard)).await.unwrap().published;
        one.0.settle(&ticket, published.incarnation, published.seq);
        published.guard_holds
    };
    assert!(holds(&guard()).await);
    let since = guard();
    assert!(purge(&other, PurgeKind::Hard, "c").await);
    assert!(holds(&since).await, "what it does not name");
    let since = guard();
    assert!(purge(&other, PurgeKind::Hard, "b").await);
    assert!(!holds(&since).await, "this node has not heard of it");
    let since = guard();
    assert!(purge(&one, PurgeKind::Soft, "a").await);
    assert!(!holds(&since).await, "its own tag, purged by another request");
    let unknown = Guard { start: Markers::shared(Duration::ZERO, true).start(), ..guard() };
    assert!(!holds(&unknown).await, "begun before the order was known");
}
