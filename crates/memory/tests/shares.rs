//! A large store is several shares, and to whoever uses it one.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use edge_cache_core::{
    CacheKey, Entry, KeyParts, KeyProbe, Store,
    marker::{Fence, Start},
};
use edge_cache_memory::{Eviction, MemoryConfig, MemoryStore};
use edge_cache_testkit::head;

const CAPACITY_BYTES: u64 = 1100 << 20;
const KEEP: Duration = Duration::from_secs(3600);

fn store() -> MemoryStore {
    MemoryStore::new(&MemoryConfig { capacity_bytes: CAPACITY_BYTES, ..MemoryConfig::default() })
}

fn parts(path: &str) -> KeyParts<'_> {
    KeyParts { scheme: "http", authority: "h", tenant: "", path, query: "" }
}

fn key(number: u32) -> CacheKey {
    CacheKey::new(&parts(&format!("/{number}")))
}

fn entry(body: &Bytes) -> Entry {
    Entry::new(head(3600, 0), body.clone(), Start::promoted(Fence::default()))
}

#[tokio::test]
async fn what_is_in_any_share_is_found_told_and_removed() {
    const COUNT: u32 = 5000;
    let (store, body) = (store(), Bytes::from_static(b"body"));
    for number in 0..COUNT {
        store.put(key(number), entry(&body), KEEP).await.unwrap();
    }
    for number in 0..COUNT {
        assert!(store.get(&key(number)).await.unwrap().is_some());
        assert!(store.at_once(&KeyProbe::new(&parts(&format!("/{number}")))).unwrap().is_some());
    }
    store.tidy();
    assert_eq!((store.entries(), store.count(|_| true)), (COUNT.into(), COUNT as usize));
    let all: HashSet<_> = store.all().map(|(key, _)| key).collect();
    assert_eq!(all, (0..COUNT).map(key).collect());
    for number in (0..COUNT).step_by(2) {
        store.remove(&key(number)).await.unwrap();
    }
    for number in 0..COUNT {
        assert_eq!(store.get(&key(number)).await.unwrap().is_some(), number % 2 == 1, "{number}");
    }
    store.tidy();
    assert_eq!((store.entries(), store.evicted(Eviction::Replaced)), (u64::from(COUNT / 2), u64::from(COUNT / 2)));
}

#[tokio::test]
async fn all_of_them_together_hold_what_the_store_may() {
    // All have the same body: what counts is what it weighs.
    let (store, body) = (store(), Bytes::from(vec![0; 1 << 20]));
    for number in 0..3000 {
        store.put(key(number), entry(&body), KEEP).await.unwrap();
        store.tidy();
    }
    assert!(store.weight_bytes() <= CAPACITY_BYTES, "{}", store.weight_bytes());
    assert!(store.weight_bytes() >= CAPACITY_BYTES / 100 * 97, "{}", store.weight_bytes());
    assert!(store.evicted(Eviction::Size) > 0);
}
