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

use edge_cache_core::{
    CacheKey, FillLease, Kind, Level, Pressure, SharedClock, SharedRng,
    marker::{Standing, Start},
};
use edge_cache_memory::MemoryStore;
use edge_cache_redis::HotBoard;
use edge_cache_telemetry::{Metrics, Reading, Unit};
use edge_cache_tier::{Keeper, Purger};
use edge_cache_warmer::{Hot, HotSet, Replay};

pub use self::{
    ask::AskService,
    gate::{Readiness, Warmth},
    worker::{Believed, MinFresh, Warmer},
};
use self::{gate::Gate, snapshot::Kept};
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
    /// Held by the one node of all that asks the origin.
    lead: tokio::sync::Mutex<Option<FillLease>>,
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
        let (gate, lead, done) = Default::default();
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
            lead,
            done,
        }))
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

    /// What is hot on all nodes, where they share that.
    async fn shared(&self) -> Vec<CacheKey> {
        let Some(board) = &self.0.board else { return Vec::new() };
        match board.top(self.0.settings.top, self.0.clock.now()).await {
            Ok(found) => {
                let keys = found.into_iter().filter_map(|(fields, _)| CacheKey::from_fields(fields.into()));
                keys.filter(|key| self.is_ours(key)).collect()
            }
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "what is hot elsewhere is not known");
                Vec::new()
            }
        }
    }

    /// What is hot: on all nodes, or else on this one.
    async fn hottest(&self) -> Vec<CacheKey> {
        let shared = self.shared().await;
        if !shared.is_empty() {
            return shared;
        }
        self.0.hot.top(self.0.settings.top).into_iter().map(|hot: Hot| hot.key).collect()
    }

    /// Whether requests to this service have such keys, and whoever asks for them in advance gets the same answer.
    fn is_ours(&self, key: &CacheKey) -> bool {
        key.parts().tenant == &*self.0.purger.keying().tenant && Replay::of_key(key).is_some()
    }

    /// Writes the hottest of memory to the snapshot, where there is to be one, and lets another node lead. Call it when nothing is served
    /// any more.
    pub(crate) async fn keep(&self) {
        drop(self.0.lead.lock().await.take());
        let Some((path, (memory, _))) = self.snapshot().zip(self.0.memory.as_ref()) else { return };
        let live = memory.all().filter(|(_, entry)| self.0.purger.is_live(entry) && entry.head().kind != Kind::Partial);
        let mut kept: Vec<Kept> = live
            .map(|(key, entry)| {
                let hits = self.0.hot.get(&key).map_or(0, |hot| hot.hits - hot.over.min(hot.hits));
                Kept { key, entry, hits }
            })
            .collect();
        // What leads to variants first: without it they are not found.
        kept.sort_by_key(|kept| (kept.entry.head().kind != Kind::VariantIndex, std::cmp::Reverse(kept.hits)));
        let (alone, began) = (self.0.purger.standing() == Standing::Alone, self.0.purger.reading());
        let (bytes_max, at) = (self.0.settings.snapshot_bytes_max, path.clone());
        let written = tokio::task::spawn_blocking(move || snapshot::write(&path, kept, bytes_max));
        let written = written.await;
        // Where purges are kept elsewhere, the next start judges by them. Else whatever was purged since is in it.
        let untouched = || began.zip(self.0.purger.reading()).is_some_and(|(began, now)| began.is_beside(&now));
        if alone && !untouched() {
            drop(tokio::fs::remove_file(&at).await);
            tracing::warn!("memory is not kept for the next start: something was purged meanwhile, or may have been");
            return;
        }
        match written {
            Ok(Ok((entries, bytes))) => tracing::info!(entries, bytes, "memory is kept for the next start"),
            Ok(Err(error)) => tracing::warn!(%error, "memory is not kept for the next start"),
            Err(error) => tracing::warn!(%error, "memory is not kept for the next start"),
        }
    }

    fn snapshot(&self) -> Option<PathBuf> {
        (!self.0.settings.snapshot.is_empty()).then(|| PathBuf::from(&self.0.settings.snapshot))
    }

    pub(crate) fn watch(&self, metrics: &Metrics) {
        let gauge = |name, help, read: fn(&Self) -> f64| {
            let this = self.clone();
            metrics.read_at_scrape(Reading::gauge(name, help, Unit::None, move || read(&this)));
        };
        gauge("warm_keys", "Keys counted in the hot set of this node", |this| this.0.hot.len() as f64);
        let help = "Whether the node is warm enough to be sent requests: 1 or 0";
        gauge("warm_ready", help, |this| f64::from(u8::from(this.warmth().readiness.is_ready())));
        gauge("warm_held", "Of what was hot when the node started, keys that it has loaded", |this| {
            this.warmth().held as f64
        });
        gauge("warm_hot", "Keys that were hot when the node started", |this| this.warmth().hot as f64);
        let counter = |name, help, read: fn(&Done) -> &AtomicU64| {
            let this = self.clone();
            metrics.read_at_scrape(Reading::counter(name, help, move || read(&this.0.done).load(Ordering::Relaxed)));
        };
        counter("warm_restored", "Entries of the run before that were loaded into memory", |done| &done.restored);
        counter("warm_promoted", "Entries brought into memory from the tier behind it, unasked", |done| &done.promoted);
        counter("warm_rounds", "Rounds of asking for what is hot", |done| &done.rounds);
        counter("warm_stopped", "Rounds that stopped because the origin was pressed", |done| &done.stopped);
        let asked = |outcome, read: fn(&Done) -> &AtomicU64| {
            let this = self.clone();
            let help = "Keys that rounds looked after, by what came of it";
            let reading = Reading::counter("warm_keys_asked", help, move || read(&this.0.done).load(Ordering::Relaxed));
            metrics.read_at_scrape(reading.labelled("outcome", outcome));
        };
        asked("warmed", |done| &done.warmed);
        asked("fresh", |done| &done.fresh);
        asked("failed", |done| &done.failed);
    }
}
