mod buffer;
mod reserve;
mod segments;
mod writing;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use edge_cache_breaker::{Breaker, BreakerConfig, State};
use edge_cache_core::{BoxError, CacheKey, Entry, SharedClock, Store, StoreError, TierName};
use edge_cache_wire as wire;
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout,
};

use self::{
    buffer::{Buffer, Look, Value},
    segments::ReadError,
};
pub(crate) use self::{
    reserve::Reserve,
    segments::{Segments, is_damage, is_full},
};
use crate::{DiskConfig, order::Order};

/// Reads of the disk at once; more wait.
const READING_MAX: usize = 8;
/// What waits in memory before it is written: this part of a segment, within the two limits.
const BATCHES_A_SEGMENT: u64 = 16;
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 256 << 10..=4 << 20;
/// Longest wait for a batch to be written. Nobody is served later for it, and a slow disk is still one.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// The disk tier's store. Cheap to clone; clones share the entries.
#[derive(Clone)]
pub struct DiskStore(Arc<Inner>);

struct Inner {
    buffer: Mutex<Buffer>,
    segments: Segments,
    reserve: Reserve,
    order: Arc<Order>,
    reading: Arc<Semaphore>,
    /// One batch is written at a time.
    writing: Arc<Semaphore>,
    /// Reads and writes fail apart: a disk that is full still answers reads.
    reads: Breaker,
    writes: Breaker,
    batch_bytes: usize,
    evictions: Evictions,
    clock: SharedClock,
    config: DiskConfig,
    /// Whether nothing is told for now.
    is_held_back: AtomicBool,
}

/// Why entries went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// For room, with the oldest part of the disk; those among them that a newer one had replaced are counted too.
    Size,
    /// Past its last use, and asked for.
    Expired,
    /// Damaged, and asked for: an entry, or the part of the disk that it was in.
    Damaged,
}

#[derive(Debug, Default)]
struct Evictions {
    size: AtomicU64,
    expired: AtomicU64,
    damaged: AtomicU64,
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl DiskStore {
    pub(crate) fn new(
        config: DiskConfig,
        segments: Segments,
        reserve: Reserve,
        order: Arc<Order>,
        clock: SharedClock,
    ) -> Self {
        // One answer is enough: a disk bears all calls at once, and behind a memory tier they are few.
        let breaker = |name| Breaker::named(name, BreakerConfig { ramp_max: 1, ..BreakerConfig::default() });
        let batch = config.capacity_bytes / DiskConfig::SEGMENTS / BATCHES_A_SEGMENT;
        let batch = batch.clamp(*BATCH_BYTES.start(), *BATCH_BYTES.end());
        Self(Arc::new(Inner {
            buffer: Mutex::default(),
            segments,
            reserve,
            order,
            reading: Arc::new(Semaphore::new(READING_MAX)),
            writing: Arc::new(Semaphore::new(1)),
            reads: breaker("disk reads"),
            writes: breaker("disk writes"),
            batch_bytes: usize::try_from(batch).unwrap_or(usize::MAX),
            evictions: Evictions::default(),
            clock,
            config,
            is_held_back: AtomicBool::new(false),
        }))
    }

    /// Holds back what is kept, or tells it again: while it is not known what was purged where no node could hear of it.
    pub fn hold_back(&self, held_back: bool) {
        self.0.is_held_back.store(held_back, Ordering::Release);
    }

    /// Writes what waits in memory, and waits for what is being written. Call it about every second, and before the process ends: what
    /// waits is lost with it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: what was to be written could not be, and is lost; or its breaker is open, and it waits on; or it takes
    /// more than ten seconds, and is still being written.
    pub async fn flush(&self) -> Result<(), StoreError> {
        if self.0.buffer.lock().entries() == 0 {
            return Ok(());
        }
        match timeout(WRITE_MAX, self.write(0)).await {
            Ok(written) => written.map_err(unavailable),
            Err(elapsed) => {
                // It counts itself when it ends. Until then nothing more is to come.
                self.0.writes.trip();
                Err(unavailable(elapsed))
            }
        }
    }

    /// Entries held, as of the last time that their part of the disk was merged: one that was replaced since counts twice.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.0.segments.values() + self.waiting()
    }

    /// Entries, and removals of such, that are not on the disk yet: lost if the process is killed.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.0.buffer.lock().entries() as u64
    }

    /// Bytes that the entries occupy on the disk.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.0.segments.used_bytes()
    }

    /// Bytes that they may occupy.
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        self.0.config.capacity_bytes
    }

    /// Entries that went for this reason.
    #[must_use]
    pub fn evicted(&self, why: Eviction) -> u64 {
        self.count(why).load(Ordering::Relaxed)
    }

    /// The state of the breaker over reads.
    #[must_use]
    pub fn read_breaker(&self) -> State {
        self.0.reads.state()
    }

    /// The state of the breaker over writes.
    #[must_use]
    pub fn write_breaker(&self) -> State {
        self.0.writes.state()
    }

    fn count(&self, why: Eviction) -> &AtomicU64 {
        let Evictions { size, expired, damaged } = &self.0.evictions;
        match why {
            Eviction::Size => size,
            Eviction::Expired => expired,
            Eviction::Damaged => damaged,
        }
    }

    async fn find(&self, key: &CacheKey) -> Result<Option<Entry>, StoreError> {
        if self.0.is_held_back.load(Ordering::Acquire) {
            return Ok(None);
        }
        let digest = key.digest();
        let (found, taken) = match self.0.buffer.lock().look(digest) {
            Look::Found(value) => (Some(value), None),
            Look::NotHere(taken) => (None, Some(taken)),
        };
        let value = match (found, taken) {
            (Some(value), _) => value,
            (None, taken) => match self.read(digest).await? {
                None => return Ok(None),
                Some(bytes) => match Value::from_bytes(bytes) {
                    Some(value) => value,
                    None => return Err(self.damaged(digest, taken, wire::WireError::Foreign)),
                },
            },
        };
        let Value::Kept { until, frame } = value else { return Ok(None) };
        if until <= self.0.clock.now() {
            self.count(Eviction::Expired).fetch_add(1, Ordering::Relaxed);
            self.forget(digest, taken);
            return Ok(None);
        }
        wire::decode(&frame, key, self.0.config.body_bytes_max).map_err(|error| self.damaged(digest, taken, error))
    }

    fn damaged(&self, digest: u128, taken: Option<u64>, source: wire::WireError) -> StoreError {
        self.count(Eviction::Damaged).fetch_add(1, Ordering::Relaxed);
        self.forget(digest, taken);
        corrupt(source)
    }

    fn forget(&self, digest: u128, taken: Option<u64>) {
        if let Some(taken) = taken {
            self.0.buffer.lock().forget(digest, taken, self.most());
        }
    }

    /// Drops a part that is damaged, with those before it.
    fn discard(&self, age: u64) -> fjall::Result<()> {
        match self.0.segments.discard(age) {
            Err(error) if is_full(&error) => {
                self.0.reserve.release();
                self.0.segments.discard(age)
            }
            discarded => discarded,
        }
    }

    /// The newest value on the disk.
    async fn read(&self, digest: u128) -> Result<Option<Bytes>, StoreError> {
        let call = async {
            let place = Arc::clone(&self.0.reading).acquire_owned().await?;
            let this = self.clone();
            blocking(place, move || match this.0.segments.get(digest) {
                Ok(found) => Ok(Ok(found)),
                Err(ReadError::Refused(error)) => Err(BoxError::from(error)),
                Err(ReadError::Damaged { age, source }) => {
                    tracing::warn!(segment = age, error = %source, "part of the disk tier is damaged and goes");
                    this.count(Eviction::Damaged).fetch_add(1, Ordering::Relaxed);
                    this.discard(age)?;
                    Ok(Err(corrupt(source)))
                }
            })
            .await?
        };
        // Damage is no failure of the breaker's kind: the disk answers.
        self.0.reads.call(self.0.config.timeout, call).await.map_err(unavailable)?
    }
}

/// Runs `work` beside the runtime. It keeps `place` to its end, even when nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BoxError> {
    let work = move || {
        let _place = place;
        work()
    };
    Ok(spawn_blocking(work).await?)
}

fn unavailable(source: impl Into<BoxError>) -> StoreError {
    StoreError::Unavailable { tier: TierName::Disk, source: source.into() }
}

fn corrupt(source: impl Into<BoxError>) -> StoreError {
    StoreError::Corrupt { tier: TierName::Disk, source: source.into() }
}

impl Store for DiskStore {
    type Get = Pin<Box<dyn Future<Output = Result<Option<Entry>, StoreError>> + Send>>;
    type Put = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

    fn name(&self) -> TierName {
        TierName::Disk
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn body_bytes_max(&self) -> u64 {
        self.0.config.body_bytes_max
    }

    fn get(&self, key: &CacheKey) -> Self::Get {
        let (this, key) = (self.clone(), key.clone());
        Box::pin(async move { this.find(&key).await })
    }

    fn put(&self, key: CacheKey, entry: Entry, keep: Duration) -> Self::Put {
        let this = self.clone();
        Box::pin(async move {
            let frame = wire::encode(&key, &entry, this.0.config.compress_bytes_min);
            let until = this.0.clock.now() + keep.max(Duration::from_millis(1));
            let fence = Some(entry.head().fence);
            this.keep(key.digest(), Value::Kept { until, frame }, fence).await
        })
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        let (this, digest) = (self.clone(), key.digest());
        Box::pin(async move { this.keep(digest, Value::Removed, None).await })
    }
}
