use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use edge_cache_core::{Events, Served, TierName, marker::PurgeKind};
use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use crate::gauges::{Gauges, Reading};

/// Label sets. Values are closed enums and declared route names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) route: Cow<'static, str>,
    pub(crate) result: &'static str,
    pub(crate) tier: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteResult {
    route: Cow<'static, str>,
    result: &'static str,
}

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

/// Upper bounds in seconds: a memory hit is far below the first, the hard timeouts are the last.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

fn latency() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}

/// Every metric, and the text that Prometheus scrapes. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    gauges: Gauges,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteResult, Histogram, fn() -> Histogram>,
    fills: Family<TierStored, Counter>,
    fill_durations: Family<TierLabel, Histogram, fn() -> Histogram>,
    fill_failures: Family<TierLabel, Counter>,
    early_refreshes: Family<TierLabel, Counter>,
    store_failures: Family<TierOperation, Counter>,
    purges: Family<KindLabel, Counter>,
    purged_tags: Counter,
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
            gauges: Gauges::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(latency as fn() -> Histogram),
            fills: Family::default(),
            fill_durations: Family::new_with_constructor(latency as fn() -> Histogram),
            fill_failures: Family::default(),
            early_refreshes: Family::default(),
            store_failures: Family::default(),
            purges: Family::default(),
            purged_tags: Counter::default(),
        };
        let mut registry = Registry::with_prefix("edge_cache");
        registry.register(
            "requests",
            "Requests answered, by route, by what was done (hit, stale, coalesced, miss, bypass, error) and by the tier whose bytes were served (origin where none)",
            inner.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From the request's head read to the last byte of its answer handed to the connection, errors included",
            Unit::Seconds,
            inner.durations.clone(),
        );
        registry.register("fills", "Fills ended, by tier and by whether the answer was kept", inner.fills.clone());
        registry.register_with_unit(
            "fill_duration",
            "From the call inward to the last byte of its answer, by tier",
            Unit::Seconds,
            inner.fill_durations.clone(),
        );
        registry.register(
            "fill_failures",
            "Fills without an answer to keep: no answer, a server error, or a body that ended early",
            inner.fill_failures.clone(),
        );
        registry.register(
            "early_refreshes",
            "Hits that found a fresh entry near its end and had it asked for anew behind the answer, by tier",
            inner.early_refreshes.clone(),
        );
        registry.register(
            "store_failures",
            "Operations on a tier's store that failed; the request went on as on a miss",
            inner.store_failures.clone(),
        );
        registry.register("purges", "Purges applied on this node, by kind", inner.purges.clone());
        registry.register("purged_tags", "Tags that purges named", inner.purged_tags.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running build", build);
        registry.register_collector(Box::new(inner.gauges.clone()));
        *inner.registry.lock() = registry;
        Self(Arc::new(inner))
    }

    /// Adds a value that is read when Prometheus asks.
    pub fn read_at_scrape(&self, reading: Reading) {
        self.0.gauges.add(reading);
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

    pub(crate) fn request(&self, route: Cow<'static, str>, served: Served, tier: Option<TierName>, took: Duration) {
        let (result, tier) = (served.as_str(), tier.map_or("origin", TierName::as_str));
        self.0.requests.get_or_create(&RequestLabels { route: route.clone(), result, tier }).inc();
        self.0.durations.get_or_create(&RouteResult { route, result }).observe(took.as_secs_f64());
    }
}

impl Events for Metrics {
    fn store_failed(&self, tier: TierName, operation: &'static str) {
        self.0.store_failures.get_or_create(&TierOperation { tier: tier.as_str(), operation }).inc();
    }

    fn filled(&self, tier: TierName, took: Duration, stored: bool) {
        let stored = if stored { "yes" } else { "no" };
        self.0.fills.get_or_create(&TierStored { tier: tier.as_str(), stored }).inc();
        self.0.fill_durations.get_or_create(&TierLabel { tier: tier.as_str() }).observe(took.as_secs_f64());
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauges::Unit;

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.request("trending".into(), Served::Hit, Some(TierName::Memory), Duration::from_micros(300));
        metrics.request("trending".into(), Served::Miss, None, Duration::from_secs(9));
        metrics.filled(TierName::Redis, Duration::from_millis(3), true);
        metrics.store_failed(TierName::Redis, "get");
        metrics.purged(PurgeKind::Hard, 3);
        metrics.refreshed_early(TierName::Memory);
        metrics.read_at_scrape(Reading::gauge("memory_used", "Bytes held", Unit::Bytes, || 42.0));
        metrics.read_at_scrape(Reading::counter("evictions", "Entries that went", || 7).labelled("reason", "size"));
        let text = metrics.render();
        for line in [
            "edge_cache_requests_total{route=\"trending\",result=\"hit\",tier=\"memory\"} 1",
            "edge_cache_requests_total{route=\"trending\",result=\"miss\",tier=\"origin\"} 1",
            "edge_cache_request_duration_seconds_bucket{le=\"0.0005\",route=\"trending\",result=\"hit\"} 1",
            "edge_cache_fills_total{tier=\"redis\",stored=\"yes\"} 1",
            "edge_cache_store_failures_total{tier=\"redis\",operation=\"get\"} 1",
            "edge_cache_purges_total{kind=\"hard\"} 1",
            "edge_cache_purged_tags_total 3",
            "edge_cache_early_refreshes_total{tier=\"memory\"} 1",
            "edge_cache_memory_used_bytes 42.0",
            "edge_cache_evictions_total{reason=\"size\"} 7",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
        }
    }
}
