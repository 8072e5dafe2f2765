//! What the loader says to the driver: one line of JSON for each turn.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The line by which the loader says that it is connected and waits.
pub const READY: &str = "ready";

/// What became of one turn. Latencies are in nanoseconds; of a closed loop from sending, of an open one from the time at
/// which a request was to be sent.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Requests that got an answer, right or wrong.
    pub requests: u64,
    /// Answers with a status, a length or a beginning other than expected.
    pub wrong: u64,
    /// Requests whose connection broke.
    pub failed: u64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// From the first request to the last answer.
    pub nanos: u64,
    /// Processor time of the loader meanwhile: near to `nanos`, the loader was what limited the rate.
    pub loader_cpu_nanos: u64,
    /// Median.
    pub p50: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl Report {
    /// Takes the percentiles from `latencies`.
    #[must_use]
    pub fn with_latencies(self, latencies: &Histogram<u64>) -> Self {
        let at = |quantile| latencies.value_at_quantile(quantile);
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: latencies.max(), ..self }
    }

    /// This and another loader's turn at the same time; of percentiles the longer one.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            wrong: self.wrong + other.wrong,
            failed: self.failed + other.failed,
            bytes: self.bytes + other.bytes,
            nanos: self.nanos.max(other.nanos),
            loader_cpu_nanos: self.loader_cpu_nanos + other.loader_cpu_nanos,
            p50: self.p50.max(other.p50),
            p95: self.p95.max(other.p95),
            p99: self.p99.max(other.p99),
            max: self.max.max(other.max),
        }
    }

    /// Answers per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / Duration::from_nanos(self.nanos.max(1)).as_secs_f64()
    }

    /// The share of a core that the loader took.
    #[must_use]
    pub fn loader_busy(&self) -> f64 {
        self.loader_cpu_nanos as f64 / self.nanos.max(1) as f64
    }

    /// Answers that were not what was asked for, and requests without one.
    #[must_use]
    pub const fn bad(&self) -> u64 {
        self.wrong + self.failed
    }
}
