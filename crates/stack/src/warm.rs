//! Never cold: what is hot is counted, shared with other nodes, kept warm, and held over a restart.
//!
//! Counting is a layer of the stack. Everything else is done by a [`Warmer`], which whoever serves spawns: it has the served service itself,
//! so what it asks goes the way of a client's request, through the same key and the same tiers, at the lowest priority.

mod ask;
mod gate;
mod snapshot;
mod start;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use edge_cache_core::{
    CacheKey, Entry, Kind, Level, Pressure, SharedClock, SharedRng,
    marker::{Standing, Start},
};
use edge_cache_memory::MemoryStore;
use edge_cache_redis::HotBoard;
use edge_cache_telemetry::{Metrics, Reading, catalogue};
use edge_cache_tier::{Keeper, Purger};
use edge_cache_warmer::{Hot, HotSet, Replay};
use parking_lot::Mutex;

pub use self::{
    ask::AskService,
    gate::{Readiness, Warmth},
    worker::{Believed, MinFresh, Warmer},
};
use self::{
    gate::Gate,
    snapshot::{Contents, Kept, Snapshot},
};
use crate::settings::WarmSettings;

/// What warming needs of a cache. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Warming(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: WarmSettings,
    hot: HotSet,
    /// Where the nodes share what is hot; none for a node alone.
    board: Option<HotBoard>,
    memory: Option<(MemoryStore, Keeper)>,
    /// The tier behind memory, which earlier runs or other nodes have filled.
    further: Option<Keeper>,
    purger: Purger,
    pressure: Option<Pressure>,
    clock: SharedClock,
    rng: SharedRng,
    /// A moment from before anything was served.
    began: Start,
    gate: Gate,
    /// Where the hottest of memory is kept between runs.
    snapshot: Option<Arc<Mutex<Snapshot>>>,
    /// What the run before kept, until it is taken back.
    found: Mutex<Option<Contents>>,
    done: Done,
}

/// What was done, for metrics.
#[derive(Debug, Default)]
struct Done {
    restored: AtomicU64,
    promoted: AtomicU64,
    rounds: AtomicU64,
    warmed: AtomicU64,
    fresh: AtomicU64,
    failed: AtomicU64,
    stopped: AtomicU64,
}

/// The snapshot's place, and what was found in it and is removed: it would miss what this run purges. `None` where there is to be none.
fn take(settings: &WarmSettings, room: u64) -> Option<(Snapshot, Option<Contents>)> {
    let file = &settings.snapshot;
    if file.is_empty() {
        return None;
    }
    let (place, found) = Snapshot::take(PathBuf::from(file), settings.snapshot_bytes_max, room);
    if let Err(error) = &found {
        tracing::warn!(file, error = error as &dyn std::error::Error, "the snapshot is ignored");
    }
    Some((place, found.ok()))
}

/// Reads a snapshot's bytes and writes what was found anew: its entries, and the bytes. For `edge-cache-fuzz`, which has no files.
#[doc(hidden)]
#[must_use]
pub fn reread_snapshot(all: &Bytes, room: u64) -> Option<(Vec<(CacheKey, Entry)>, Bytes)> {
    let contents = snapshot::read(all, room).ok()?;
    let entries = contents.kept.iter().map(|kept| (kept.key.clone(), kept.entry.clone())).collect();
    Some((entries, snapshot::written(contents, u64::MAX).0.freeze()))
}

/// What a [`Warming`] is made of.
pub(crate) struct Parts {
    pub(crate) settings: WarmSettings,
    pub(crate) hot: HotSet,
    pub(crate) board: Option<HotBoard>,
    pub(crate) memory: Option<(MemoryStore, Keeper)>,
    pub(crate) further: Option<Keeper>,
    pub(crate) purger: Purger,
    pub(crate) pressure: Option<Pressure>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    pub(crate) began: Start,
}

impl Warming {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { settings, hot, board, memory, further, purger, pressure, clock, rng, began } = parts;
        let (gate, done) = Default::default();
        let room = memory.as_ref().map_or(0, |(memory, _)| memory.capacity_bytes());
        let (snapshot, found) = take(&settings, room).map_or((None, None), |(place, found)| (Some(place), found));
        Self(Arc::new(Inner {
            settings,
            hot,
            board,
            memory,
            further,
            purger,
            pressure,
            clock,
            rng,
            began,
            gate,
            snapshot: snapshot.map(|place| Arc::new(Mutex::new(place))),
            found: Mutex::new(found),
            done,
        }))
    }

    /// Removes what an earlier run kept, where nobody takes it back.
    pub(crate) fn forget(settings: &WarmSettings) {
        drop(take(settings, 0));
    }

    pub(crate) fn hot(&self) -> &HotSet {
        &self.0.hot
    }

    pub(crate) fn warmth(&self) -> Warmth {
        self.0.gate.warmth()
    }

    /// Whether the origin has no room for what nobody asked for.
    fn is_pressed(&self) -> bool {
        self.0.pressure.as_ref().is_some_and(|pressure| pressure.level() >= Level::Trim)
    }

    /// Tells the other nodes what was asked for here since the last time.
    pub(crate) async fn share(&self) {
        let Some(board) = &self.0.board else { return };
        let news = self.0.hot.news(self.0.settings.top);
        let news: Vec<_> = news.iter().map(|hot| (hot.key.fields(), hot.score())).collect();
        if let Err(error) = board.add(&news, self.0.clock.now()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "what is hot here was not shared");
        }
    }

    /// What is hot on all nodes; `None` where they would share that and it cannot be learned now.
    async fn shared(&self) -> Option<Vec<CacheKey>> {
        let Some(board) = &self.0.board else { return Some(Vec::new()) };
        match board.top(self.0.settings.top, self.0.clock.now()).await {
            Ok(found) => {
                let keys = found.into_iter().filter_map(|(fields, _)| CacheKey::from_fields(&fields));
                Some(keys.filter(|key| self.is_ours(key)).collect())
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "what is hot elsewhere is not known");
                None
            }
        }
    }

    /// What is hot: on all nodes, or else on this one.
    async fn hottest(&self) -> Vec<CacheKey> {
        if let Some(shared) = self.shared().await.filter(|shared| !shared.is_empty()) {
            return shared;
        }
        self.0.hot.top(self.0.settings.top).into_iter().map(|hot: Hot| hot.key).collect()
    }

    /// Whether requests to this service have such keys, and whoever asks for them in advance gets the same answer.
    fn is_ours(&self, key: &CacheKey) -> bool {
        key.parts().tenant == &*self.0.purger.keying().tenant && Replay::of_key(key).is_some()
    }

    /// Writes the hottest of memory to the snapshot, where there is to be one. Call it when nothing is served any more; where that is not so,
    /// a node alone keeps nothing: what is still under way may make stale what it holds.
    pub(crate) async fn keep(&self, all_ended: bool) {
        let (Some(place), Some((memory, _))) = (self.0.snapshot.clone(), &self.0.memory) else { return };
        let is_alone = self.0.purger.standing() == Standing::Alone;
        if is_alone && !all_ended {
            tracing::warn!("memory is not kept for the next start: not everything has ended");
            return;
        }
        // Before memory is read: what is purged from here on is seen below.
        let began = self.0.purger.reading();
        let live = memory.all().filter(|(_, entry)| self.0.purger.is_live(entry) && entry.head().kind != Kind::Partial);
        let mut kept: Vec<Kept> = live
            .map(|(key, entry)| {
                let hits = self.0.hot.get(&key).map_or(0, |hot| hot.hits - hot.over.min(hot.hits));
                Kept { key, entry, hits }
            })
            .collect();
        // What leads to variants first: without it they are not found.
        kept.sort_by_key(|kept| (kept.entry.head().kind != Kind::VariantIndex, std::cmp::Reverse(kept.hits)));
        let write = move || place.lock().write(Contents { is_alone, kept });
        let written = tokio::task::spawn_blocking(write).await;
        // Where purges are kept elsewhere, the next start judges by them. Else whatever was purged since is in it.
        let untouched = || began.zip(self.0.purger.reading()).is_some_and(|(began, now)| began.is_beside(&now));
        if is_alone && !untouched() {
            tracing::warn!("memory is not kept for the next start: something was purged meanwhile");
            return;
        }
        let kept = written.map_err(std::io::Error::from).flatten().and_then(|written| {
            let what = (written.entries, written.bytes);
            written.commit().map(|()| what)
        });
        match kept {
            Ok((entries, bytes)) => tracing::info!(entries, bytes, "memory is kept for the next start"),
            Err(error) => tracing::warn!(%error, "memory is not kept for the next start"),
        }
    }

    /// Takes over the snapshot's place from a process that has ended meanwhile.
    pub(crate) fn tidy(&self) {
        if let Some(mut place) = self.0.snapshot.as_ref().and_then(|place| place.try_lock()) {
            place.take_over();
        }
    }

    pub(crate) fn watch(&self, metrics: &Metrics) {
        let gauge = |metric, read: fn(&Self) -> f64| {
            let this = self.clone();
            metrics.read_at_scrape(Reading::gauge(metric, move || read(&this)));
        };
        gauge(&catalogue::WARM_KEYS, |this| this.0.hot.len() as f64);
        gauge(&catalogue::WARM_READY, |this| f64::from(u8::from(this.warmth().readiness.is_ready())));
        gauge(&catalogue::WARM_HELD, |this| this.warmth().held as f64);
        gauge(&catalogue::WARM_HOT, |this| this.warmth().hot as f64);
        let counter = |metric, read: fn(&Done) -> &AtomicU64| {
            let this = self.clone();
            Reading::counter(metric, move || read(&this.0.done).load(Ordering::Relaxed))
        };
        metrics.read_at_scrape(counter(&catalogue::WARM_RESTORED, |done| &done.restored));
        metrics.read_at_scrape(counter(&catalogue::WARM_PROMOTED, |done| &done.promoted));
        metrics.read_at_scrape(counter(&catalogue::WARM_ROUNDS, |done| &done.rounds));
        metrics.read_at_scrape(counter(&catalogue::WARM_STOPPED, |done| &done.stopped));
        let asked =
            |outcome, read| metrics.read_at_scrape(counter(&catalogue::WARM_KEYS_ASKED, read).labelled(outcome));
        asked("warmed", |done| &done.warmed);
        asked("fresh", |done| &done.fresh);
        asked("failed", |done| &done.failed);
    }
}
