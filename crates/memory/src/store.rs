use std::{
    future::{Ready, ready},
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use edge_cache_core::{CacheKey, Entry, KeyProbe, Store, StoreError, TierName};
use moka::{Expiry, notification::RemovalCause, sync::Cache};

use crate::{MemoryConfig, key::KeptKey};

/// The memory tier's store. Cheap to clone; clones share the entries.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    entries: Cache<KeptKey, Kept, BuildHasherDefault<DigestHasher>>,
    evictions: Arc<Evictions>,
    capacity_bytes: u64,
    body_bytes_max: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    entry: Entry,
    keep: Duration,
}

/// Why entries went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// For room.
    Size,
    /// Past its last use.
    Expired,
    /// Replaced by a newer answer, or removed.
    Replaced,
}

#[derive(Debug, Default)]
struct Evictions {
    size: AtomicU64,
    expired: AtomicU64,
    replaced: AtomicU64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(config: &MemoryConfig) -> Self {
        let evictions = Arc::<Evictions>::default();
        let counts = Arc::clone(&evictions);
        let entries = Cache::builder()
            .max_capacity(config.capacity_bytes)
            .weigher(|key: &KeptKey, Kept { entry, .. }| {
                u32::try_from(entry.weight_bytes(key.weight_bytes())).unwrap_or(u32::MAX)
            })
            .expire_after(KeepFor)
            .eviction_listener(move |_, _, cause| {
                let count = match cause {
                    RemovalCause::Size => &counts.size,
                    RemovalCause::Expired => &counts.expired,
                    RemovalCause::Replaced | RemovalCause::Explicit => &counts.replaced,
                };
                count.fetch_add(1, Ordering::Relaxed);
            })
            .build_with_hasher(BuildHasherDefault::default());
        let capacity_bytes = config.capacity_bytes;
        Self { entries, evictions, capacity_bytes, body_bytes_max: config.body_bytes_max.min(capacity_bytes) }
    }

    /// Entries held, as of the last housekeeping.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries.entry_count()
    }

    /// Bytes held, as of the last housekeeping.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.entries.weighted_size()
    }

    /// Bytes that may be held.
    #[must_use]
    pub const fn capacity_bytes(&self) -> u64 {
        self.capacity_bytes
    }

    /// Entries that went for this reason.
    #[must_use]
    pub fn evicted(&self, why: Eviction) -> u64 {
        let Evictions { size, expired, replaced } = &*self.evictions;
        match why {
            Eviction::Size => size,
            Eviction::Expired => expired,
            Eviction::Replaced => replaced,
        }
        .load(Ordering::Relaxed)
    }

    /// How many entries are so. Looks at all of them: for a person who asks.
    pub fn count(&self, is_so: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|(_, kept)| is_so(&kept.entry)).count()
    }

    /// Everything that is held now, in no order.
    pub fn all(&self) -> impl Iterator<Item = (CacheKey, Entry)> {
        self.entries.iter().map(|(key, kept)| (key.key(), kept.entry))
    }

    /// Housekeeping: drops what expired and what is over the budget. moka does it on access; without traffic somebody must call.
    pub fn tidy(&self) {
        self.entries.run_pending_tasks();
    }
}

impl Store for MemoryStore {
    type Get = Ready<Result<Option<Entry>, StoreError>>;
    type Put = Ready<Result<(), StoreError>>;

    fn name(&self) -> TierName {
        TierName::Memory
    }

    fn body_bytes_max(&self) -> u64 {
        self.body_bytes_max
    }

    fn get(&self, key: &CacheKey) -> Self::Get {
        ready(Ok(self.entries.get(key).map(|kept| kept.entry)))
    }

    fn at_once(&self, probe: &KeyProbe) -> Option<Option<Entry>> {
        Some(self.entries.get(probe).map(|kept| kept.entry))
    }

    fn put(&self, key: CacheKey, entry: Entry, keep: Duration) -> Self::Put {
        self.entries.insert(KeptKey::new(&key), Kept { entry, keep: keep.max(Duration::from_millis(1)) });
        ready(Ok(()))
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        self.entries.invalidate(key);
        ready(Ok(()))
    }
}

/// Bounds memory only: freshness is the entry's own, on the stack's clock.
struct KeepFor;

impl Expiry<KeptKey, Kept> for KeepFor {
    fn expire_after_create(&self, _: &KeptKey, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.keep)
    }

    fn expire_after_update(&self, _: &KeptKey, kept: &Kept, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.keep)
    }
}

/// A key's digest is uniform: it is used as it is.
#[derive(Debug, Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached by keys; correct all the same.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
