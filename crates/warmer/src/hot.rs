//! The hot set: which keys are asked for most, and cost most to fill, in bounded memory.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, ICDT 2005) in shards:
//! every key that makes up more than one in so many requests as a shard has counters is among them, however many other keys there are.
//! Counts are halved now and then, so that what was hot yesterday makes room.

mod shard;

use std::{fmt, sync::Arc};

use edge_cache_core::{CacheKey, Head};
use parking_lot::Mutex;

use self::shard::Shard;
use crate::ALLOWED_HEADERS;

/// Shards, so that threads that count do not wait for each other.
const SHARDS: usize = 16;

/// A key that is asked for often.
#[derive(Clone, Debug, PartialEq)]
pub struct Hot {
    /// The key: of a variant, where there are several.
    pub key: CacheKey,
    /// Requests counted, those before a halving as half. Never too low, and too high by at most `over`.
    pub hits: u32,
    /// By how much `hits` may be too high.
    pub over: u32,
    /// Milliseconds that its last fill took, at least 1.
    pub cost_millis: u32,
    /// Seconds that its answer is fresh.
    pub lifetime_secs: u32,
}

impl Hot {
    /// What it saves to hold it: requests that are certain times what one costs at the origin.
    #[must_use]
    pub fn score(&self) -> f64 {
        f64::from(self.hits - self.over.min(self.hits)) * f64::from(self.cost_millis)
    }
}

/// Counts keys. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct HotSet(Arc<[Mutex<Shard>; SHARDS]>);

impl fmt::Debug for HotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl HotSet {
    /// A set with room for about `keys_max` keys, about 300 bytes each.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        let a_shard = keys_max.div_ceil(SHARDS).max(1);
        Self(Arc::new(std::array::from_fn(|_| Mutex::new(Shard::new(a_shard)))))
    }

    /// Counts a request that was answered by the stored answer `head` under `key`.
    pub fn record(&self, key: &CacheKey, head: &Head) {
        self.record_by(key.digest(), || key.clone(), head);
    }

    /// [`record`](Self::record), where the key is made only if it is to be kept.
    pub fn record_by(&self, digest: u128, key: impl FnOnce() -> CacheKey, head: &Head) {
        let lifetime = head.freshness.fresh_until.since(head.freshness.stored).as_secs();
        let lifetime_secs = u32::try_from(lifetime).unwrap_or(u32::MAX);
        self.shard(digest).lock().record(digest, key, head.fill_millis.max(1), lifetime_secs);
    }

    /// Counts `hits` requests of an earlier run.
    pub fn restore(&self, key: &CacheKey, head: &Head, hits: u32) {
        self.record(key, head);
        self.shard(key.digest()).lock().add(key, hits.saturating_sub(1));
    }

    /// The `n` keys that save most, the most first.
    #[must_use]
    pub fn top(&self, n: usize) -> Vec<Hot> {
        best(n, self.0.iter().flat_map(|shard| shard.lock().all()))
    }

    /// The `n` keys that saved most since this was last called, the most first: what another node has not been told yet.
    #[must_use]
    pub fn news(&self, n: usize) -> Vec<Hot> {
        best(n, self.0.iter().flat_map(|shard| shard.lock().news()))
    }

    /// What is known of one key.
    #[must_use]
    pub fn get(&self, key: &CacheKey) -> Option<Hot> {
        self.shard(key.digest()).lock().get(key)
    }

    /// Halves all counts: call it once in a while.
    pub fn decay(&self) {
        self.0.iter().for_each(|shard| shard.lock().decay());
    }

    /// Keys counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether nothing was counted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, digest: u128) -> &Mutex<Shard> {
        // The upper half places, the lower one is what the shard's map uses.
        &self.0[(digest >> 64) as usize % SHARDS]
    }
}

/// Whether a key's request can be sent again by anybody: what selects its variant is of a kind of client and not of a person.
#[must_use]
pub fn is_impersonal(key: &CacheKey) -> bool {
    key.selecting().all(|(name, _)| ALLOWED_HEADERS.iter().any(|allowed| allowed == name))
}

fn best(n: usize, all: impl Iterator<Item = Hot>) -> Vec<Hot> {
    let mut all: Vec<Hot> = all.filter(|hot| hot.score() > 0.0).collect();
    all.sort_unstable_by(|a, b| b.score().total_cmp(&a.score()));
    all.truncate(n);
    all
}

#[cfg(test)]
mod tests;
