//! What happened so far, as text for Prometheus and as values for whoever shows them.

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use edge_cache_core::{Events, PurgeNote, TierName, Timestamp, marker::PurgeKind};
use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

use crate::{
    catalogue::{self, Definition},
    histogram::LATENCY,
    readings::{Reading, Readings, unit},
    recent::Recent,
    routes::{Counted, RouteIndex, RouteMetrics, RouteSnapshot, RouteTable, Routes},
    shard::{Lane, Sharded},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierOperation {
    tier: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierStored {
    tier: &'static str,
    stored: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierLabel {
    tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

fn latency() -> Histogram {
    Histogram::new(LATENCY.iter().map(|micros| *micros as f64 / 1e6))
}

/// Purges that are kept to be shown.
const PURGES_KEPT: usize = 50;

/// Every metric, and the text that Prometheus scrapes. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    readings: Readings,
    of_process: Readings,
    routes: Arc<RouteTable>,
    fills: Family<TierStored, Counter>,
    fill_durations: Family<TierLabel, Histogram, fn() -> Histogram>,
    /// Of the two above, by tier: to look them up by their labels costs more than to count.
    fills_of: [OnceLock<Fills>; TierName::ALL.len()],
    fill_failures: Family<TierLabel, Counter>,
    early_refreshes: Family<TierLabel, Counter>,
    store_failures: Family<TierOperation, Counter>,
    purges: Family<KindLabel, Counter>,
    purged_tags: Counter,
    recent_purges: Recent<SeenPurge>,
    abandoned: Sharded<AtomicU64>,
    /// What each thread saw come, less what it saw end.
    in_flight: Sharded<AtomicU64>,
}

/// Fills of one tier.
struct Fills {
    kept: Counter,
    not_kept: Counter,
    durations: Histogram,
}

impl Inner {
    fn fills_of(&self, tier: TierName) -> &Fills {
        self.fills_of[tier as usize].get_or_init(|| {
            let tier = tier.as_str();
            let counter = |stored| self.fills.get_or_create_owned(&TierStored { tier, stored });
            let durations = self.fill_durations.get_or_create_owned(&TierLabel { tier });
            Fills { kept: counter("yes"), not_kept: counter("no"), durations }
        })
    }

    fn in_flight(&self) -> u64 {
        // One thread may see the end of what another saw come, in between: never less than none.
        u64::try_from(self.in_flight.sum().cast_signed()).unwrap_or(0)
    }
}

/// A purge, and when it was made.
#[derive(Clone, Debug)]
pub struct SeenPurge {
    /// When it ended.
    pub at: Timestamp,
    /// What is to be said of it.
    pub note: PurgeNote,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The catalogue, everything at zero.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            registry: Mutex::default(),
            readings: Readings::default(),
            of_process: Readings::default(),
            routes: Arc::new(RouteTable::new()),
            fills: Family::default(),
            fill_durations: Family::new_with_constructor(latency as fn() -> Histogram),
            fills_of: Default::default(),
            fill_failures: Family::default(),
            early_refreshes: Family::default(),
            store_failures: Family::default(),
            purges: Family::default(),
            purged_tags: Counter::default(),
            recent_purges: Recent::new(PURGES_KEPT),
            abandoned: Sharded::new(AtomicU64::default),
            in_flight: Sharded::new(AtomicU64::default),
        };
        let mut root = Registry::default();
        let ours = root.sub_registry_with_prefix("edge_cache");
        register(ours, &catalogue::FILLS, inner.fills.clone());
        register(ours, &catalogue::FILL_DURATION, inner.fill_durations.clone());
        register(ours, &catalogue::FILL_FAILURES, inner.fill_failures.clone());
        register(ours, &catalogue::EARLY_REFRESHES, inner.early_refreshes.clone());
        register(ours, &catalogue::STORE_FAILURES, inner.store_failures.clone());
        register(ours, &catalogue::PURGES, inner.purges.clone());
        register(ours, &catalogue::PURGED_TAGS, inner.purged_tags.clone());
        register(ours, &catalogue::BUILD, Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        ours.register_collector(Box::new(Routes(Arc::clone(&inner.routes))));
        ours.register_collector(Box::new(inner.readings.clone()));
        root.register_collector(Box::new(inner.of_process.clone()));
        *inner.registry.lock() = root;
        for kind in [PurgeKind::Soft, PurgeKind::Hard] {
            drop(inner.purges.get_or_create(&KindLabel { kind: kind.as_str() }));
        }
        let this = Self(Arc::new(inner));
        // It must not keep itself alive.
        let inner = Arc::downgrade(&this.0);
        let in_flight = move || inner.upgrade().map_or(f64::NAN, |inner| inner.in_flight() as f64);
        this.read_at_scrape(Reading::gauge(&catalogue::REQUESTS_IN_FLIGHT, in_flight));
        let inner = Arc::downgrade(&this.0);
        let abandoned = move || inner.upgrade().map_or(0, |inner| inner.abandoned.sum());
        this.read_at_scrape(Reading::counter(&catalogue::REQUESTS_ABANDONED, abandoned));
        this
    }

    /// Shows what can happen in a tier from the start, at zero: a count that first appears as one hides what made it so.
    pub fn expect(&self, tier: TierName) {
        let tier = tier.as_str();
        for stored in ["yes", "no"] {
            drop(self.0.fills.get_or_create(&TierStored { tier, stored }));
        }
        for operation in ["get", "put"] {
            drop(self.0.store_failures.get_or_create(&TierOperation { tier, operation }));
        }
        drop(self.0.fill_durations.get_or_create(&TierLabel { tier }));
        drop(self.0.fill_failures.get_or_create(&TierLabel { tier }));
        drop(self.0.early_refreshes.get_or_create(&TierLabel { tier }));
    }

    /// Adds a value that is read when Prometheus asks.
    pub fn read_at_scrape(&self, reading: Reading) {
        if reading.is_of_process() { self.0.of_process.add(reading) } else { self.0.readings.add(reading) }
    }

    /// The OpenMetrics text. Serve it as [`CONTENT_TYPE`](Self::CONTENT_TYPE).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry.lock()).expect("writing to a String cannot fail");
        text
    }

    /// The media type of [`render`](Self::render).
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// What was counted of each route until now, by name.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteSnapshot> {
        self.0.routes.snapshot()
    }

    /// Fills of a tier that ended with an answer, kept or not.
    #[must_use]
    pub fn fills(&self, tier: TierName) -> u64 {
        let each = ["yes", "no"].map(|stored| TierStored { tier: tier.as_str(), stored });
        each.iter().filter_map(|labels| self.0.fills.get(labels).map(|count| count.get())).sum()
    }

    /// Requests that are being answered.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.0.in_flight()
    }

    /// The last purges that were made on this node, the newest first.
    #[must_use]
    pub fn recent_purges(&self) -> Vec<SeenPurge> {
        self.0.recent_purges.all()
    }

    /// A request has come.
    pub(crate) fn begins(&self) {
        self.0.in_flight.add(Lane::mine(), 1);
    }

    /// Its client did not wait for the head of its answer.
    pub(crate) fn abandoned(&self) {
        self.0.abandoned.add(Lane::mine(), 1);
    }

    /// It has its answer, or its client has left.
    pub(crate) fn ends(&self) {
        self.ends_on(Lane::mine());
    }

    fn ends_on(&self, lane: Lane) {
        self.0.in_flight.add(lane, 1_u64.wrapping_neg());
    }

    pub(crate) fn route(&self, name: &str) -> RouteIndex {
        self.0.routes.route(name)
    }

    /// Tells what a route is called.
    pub(crate) fn named<T>(&self, route: RouteIndex, told: impl FnOnce(&str) -> T) -> T {
        self.0.routes.named(route, told)
    }

    pub(crate) fn count(&self, route: RouteIndex, seen: &Counted) {
        self.0.routes.count(route, seen);
    }

    /// What is counted of a route, for whoever counts often.
    pub(crate) fn of_route(&self, name: &str) -> Arc<RouteMetrics> {
        self.0.routes.of(self.route(name))
    }

    /// A plain hit has its answer.
    pub(crate) fn hit_ends(&self, route: &RouteMetrics, seen: &Counted) {
        let lane = Lane::mine();
        self.ends_on(lane);
        self.0.routes.count_of(lane, route, seen);
    }
}

fn register(registry: &mut Registry, metric: &'static Definition, values: impl Metric) {
    match unit(metric) {
        Some(unit) => registry.register_with_unit(metric.name, metric.help, unit, values),
        None => registry.register(metric.name, metric.help, values),
    }
}

impl Events for Metrics {
    fn store_failed(&self, tier: TierName, operation: &'static str) {
        self.0.store_failures.get_or_create(&TierOperation { tier: tier.as_str(), operation }).inc();
    }

    fn filled(&self, tier: TierName, took: Duration, stored: bool) {
        let fills = self.0.fills_of(tier);
        if stored { &fills.kept } else { &fills.not_kept }.inc();
        fills.durations.observe(took.as_secs_f64());
    }

    fn fill_failed(&self, tier: TierName) {
        self.0.fill_failures.get_or_create(&TierLabel { tier: tier.as_str() }).inc();
    }

    fn refreshed_early(&self, tier: TierName) {
        self.0.early_refreshes.get_or_create(&TierLabel { tier: tier.as_str() }).inc();
    }

    fn purged(&self, kind: PurgeKind, tags: usize) {
        self.0.purges.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
        self.0.purged_tags.inc_by(tags as u64);
    }

    fn purge_noted(&self, note: &PurgeNote) {
        let at = edge_cache_core::Clock::now(&edge_cache_core::SystemClock);
        self.0.recent_purges.push(SeenPurge { at, note: note.clone() });
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::Served;

    use super::*;

    fn counted(served: Served, tier: Option<TierName>, took: Duration) -> Counted {
        let saves = matches!(served, Served::Hit | Served::Stale | Served::Coalesced);
        Counted { served, tier, took, body_bytes: 100, age: None, saves, cost: Duration::from_millis(20) }
    }

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::new();
        let trending = metrics.route("trending");
        let hit = counted(Served::Hit, Some(TierName::Memory), Duration::from_micros(300));
        metrics.count(trending, &Counted { age: Some(Duration::from_secs(3)), ..hit });
        metrics.count(trending, &counted(Served::Miss, None, Duration::from_secs(9)));
        metrics.filled(TierName::Redis, Duration::from_millis(3), true);
        metrics.store_failed(TierName::Redis, "get");
        metrics.purged(PurgeKind::Hard, 3);
        metrics.refreshed_early(TierName::Memory);
        metrics.read_at_scrape(Reading::gauge(&catalogue::MEMORY_USED, || 42.0));
        metrics.read_at_scrape(Reading::counter(&catalogue::MEMORY_EVICTIONS, || 7).labelled("size"));
        metrics.read_at_scrape(Reading::counter(&catalogue::MEMORY_EVICTIONS, || 8).labelled("expired"));
        metrics.read_at_scrape(Reading::seconds(&catalogue::PROCESS_CPU, || Duration::from_millis(1500)));
        metrics.read_at_scrape(Reading::gauge(&catalogue::BACKPLANE_LAG, || f64::NAN));
        let text = metrics.render();
        for line in [
            "edge_cache_requests_total{route=\"trending\",result=\"hit\",tier=\"memory\"} 1",
            "edge_cache_requests_total{route=\"trending\",result=\"miss\",tier=\"origin\"} 1",
            "edge_cache_request_duration_seconds_bucket{le=\"0.0005\",route=\"trending\",result=\"hit\"} 1",
            "edge_cache_request_duration_seconds_bucket{le=\"+Inf\",route=\"trending\",result=\"miss\"} 1",
            "edge_cache_response_body_bytes_total{route=\"trending\",result=\"hit\"} 100",
            "edge_cache_served_age_seconds_bucket{le=\"5.0\",tier=\"memory\"} 1",
            "edge_cache_origin_calls_saved_total{route=\"trending\"} 1",
            "edge_cache_origin_saved_seconds_total{route=\"trending\"} 0.02",
            "edge_cache_fills_total{tier=\"redis\",stored=\"yes\"} 1",
            "edge_cache_store_failures_total{tier=\"redis\",operation=\"get\"} 1",
            "edge_cache_purges_total{kind=\"hard\"} 1",
            "edge_cache_purged_tags_total 3",
            "edge_cache_early_refreshes_total{tier=\"memory\"} 1",
            "edge_cache_memory_used_bytes 42.0",
            "edge_cache_memory_evictions_total{reason=\"size\"} 7",
            "edge_cache_memory_evictions_total{reason=\"expired\"} 8",
            "process_cpu_seconds_total 1.5",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
        let is_lag = |line: &str| line.starts_with("edge_cache_backplane_lag_seconds");
        assert!(!text.lines().any(is_lag), "what is not known is left out");
    }

    #[test]
    fn the_values_are_those_of_the_text() {
        let metrics = Metrics::new();
        let route = metrics.route("search");
        for served in Served::ALL {
            metrics.count(route, &counted(served, None, Duration::from_millis(1)));
        }
        metrics.count(route, &counted(Served::Hit, Some(TierName::Redis), Duration::from_millis(1)));
        let routes = metrics.routes();
        assert_eq!(routes.iter().map(|route| &*route.name).collect::<Vec<_>>(), ["other", "search"]);
        let search = &routes[1];
        assert_eq!((search.requests(), search.saved_calls, search.body_bytes()), (7, 4, 700));
        assert_eq!(search.hit_rate(), Some(3.0 / 5.0));
        assert_eq!(search.error_rate(), Some(1.0 / 7.0));
        assert_eq!((search.from_tier(TierName::Redis), search.saved), (1, Duration::from_millis(80)));
        assert_eq!((routes[0].hit_rate(), routes[0].error_rate()), (None, None));
    }

    #[test]
    fn no_more_routes_are_counted_apart_than_can_be_shown() {
        let metrics = Metrics::new();
        for at in 0..3000 {
            let route = metrics.route(&format!("r{at}"));
            metrics.count(route, &counted(Served::Hit, None, Duration::ZERO));
        }
        let routes = metrics.routes();
        assert_eq!(routes.len(), 1000);
        let all = routes.iter().map(RouteSnapshot::requests).sum::<u64>();
        assert_eq!(all, 3000, "what is not counted apart is counted all the same");
    }
}
