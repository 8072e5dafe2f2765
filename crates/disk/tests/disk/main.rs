//! The disk tier as a stack uses it: over real folders, across restarts, kills and damage.
#![allow(clippy::unwrap_used, missing_docs)]

mod bound;
mod crash;
mod damage;
mod restart;
mod write;

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_core::{
    Clock, Entry, Head, Kind, Store, StoreError, SystemClock, TagHash, TagSet, Timestamp,
    marker::{Fence, Guard, Markers, Published, PurgeKind, Start, Verdict},
};
use edge_cache_disk::{DiskConfig, DiskOrder, DiskStore, Eviction};
use edge_cache_testkit::{
    FakeClock,
    contract::{self, key, noise},
};

const LONG: Duration = Duration::from_secs(3600);

fn config(path: &Path) -> DiskConfig {
    // A busy machine must not fail a test that is not about time.
    DiskConfig { path: path.to_owned(), timeout: Duration::from_secs(60), ..DiskConfig::default() }
}

fn open(path: &Path) -> (DiskStore, DiskOrder) {
    edge_cache_disk::open(config(path), Arc::new(SystemClock)).unwrap()
}

/// An entry of a fill that began at `start`.
fn filled(start: Start, tags: &[&str], body: Bytes) -> Entry {
    let like = contract::entry(Kind::Response, Bytes::new());
    let tags = TagSet::from_hashes(tags.iter().map(|tag| TagHash::user(tag)).collect());
    let head = Head { fence: start.fence, tags, ..Head::clone(like.head()) };
    Entry::new(head, body, start)
}

async fn purge(order: &DiskOrder, kind: PurgeKind, tags: &[&str], guard: Option<&Guard>) -> Published {
    let markers = order.markers();
    let tags: Vec<_> = tags.iter().map(|tag| TagHash::user(tag)).collect();
    let ticket = markers.defer(kind, &tags);
    let published = order.publish(&ticket, guard).await.unwrap();
    markers.settle(&ticket, published.incarnation, published.seq);
    published
}

/// What a tier makes of what it finds.
fn verdict(markers: &Markers, found: &Entry) -> Verdict {
    markers.admit(found).map_or(Verdict::Gone, |admitted| markers.judge(&admitted))
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _order) = open(dir.path());
    contract::store_contract(&store).await;
}

#[tokio::test]
async fn it_keeps_the_contract_from_the_disk_alone() {
    let dir = tempfile::tempdir().unwrap();
    // With so little room for what waits most of it is written during the contract, and merged.
    let small = DiskConfig { capacity_bytes: 64 << 20, ..config(dir.path()) };
    let (store, _order) = edge_cache_disk::open(small, Arc::new(SystemClock)).unwrap();
    contract::store_contract(&store).await;
    assert!(store.used_bytes() > 2 << 20);
    store.flush().await.unwrap();
    for (kind, len) in [(Kind::Response, 1), (Kind::Partial, 1 << 20), (Kind::VariantIndex, 0)] {
        let want = contract::entry(kind, noise(9, len));
        store.put(key("/again"), want.clone(), LONG).await.unwrap();
        store.flush().await.unwrap();
        let found = store.get(&key("/again")).await.unwrap().unwrap();
        assert_eq!((found.head(), found.body()), (want.head(), want.body()));
    }
    store.remove(&key("/again")).await.unwrap();
    store.flush().await.unwrap();
    assert!(store.get(&key("/again")).await.unwrap().is_none(), "older parts of the disk still hold it");
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_a_miss_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let clock = FakeClock::at(Timestamp::from_secs(1_700_000_000));
    let (store, _order) = edge_cache_disk::open(config(dir.path()), clock.shared()).unwrap();
    let put = async |path: &str, keep| {
        store.put(key(path), contract::entry(Kind::Response, Bytes::new()), keep).await.unwrap();
    };
    let is_there = async |path: &str| store.get(&key(path)).await.unwrap().is_some();
    put("/written", Duration::from_secs(10)).await;
    store.flush().await.unwrap();
    put("/waiting", Duration::from_secs(10)).await;
    put("/no-time", Duration::ZERO).await;
    // While the disk is asked, Tokio's paused clock runs on: up to the timeout, if nothing else is to do.
    let began = clock.now();
    assert!(is_there("/waiting").await && is_there("/no-time").await);
    assert_eq!(clock.now(), began);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!is_there("/no-time").await, "kept for one millisecond");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(!is_there("/waiting").await && !is_there("/written").await);
    assert_eq!(store.evicted(Eviction::Expired), 3);
    put("/written", Duration::from_secs(10)).await;
    assert!(is_there("/written").await);
}

#[tokio::test]
async fn an_older_purge_does_not_hide_what_came_after() {
    let dir = tempfile::tempdir().unwrap();
    let (store, order) = open(dir.path());
    let markers = order.markers();
    store.put(key("/a"), filled(markers.start(), &["a"], Bytes::new()), LONG).await.unwrap();
    purge(&order, PurgeKind::Hard, &["a"], None).await;
    let found = store.get(&key("/a")).await.unwrap().unwrap();
    assert_eq!(verdict(&markers, &found), Verdict::Gone);
    store.put(key("/a"), filled(markers.start(), &["a"], Bytes::new()), LONG).await.unwrap();
    let found = store.get(&key("/a")).await.unwrap().unwrap();
    assert_eq!(verdict(&markers, &found), Verdict::Live);
}

#[tokio::test]
async fn a_guard_sees_every_purge_since() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, order) = open(dir.path());
    let guard = || Guard { start: order.markers().start(), tags: vec![TagHash::user("a"), TagHash::user("b")] };
    let holds = async |guard: &Guard| purge(&order, PurgeKind::Soft, &["a"], Some(guard)).await.guard_holds;
    assert!(holds(&guard()).await);
    let since = guard();
    purge(&order, PurgeKind::Hard, &["c"], None).await;
    assert!(holds(&since).await, "what it does not name");
    for (kind, tag) in [(PurgeKind::Hard, "b"), (PurgeKind::Soft, "a")] {
        let since = guard();
        purge(&order, kind, &[tag], None).await;
        assert!(!holds(&since).await, "{tag}");
    }
    assert!(!purge(&order, PurgeKind::Soft, &["d"], None).await.guard_holds, "there was no guard");
    let unknown = Guard { start: Start::promoted(Fence { incarnation: 1, seq: u64::MAX }), ..guard() };
    assert!(!holds(&unknown).await, "begun in another order");
}

#[tokio::test]
async fn a_disk_that_is_gone_is_unavailable_and_then_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _order) = open(dir.path());
    std::fs::remove_dir_all(dir.path().join("entries")).unwrap();
    for n in 0..3 {
        store.put(key(&format!("/{n}")), contract::entry(Kind::Response, Bytes::new()), LONG).await.unwrap();
        let refused = store.flush().await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    }
    assert_eq!(store.write_breaker().as_str(), "open");
    let refused = store.put(key("/a"), contract::entry(Kind::Response, Bytes::new()), LONG).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
    assert!(store.get(&key("/a")).await.unwrap().is_none(), "reads fail apart");
}
