//! The metrics of the server under load that a drill looks at.

use serde::Serialize;

use crate::load::metrics::samples;

/// Values at one moment. A metric that the server does not have is absent, and never taken for zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Readings {
    /// Open connections to the database, as the pool counts them.
    pub(crate) connections: Option<f64>,
    /// Of those, at work.
    pub(crate) in_use: Option<f64>,
    /// Connections opened so far.
    pub(crate) connects: Option<f64>,
    /// Connects that failed so far.
    pub(crate) connect_errors: Option<f64>,
    /// Checkouts given up so far.
    pub(crate) timeouts: Option<f64>,
    /// Breakers of the Redis tier: 0 closed, 1 half-open, 2 open; the worse of reads and writes.
    pub(crate) redis_breaker: Option<f64>,
    /// The same of the database, the worst of its endpoints.
    pub(crate) database_breaker: Option<f64>,
    /// How often it opened so far, all endpoints together.
    pub(crate) database_breaker_opened: Option<f64>,
    /// Most requests that the origin's permits let through at once, now.
    pub(crate) permits_limit: Option<f64>,
    /// Requests with a permit.
    pub(crate) permits_in_use: Option<f64>,
    /// Most of them at once so far.
    pub(crate) permits_in_use_max: Option<f64>,
    /// Requests without a permit, turned away so far.
    pub(crate) shed: Option<f64>,
    /// How hard the origin is pressed, from 0 to 3.
    pub(crate) pressure: Option<f64>,
}

impl Readings {
    /// Reads the metrics' text.
    pub(crate) fn parse(text: &str) -> Self {
        let mut readings = Self::default();
        for sample in samples(text) {
            let sum = |slot: &mut Option<f64>| *slot.get_or_insert_default() += sample.value;
            let worst = |slot: &mut Option<f64>| *slot = Some(slot.unwrap_or(0.0).max(sample.value));
            match sample.name {
                "edge_cache_database_connections" => sum(&mut readings.connections),
                "edge_cache_database_connections_in_use" => sum(&mut readings.in_use),
                "edge_cache_database_connects_total" => sum(&mut readings.connects),
                "edge_cache_database_connect_errors_total" => sum(&mut readings.connect_errors),
                "edge_cache_database_timeouts_total" => sum(&mut readings.timeouts),
                "edge_cache_redis_breaker" => worst(&mut readings.redis_breaker),
                "edge_cache_database_breaker" => worst(&mut readings.database_breaker),
                "edge_cache_database_breaker_opened_total" => sum(&mut readings.database_breaker_opened),
                "edge_cache_origin_permits_limit" => sum(&mut readings.permits_limit),
                "edge_cache_origin_permits_in_use" => sum(&mut readings.permits_in_use),
                "edge_cache_origin_permits_in_use_max" => sum(&mut readings.permits_in_use_max),
                "edge_cache_origin_shed_total" => sum(&mut readings.shed),
                "edge_cache_origin_pressure" => worst(&mut readings.pressure),
                _ => {}
            }
        }
        readings
    }
}

/// A breaker's state in words.
pub(crate) fn breaker(state: Option<f64>) -> &'static str {
    match state {
        None => "–",
        Some(state) if state < 0.5 => "closed",
        Some(state) if state < 1.5 => "half-open",
        Some(_) => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_zero() {
        let readings = Readings::parse("edge_cache_database_connections 7\nedge_cache_database_connects_total 0\n");
        assert_eq!((readings.connections, readings.connects, readings.shed), (Some(7.0), Some(0.0), None));
        assert_eq!((breaker(None), breaker(Some(0.0)), breaker(Some(2.0))), ("–", "closed", "open"));
    }

    #[test]
    fn the_worst_breaker_and_all_openings_count() {
        let readings = Readings::parse(
            "edge_cache_redis_breaker{calls=\"read\"} 2\nedge_cache_redis_breaker{calls=\"write\"} 0\n\
             edge_cache_database_breaker_opened_total{endpoint=\"pooled\"} 1\n\
             edge_cache_database_breaker_opened_total{endpoint=\"direct\"} 2\n",
        );
        assert_eq!((readings.redis_breaker, readings.database_breaker_opened), (Some(2.0), Some(3.0)));
    }
}
