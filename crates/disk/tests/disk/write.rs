//! Writes that take long, or end in a panic.

use std::{
    sync::{Condvar, Mutex},
    thread::{self, ThreadId},
};

use edge_cache_core::SharedClock;
use tokio::time::timeout;

use super::*;

/// What becomes of whoever asks for the time beside the test's own thread: the writer, in the midst of its work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Goes,
    Waits,
    Panics,
}

#[derive(Debug)]
struct Trap {
    fate: Mutex<Fate>,
    changed: Condvar,
    spared: ThreadId,
}

impl Trap {
    fn new() -> Arc<Self> {
        Arc::new(Self { fate: Mutex::new(Fate::Goes), changed: Condvar::new(), spared: thread::current().id() })
    }

    fn set(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
        self.changed.notify_all();
    }
}

/// Frees whoever waits when the test ends, also early: the runtime waits for it.
struct Free(Arc<Trap>);

impl Drop for Free {
    fn drop(&mut self) {
        self.0.set(Fate::Goes);
    }
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        if thread::current().id() != self.spared {
            let waiting = self.fate.lock().unwrap();
            // Not the lock: a panic would poison it.
            let fate = *self.changed.wait_while(waiting, |fate| *fate == Fate::Waits).unwrap();
            assert_ne!(fate, Fate::Panics, "as the test wants it");
        }
        SystemClock.now()
    }
}

fn open_with(path: &Path, wait: Duration, trap: &Arc<Trap>) -> DiskStore {
    let config = DiskConfig { capacity_bytes: 16 << 20, timeout: wait, ..config(path) };
    edge_cache_disk::open(config, Arc::clone(trap) as SharedClock).unwrap().0
}

async fn put(store: &DiskStore, path: &str, len: usize) -> Result<(), StoreError> {
    store.put(key(path), contract::entry(Kind::Response, noise(7, len)), LONG).await
}

async fn is_there(store: &DiskStore, path: &str) -> bool {
    store.get(&key(path)).await.unwrap().is_some()
}

#[tokio::test]
async fn a_panic_in_a_write_costs_its_batch_and_counts_at_the_breaker() {
    let dir = tempfile::tempdir().unwrap();
    let trap = Trap::new();
    let store = open_with(dir.path(), Duration::from_secs(60), &trap);
    put(&store, "/old", 10).await.unwrap();
    store.flush().await.unwrap();
    trap.set(Fate::Panics);
    for path in ["/lost", "/old"] {
        put(&store, path, 10).await.unwrap();
    }
    store.flush().await.unwrap_err();
    assert!(!is_there(&store, "/lost").await && !is_there(&store, "/old").await, "nor what is older");
    trap.set(Fate::Goes);
    put(&store, "/next", 10).await.unwrap();
    store.flush().await.unwrap();
    assert!(is_there(&store, "/next").await && !is_there(&store, "/old").await);
    trap.set(Fate::Panics);
    for _ in 0..3 {
        put(&store, "/lost", 10).await.unwrap();
        store.flush().await.unwrap_err();
    }
    assert_eq!(store.write_breaker().as_str(), "open");
    drop(store);
    trap.set(Fate::Goes);
    let store = open_with(dir.path(), Duration::from_secs(60), &trap);
    assert!(is_there(&store, "/next").await && !is_there(&store, "/old").await);
}

#[tokio::test]
async fn a_write_that_takes_long_is_waited_for_and_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let trap = Trap::new();
    // Shorter than any write.
    let store = open_with(dir.path(), Duration::from_millis(1), &trap);
    let _free = Free(Arc::clone(&trap));
    trap.set(Fate::Waits);
    // More than a batch: it is written, and goes on when nobody waits for it any more.
    put(&store, "/large", 300_000).await.unwrap();
    let still = async || timeout(Duration::from_millis(20), store.flush()).await.is_err();
    assert!(still().await, "nothing waits, but something is being written");
    for n in 0.. {
        // Until so much waits that nothing more is taken.
        if put(&store, &format!("/{n}"), 100_000).await.is_err() {
            break;
        }
        assert!(n < 20, "what waits has no bound");
    }
    assert!(still().await, "what waits comes after it");
    trap.set(Fate::Goes);
    store.flush().await.unwrap();
    assert_eq!(store.write_breaker().as_str(), "closed");
    drop(store);
    let store = open_with(dir.path(), Duration::from_secs(60), &trap);
    for path in ["/large", "/0", "/1"] {
        assert!(is_there(&store, path).await, "{path}");
    }
}
