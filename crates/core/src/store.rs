//! The seam between the cache's state machine and its storage.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{BoxError, CacheKey, Entry, KeyProbe, marker::Fence};

/// A tier's name, as `Cache-Status`, metrics and errors say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TierName {
    /// The process's own memory.
    Memory,
    /// Redis.
    Redis,
    /// A disk.
    Disk,
}

impl TierName {
    /// All of them, in their order.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Redis, Self::Disk];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Disk => "disk",
        }
    }

    /// The `Cache-Status` member.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Memory => "edge-memory",
            Self::Redis => "edge-redis",
            Self::Disk => "edge-disk",
        }
    }
}

impl fmt::Display for TierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One tier's storage. It keeps and finds; it never judges freshness (RFC 9111 §4 lives in `policy`).
pub trait Store: Clone + Send + Sync + 'static {
    /// Future of [`get`](Self::get): `std::future::Ready` in memory, so that a hit allocates nothing.
    type Get: Future<Output = Result<Option<Entry>, StoreError>> + Send + Unpin;
    /// Future of [`put`](Self::put) and [`remove`](Self::remove).
    type Put: Future<Output = Result<(), StoreError>> + Send;

    /// The tier this store is.
    fn name(&self) -> TierName;

    /// Whether other processes, or earlier runs of this one, put entries here too: their fences are of a shared order of purges.
    fn is_shared(&self) -> bool {
        false
    }

    /// Largest body in bytes that this store takes.
    fn body_bytes_max(&self) -> u64;

    /// Finds `key`; `None` is a miss. Entries past their freshness may come back: the caller decides.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`]; act as on a miss, the next `put` overwrites.
    fn get(&self, key: &CacheKey) -> Self::Get;

    /// What [`get`](Self::get) would find, where that can be told at once and without waiting: `None` where it cannot. Only a store that
    /// [is not shared](Self::is_shared) may say so.
    fn at_once(&self, probe: &KeyProbe) -> Option<Option<Entry>> {
        let _slow = probe;
        None
    }

    /// Keeps `entry` for at most `keep` (rounded up to 1 ms) and at most the tier's byte budget.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the response in flight is served regardless.
    fn put(&self, key: CacheKey, entry: Entry, keep: Duration) -> Self::Put;

    /// Asks to be the one of all processes that fills `key`, for a fill that began at `fence`. `takes_over`: what another's fill brought is
    /// of no use to this one, which began later. Efficiency only: whatever it says, a fill may go on.
    fn lease(&self, key: &CacheKey, fence: Fence, takes_over: bool) -> Pin<Box<dyn Future<Output = Lease> + Send>> {
        let _unasked = (key, fence, takes_over);
        Box::pin(std::future::ready(Lease::Free))
    }

    /// Forgets `key`. For room only: correctness comes from markers, which are tested at every read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn remove(&self, key: &CacheKey) -> Self::Put;
}

/// Who fills a key.
#[derive(Debug)]
pub enum Lease {
    /// Whoever wants to: there are no leases, or nobody who could hold one, or no answer.
    Free,
    /// The one who asked, until this is dropped.
    Granted(FillLease),
    /// Another process.
    Taken,
}

/// The right to be the only one who fills a key, for as long as it is kept.
pub struct FillLease {
    give_back: Option<Box<dyn FnOnce() + Send + Sync>>,
    is_lost: Arc<AtomicBool>,
    follows: bool,
}

impl FillLease {
    /// A lease that is given back by `give_back`.
    pub fn new(give_back: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { give_back: Some(Box::new(give_back)), is_lost: Arc::default(), follows: false }
    }

    /// The same, where whoever keeps it up notes in `is_lost` that he could not.
    #[must_use]
    pub fn noting(mut self, is_lost: Arc<AtomicBool>) -> Self {
        self.is_lost = is_lost;
        self
    }

    /// The same, where somebody else gave it back a moment ago.
    #[must_use]
    pub fn following(mut self, follows: bool) -> Self {
        self.follows = follows;
        self
    }

    /// Whether somebody else gave it back a moment ago: what he filled may have come after it was looked for.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.follows
    }

    /// Whether somebody else may have it by now.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }
}

impl Drop for FillLease {
    fn drop(&mut self) {
        if let Some(give_back) = self.give_back.take() {
            give_back();
        }
    }
}

impl fmt::Debug for FillLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FillLease")
    }
}

/// Why a tier gave no answer. A miss is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The tier cannot be reached, is too slow or is switched off by its breaker.
    #[error("{tier} tier is unavailable")]
    Unavailable {
        /// Which tier.
        tier: TierName,
        /// The client's own error.
        source: BoxError,
    },
    /// The tier held bytes that are no entry.
    #[error("{tier} tier held an entry that does not decode")]
    Corrupt {
        /// Which tier.
        tier: TierName,
        /// What is wrong with it.
        source: BoxError,
    },
}
