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

/// Entries are dealt out to shares of at least so many bytes. Each time that entries have left a tenth of their places, moka puts in order what it holds, a
/// sixty-fourth of it at a time, and whoever comes then waits: about a microsecond for each of these entries, which in a share are two to four thousand of
/// 2 KiB. Smaller shares cost each hit more, as each has a queue of what was read of it.
const SHARE_BYTES_MIN: u64 = 256 << 20;
/// And a share has room for so many of the largest bodies.
const LARGEST_BODIES_MIN: u64 = 16;
/// Two to the power of this many shares at most: each takes memory of its own, and time at each housekeeping.
const DOUBLINGS_MAX: u32 = 6;

/// The memory tier's store. Cheap to clone; clones share the entries.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    /// A power of two of them.
    shares: Arc<[Share]>,
    evictions: Arc<Evictions>,
    capacity_bytes: u64,
    body_bytes_max: u64,
}

type Share = Cache<KeptKey, Kept, BuildHasherDefault<DigestHasher>>;

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
        let capacity_bytes = config.capacity_bytes;
        let body_bytes_max = config.body_bytes_max.min(capacity_bytes);
        let count = shares(capacity_bytes, body_bytes_max);
        let shares = (0..count).map(|_| share(capacity_bytes / count, Arc::clone(&evictions))).collect();
        Self { shares, evictions, capacity_bytes, body_bytes_max }
    }

    /// Where a key with this digest is.
    fn share(&self, digest: u128) -> &Share {
        // By the half of it that moka does not go by.
        let at = (digest >> 64) as usize & (self.shares.len() - 1);
        &self.shares[at]
    }

    /// Entries held, as of the last housekeeping.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.shares.iter().map(Share::entry_count).sum()
    }

    /// Bytes held, as of the last housekeeping.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.shares.iter().map(Share::weighted_size).sum()
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
        self.shares.iter().flat_map(Share::iter).filter(|(_, kept)| is_so(&kept.entry)).count()
    }

    /// Everything that is held now, in no order.
    pub fn all(&self) -> impl Iterator<Item = (CacheKey, Entry)> {
        self.shares.iter().flat_map(Share::iter).map(|(key, kept)| (key.key(), kept.entry))
    }

    /// Housekeeping: drops what expired and what is over the budget. moka does it on access; without traffic somebody must call.
    pub fn tidy(&self) {
        self.shares.iter().for_each(Share::run_pending_tasks);
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
        ready(Ok(self.share(key.digest()).get(key).map(|kept| kept.entry)))
    }

    fn at_once(&self, probe: &KeyProbe) -> Option<Option<Entry>> {
        Some(self.share(probe.digest()).get(probe).map(|kept| kept.entry))
    }

    fn put(&self, key: CacheKey, entry: Entry, keep: Duration) -> Self::Put {
        let kept = Kept { entry, keep: keep.max(Duration::from_millis(1)) };
        self.share(key.digest()).insert(KeptKey::new(&key), kept);
        ready(Ok(()))
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        self.share(key.digest()).invalidate(key);
        ready(Ok(()))
    }
}

/// How many shares there are, a power of two.
const fn shares(capacity_bytes: u64, body_bytes_max: u64) -> u64 {
    let largest = body_bytes_max.saturating_mul(LARGEST_BODIES_MIN);
    let least = if largest > SHARE_BYTES_MIN { largest } else { SHARE_BYTES_MIN };
    match (capacity_bytes / least).checked_ilog2() {
        Some(doublings) if doublings < DOUBLINGS_MAX => 1 << doublings,
        Some(_) => 1 << DOUBLINGS_MAX,
        None => 1,
    }
}

fn share(capacity_bytes: u64, evictions: Arc<Evictions>) -> Share {
    Cache::builder()
        .max_capacity(capacity_bytes)
        .weigher(|key: &KeptKey, Kept { entry, .. }| {
            u32::try_from(entry.weight_bytes(key.weight_bytes())).unwrap_or(u32::MAX)
        })
        .expire_after(KeepFor)
        .eviction_listener(move |_, _, cause| {
            let count = match cause {
                RemovalCause::Size => &evictions.size,
                RemovalCause::Expired => &evictions.expired,
                RemovalCause::Replaced | RemovalCause::Explicit => &evictions.replaced,
            };
            count.fetch_add(1, Ordering::Relaxed);
        })
        .build_with_hasher(BuildHasherDefault::default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_room_for_the_largest_bodies_and_is_not_small() {
        const MIB: u64 = 1 << 20;
        for (capacity_bytes, body_bytes_max, count) in [
            (0, 0, 1),
            (50_000, 30_000, 1),
            (256 * MIB, MIB, 1),
            (511 * MIB, MIB, 1),
            (512 * MIB, MIB, 2),
            (2000 * MIB, MIB, 4),
            (2048 * MIB, 16 * MIB, 8),
            (2048 * MIB, 17 * MIB, 4),
            (2048 * MIB, 2048 * MIB, 1),
            (u64::MAX, u64::MAX, 1),
            (16384 * MIB, MIB, 64),
            (1 << 40, MIB, 64),
            (u64::MAX, MIB, 64),
        ] {
            assert_eq!(shares(capacity_bytes, body_bytes_max), count, "{capacity_bytes} {body_bytes_max}");
        }
    }
}
