//! What is counted of each route, without a lock.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use edge_cache_core::{Served, TierName};
use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};

use crate::{
    catalogue::{self, Definition},
    histogram::{AGE, Distribution, Histogram, LATENCY},
    readings::unit,
    shard::{Lane, Sharded},
};

/// Whose bytes were served: the tiers, and the origin at the end.
const SOURCES: [&str; 4] = ["memory", "redis", "disk", "origin"];
/// Routes counted apart; whatever is beyond is counted as [`OTHER`].
const ROUTES_MAX: usize = 1000;
/// What belongs to no declared route.
const OTHER: &str = "other";

const fn source(tier: Option<TierName>) -> usize {
    match tier {
        Some(TierName::Memory) => 0,
        Some(TierName::Redis) => 1,
        Some(TierName::Disk) => 2,
        None => 3,
    }
}

/// One answered request, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) served: Served,
    pub(crate) tier: Option<TierName>,
    pub(crate) took: Duration,
    pub(crate) body_bytes: u64,
    /// How old the stored answer was.
    pub(crate) age: Option<Duration>,
    /// Whether a call of the origin was not made for it.
    pub(crate) saves: bool,
    /// What the origin took for it when it was filled.
    pub(crate) cost: Duration,
}

/// What one result of a route came to.
#[derive(Debug)]
struct Cell {
    by_source: [AtomicU64; SOURCES.len()],
    duration: Histogram,
    body_bytes: AtomicU64,
}

/// One thread's share of a route's counters.
#[derive(Debug)]
struct Counters {
    cells: [Cell; Served::ALL.len()],
    saved_calls: AtomicU64,
    saved_micros: AtomicU64,
}

impl Counters {
    fn new() -> Self {
        let cell = |_| Cell {
            by_source: Default::default(),
            duration: Histogram::new(LATENCY),
            body_bytes: AtomicU64::new(0),
        };
        Self { cells: Served::ALL.map(cell), saved_calls: AtomicU64::new(0), saved_micros: AtomicU64::new(0) }
    }

    fn count(&self, lane: Lane, seen: &Counted) {
        let cell = &self.cells[seen.served as usize];
        lane.add(&cell.by_source[source(seen.tier)], 1);
        cell.duration.observe(lane, seen.took);
        lane.add(&cell.body_bytes, seen.body_bytes);
        if seen.saves {
            lane.add(&self.saved_calls, 1);
            lane.add(&self.saved_micros, u64::try_from(seen.cost.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn snapshot(&self, name: &Arc<str>) -> RouteSnapshot {
        let results = self.cells.each_ref().map(|cell| ResultSnapshot {
            by_source: cell.by_source.each_ref().map(|count| count.load(Relaxed)),
            duration: cell.duration.counts(),
            body_bytes: cell.body_bytes.load(Relaxed),
        });
        let saved = Duration::from_micros(self.saved_micros.load(Relaxed));
        let saved_calls = self.saved_calls.load(Relaxed);
        RouteSnapshot { name: Arc::clone(name), results, saved_calls, saved }
    }
}

/// The counters of one route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    pub(crate) name: Arc<str>,
    counters: Sharded<Counters>,
}

impl RouteMetrics {
    fn new(name: Arc<str>) -> Self {
        Self { name, counters: Sharded::new(Counters::new) }
    }

    fn snapshot(&self) -> RouteSnapshot {
        let mut all = RouteSnapshot::empty(Arc::clone(&self.name));
        self.counters.all().for_each(|counters| all.add(&counters.snapshot(&self.name)));
        all
    }
}

/// A route among those that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteIndex(usize);

/// What one result of a route came to at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultSnapshot {
    by_source: [u64; SOURCES.len()],
    /// How long the answers took, to the last byte.
    pub duration: Distribution,
    /// Bytes of bodies sent.
    pub body_bytes: u64,
}

impl ResultSnapshot {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_source.iter().sum()
    }

    /// How many a tier's bytes answered; `None` for the origin's.
    #[must_use]
    pub fn of(&self, tier: Option<TierName>) -> u64 {
        self.by_source[source(tier)]
    }
}

/// The counters of one route at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSnapshot {
    /// The route's name.
    pub name: Arc<str>,
    results: [ResultSnapshot; Served::ALL.len()],
    /// Calls of the origin that were not made.
    pub saved_calls: u64,
    /// Time that the origin did not have to take.
    pub saved: Duration,
}

impl RouteSnapshot {
    /// A route of which nothing is known.
    #[must_use]
    pub fn empty(name: impl Into<Arc<str>>) -> Self {
        Counters::new().snapshot(&name.into())
    }

    /// What a result came to.
    #[must_use]
    pub fn result(&self, served: Served) -> &ResultSnapshot {
        &self.results[served as usize]
    }

    /// Adds what another one holds.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in self.results.iter_mut().zip(&other.results) {
            to.by_source.iter_mut().zip(from.by_source).for_each(|(to, from)| *to += from);
            to.duration.add(&from.duration);
            to.body_bytes += from.body_bytes;
        }
        self.saved_calls += other.saved_calls;
        self.saved += other.saved;
    }

    /// What came since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut results = self.results.clone();
        for (now, then) in results.iter_mut().zip(&earlier.results) {
            now.by_source.iter_mut().zip(then.by_source).for_each(|(now, then)| *now = now.saturating_sub(then));
            now.duration = now.duration.since(&then.duration);
            now.body_bytes = now.body_bytes.saturating_sub(then.body_bytes);
        }
        Self {
            name: Arc::clone(&self.name),
            results,
            saved_calls: self.saved_calls.saturating_sub(earlier.saved_calls),
            saved: self.saved.saturating_sub(earlier.saved),
        }
    }

    /// Requests answered.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.results.iter().map(ResultSnapshot::count).sum()
    }

    /// What a tier could have answered.
    #[must_use]
    pub fn lookups(&self) -> u64 {
        [Served::Hit, Served::Stale, Served::Coalesced, Served::Miss]
            .map(|served| self.result(served).count())
            .iter()
            .sum()
    }

    /// Of what a tier could have answered, the share that was answered without waiting for the origin: fresh, or stale while it is
    /// renewed. Who waited for another's fill counts as not. `None` where nothing could.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let count = |served| self.result(served).count();
        share(count(Served::Hit) + count(Served::Stale), self.lookups())
    }

    /// The share that ended in an error; `None` where nothing was asked.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        share(self.result(Served::Error).count(), self.requests())
    }

    /// Answers from a tier's bytes.
    #[must_use]
    pub fn from_tier(&self, tier: TierName) -> u64 {
        self.results.iter().map(|result| result.of(Some(tier))).sum()
    }

    /// Bytes of bodies sent.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.results.iter().map(|result| result.body_bytes).sum()
    }

    /// How long all answers took.
    #[must_use]
    pub fn duration(&self) -> Distribution {
        let mut all = Distribution::of_latencies();
        self.results.iter().for_each(|result| all.add(&result.duration));
        all
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The counters of all routes.
#[derive(Debug)]
pub(crate) struct RouteTable {
    /// Read by every request, replaced when a new route appears.
    known: ArcSwap<Known>,
    adding: Mutex<()>,
    ages: Sharded<[Histogram; SOURCES.len() - 1]>,
}

/// Routes in the order in which they appeared, which is never changed.
#[derive(Clone, Debug)]
struct Known {
    places: HashMap<Arc<str>, RouteIndex>,
    routes: Vec<Arc<RouteMetrics>>,
}

impl RouteTable {
    pub(crate) fn new() -> Self {
        let other: Arc<str> = OTHER.into();
        let places = HashMap::from([(Arc::clone(&other), RouteIndex::OTHER)]);
        let known = Known { places, routes: vec![Arc::new(RouteMetrics::new(other))] };
        let ages = Sharded::new(|| [(); SOURCES.len() - 1].map(|()| Histogram::new(AGE)));
        Self { known: ArcSwap::from_pointee(known), adding: Mutex::default(), ages }
    }

    /// The route of this name; [`RouteIndex::OTHER`] where there are too many.
    pub(crate) fn route(&self, name: &str) -> RouteIndex {
        if let Some(known) = self.known.load().places.get(name) {
            return *known;
        }
        let _one_at_a_time = self.adding.lock();
        let known = self.known.load_full();
        if let Some(known) = known.places.get(name) {
            return *known;
        }
        if known.routes.len() >= ROUTES_MAX {
            return RouteIndex::OTHER;
        }
        let (name, index) = (Arc::<str>::from(name), RouteIndex(known.routes.len()));
        let mut more = Known::clone(&known);
        more.routes.push(Arc::new(RouteMetrics::new(Arc::clone(&name))));
        more.places.insert(name, index);
        self.known.store(Arc::new(more));
        index
    }

    /// Tells what a route is called, without a copy of the name.
    pub(crate) fn named<T>(&self, route: RouteIndex, told: impl FnOnce(&str) -> T) -> T {
        told(&self.known.load().routes[route.0].name)
    }

    /// What is counted of a route, for whoever counts often.
    pub(crate) fn of(&self, route: RouteIndex) -> Arc<RouteMetrics> {
        Arc::clone(&self.known.load().routes[route.0])
    }

    pub(crate) fn count(&self, route: RouteIndex, seen: &Counted) {
        self.count_of(Lane::mine(), &self.known.load().routes[route.0], seen);
    }

    pub(crate) fn count_of(&self, lane: Lane, route: &RouteMetrics, seen: &Counted) {
        route.counters.at(lane).count(lane, seen);
        if let (Some(age), Some(histogram)) = (seen.age, self.ages.at(lane).get(source(seen.tier))) {
            histogram.observe(lane, age);
        }
    }

    /// All of them, by name.
    pub(crate) fn snapshot(&self) -> Vec<RouteSnapshot> {
        let mut all: Vec<_> = self.known.load().routes.iter().map(|route| route.snapshot()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// How old what each tier served was.
    fn ages(&self) -> Vec<Distribution> {
        let mut all: Vec<_> = (1..SOURCES.len()).map(|_| Histogram::new(AGE).counts()).collect();
        for shard in self.ages.all() {
            all.iter_mut().zip(shard).for_each(|(all, ages)| all.add(&ages.counts()));
        }
        all
    }
}

impl RouteIndex {
    /// What belongs to no declared route.
    pub(crate) const OTHER: Self = Self(0);
}

/// The collector of what [`RouteTable`] counts.
pub(crate) struct Routes(pub(crate) Arc<RouteTable>);

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Collector for Routes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let routes = self.0.snapshot();
        let results = || {
            let each = |route| Served::ALL.into_iter().map(move |served| (route, served));
            let all = routes.iter().flat_map(each);
            all.map(|(route, served): (&RouteSnapshot, Served)| (route, served, route.result(served)))
                .filter(|(_, _, result)| result.count() > 0)
        };
        let mut counters = begin(&mut encoder, &catalogue::REQUESTS, MetricType::Counter)?;
        for (route, served, result) in results() {
            for (source, count) in SOURCES.iter().zip(result.by_source).filter(|(_, count)| *count > 0) {
                let labels: Labels<'_, 3> = [("route", &route.name), ("result", served.as_str()), ("tier", source)];
                ConstCounter::new(count).encode(counters.encode_family(&labels)?)?;
            }
        }
        let mut durations = begin(&mut encoder, &catalogue::REQUEST_DURATION, MetricType::Histogram)?;
        for (route, served, result) in results() {
            let labels: Labels<'_, 2> = [("route", &route.name), ("result", served.as_str())];
            histogram(durations.encode_family(&labels)?, &result.duration)?;
        }
        let mut bodies = begin(&mut encoder, &catalogue::RESPONSE_BODY, MetricType::Counter)?;
        for (route, served, result) in results() {
            let labels: Labels<'_, 2> = [("route", &route.name), ("result", served.as_str())];
            ConstCounter::new(result.body_bytes).encode(bodies.encode_family(&labels)?)?;
        }
        let asked = || routes.iter().filter(|route| route.requests() > 0);
        let mut calls = begin(&mut encoder, &catalogue::ORIGIN_CALLS_SAVED, MetricType::Counter)?;
        for route in asked() {
            let labels: Labels<'_, 1> = [("route", &route.name)];
            ConstCounter::new(route.saved_calls).encode(calls.encode_family(&labels)?)?;
        }
        let mut saved = begin(&mut encoder, &catalogue::ORIGIN_SAVED, MetricType::Counter)?;
        for route in asked() {
            let labels: Labels<'_, 1> = [("route", &route.name)];
            ConstCounter::new(route.saved.as_secs_f64()).encode(saved.encode_family(&labels)?)?;
        }
        let mut ages = begin(&mut encoder, &catalogue::SERVED_AGE, MetricType::Histogram)?;
        for (tier, ages_of) in SOURCES.iter().zip(self.0.ages()) {
            let labels: Labels<'_, 1> = [("tier", tier)];
            histogram(ages.encode_family(&labels)?, &ages_of)?;
        }
        Ok(())
    }
}

fn begin<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    metric: &'static Definition,
    kind: MetricType,
) -> Result<prometheus_client::encoding::MetricEncoder<'a>, fmt::Error> {
    // The unit is only read while the descriptor is written.
    let unit = unit(metric);
    match unit {
        None => encoder.encode_descriptor(metric.name, metric.help, None, kind),
        Some(prometheus_client::registry::Unit::Bytes) => {
            encoder.encode_descriptor(metric.name, metric.help, Some(&prometheus_client::registry::Unit::Bytes), kind)
        }
        Some(_) => {
            encoder.encode_descriptor(metric.name, metric.help, Some(&prometheus_client::registry::Unit::Seconds), kind)
        }
    }
}

fn histogram(mut encoder: prometheus_client::encoding::MetricEncoder<'_>, counts: &Distribution) -> fmt::Result {
    encoder.encode_histogram::<Labels<'_, 0>>(counts.sum(), counts.count(), &counts.buckets(), None)
}
