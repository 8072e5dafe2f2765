//! All counters at one moment.

use std::time::Duration;

use edge_cache::{
    core::{Served, TierName},
    telemetry::RouteSnapshot,
};
use edge_cache_breaker::State;

/// Counters since the start, and gauges of now. What a node does not have is `None`.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    /// Unix time, in seconds.
    pub(super) at: f64,
    /// A clock that nobody sets.
    pub(super) monotonic: Duration,
    pub(super) routes: Vec<RouteSnapshot>,
    /// All of them together.
    pub(crate) requests: RouteSnapshot,
    pub(super) fills: u64,
    pub(super) connections: u64,
    pub(super) in_flight: u64,
    pub(super) database: Option<DatabaseTotals>,
    /// Ways to the database that take writes.
    pub(crate) database_ways: Vec<Way>,
    pub(crate) origins: Vec<Way>,
    pub(crate) redis: Vec<Way>,
    /// Requests that got a permit to work at the origin.
    pub(super) origin_calls: Option<u64>,
    /// Requests that wait for a permit.
    pub(super) waiting: Option<u64>,
    pub(super) cpu: Duration,
    pub(super) resident_bytes: u64,
}

/// How one way to what stands behind the cache is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) is_healthy: bool,
    pub(crate) breaker: State,
    /// Times that its breaker has opened, or a count that rises with each failure where that is not told.
    pub(crate) opened: u64,
    /// How often it was asked.
    pub(crate) asked: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DatabaseTotals {
    pub(super) connections: u64,
    pub(super) in_use: u64,
    pub(super) waits: u64,
}

/// All routes as one.
pub(super) fn sum(routes: &[RouteSnapshot]) -> RouteSnapshot {
    let mut all = RouteSnapshot::empty("");
    routes.iter().for_each(|route| all.add(route));
    all
}

/// The counts of a route by result, in the order in which the feed names them.
pub(super) fn by_result(route: &RouteSnapshot) -> [u64; 6] {
    Served::ALL.map(|served| route.result(served).count())
}

/// Answers by tier, in the order in which the feed names them.
pub(super) fn by_tier(route: &RouteSnapshot) -> [u64; 3] {
    [TierName::Memory, TierName::Redis, TierName::Disk].map(|tier| route.from_tier(tier))
}
