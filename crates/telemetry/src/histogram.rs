//! A distribution in fixed buckets, counted without a lock, by the threads of one lane.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::shard::Lane;

/// Upper bounds of buckets, in microseconds, in rising order.
pub(crate) type Bounds = &'static [u64];

/// A memory hit is far below the first; the last is beyond every timeout that a client is likely to wait for.
pub(crate) const LATENCY: Bounds = &[
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_000_000, 3_000_000, 5_000_000, 10_000_000,
];

const SECOND: u64 = 1_000_000;

/// From a second to a day.
pub(crate) const AGE: Bounds = &[
    SECOND,
    5 * SECOND,
    15 * SECOND,
    60 * SECOND,
    300 * SECOND,
    900 * SECOND,
    3_600 * SECOND,
    21_600 * SECOND,
    86_400 * SECOND,
];

/// The most bounds that any distribution has.
const BOUNDS_MAX: usize = 20;

/// A distribution of times.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: Bounds,
    /// What fell into each bucket, the last one without a bound.
    counts: [AtomicU64; BOUNDS_MAX + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, counts: Default::default(), sum_micros: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, lane: Lane, time: Duration) {
        // Not `as_micros`: what is wider than a register costs.
        let micros = time.as_secs().saturating_mul(SECOND).saturating_add(time.subsec_micros().into());
        // A bound is part of its bucket.
        let nanos_over = u64::from(!time.subsec_nanos().is_multiple_of(1_000));
        let at = self.bounds.partition_point(|bound| *bound < micros.saturating_add(nanos_over));
        lane.add(&self.counts[at], 1);
        lane.add(&self.sum_micros, micros);
    }

    pub(crate) fn counts(&self) -> Distribution {
        let counts = self.counts[..=self.bounds.len()].iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum_micros: self.sum_micros.load(Ordering::Relaxed) }
    }
}

/// What a distribution holds at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    bounds: Bounds,
    counts: Vec<u64>,
    sum_micros: u64,
}

impl Distribution {
    /// Of latencies, with nothing in it.
    #[must_use]
    pub fn of_latencies() -> Self {
        Histogram::new(LATENCY).counts()
    }

    /// Adds what another one of the same bounds holds.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds);
        self.counts.iter_mut().zip(&other.counts).for_each(|(to, from)| *to += from);
        self.sum_micros += other.sum_micros;
    }

    /// What came since an earlier moment of the same distribution.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now.saturating_sub(*then)).collect();
        Self { bounds: self.bounds, counts, sum_micros: self.sum_micros.saturating_sub(earlier.sum_micros) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, in seconds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        seconds(self.sum_micros)
    }

    /// The value, in seconds, below which the share `q` of them lies, as Prometheus's `histogram_quantile` has it: evenly spread
    /// within a bucket, and the highest bound for whatever lies beyond it. `None` where there are none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q * count as f64;
        let mut below = 0;
        for (at, in_bucket) in self.counts.iter().enumerate() {
            let up_to = below + in_bucket;
            if *in_bucket > 0 && up_to as f64 >= rank {
                let Some(end) = self.bounds.get(at) else { break };
                let start = if at == 0 { 0.0 } else { seconds(self.bounds[at - 1]) };
                let share = (rank - below as f64) / *in_bucket as f64;
                return Some(start + (seconds(*end) - start) * share);
            }
            below = up_to;
        }
        self.bounds.last().copied().map(seconds)
    }

    /// Each bound in seconds, the last one infinite, and what fell between it and the one before.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_bucket_that_it_is_not_above() {
        let histogram = Histogram::new(LATENCY);
        for nanos in [0, 100_000, 100_001, 250_000, 11_000_000_000] {
            histogram.observe(Lane::mine(), Duration::from_nanos(nanos));
        }
        let counts = histogram.counts();
        assert_eq!((counts.counts[0], counts.counts[3], counts.counts[4], counts.counts[20]), (1, 1, 2, 1));
        assert_eq!(counts.count(), 5);
        assert!((counts.sum() - 11.000_45).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_those_of_prometheus() {
        let histogram = Histogram::new(LATENCY);
        assert_eq!(histogram.counts().quantile(0.5), None);
        for _ in 0..10 {
            histogram.observe(Lane::mine(), Duration::from_micros(700));
        }
        // histogram_quantile(0.5) over ten in (0.0005, 0.001].
        let half = histogram.counts().quantile(0.5).unwrap();
        assert!((half - 0.000_75).abs() < 1e-9, "{half}");
        histogram.observe(Lane::mine(), Duration::from_secs(60));
        assert_eq!(histogram.counts().quantile(0.99), Some(10.0));
    }

    #[test]
    fn the_difference_of_two_moments_is_what_came_between() {
        let histogram = Histogram::new(AGE);
        histogram.observe(Lane::mine(), Duration::from_secs(2));
        let then = histogram.counts();
        histogram.observe(Lane::mine(), Duration::from_secs(2));
        histogram.observe(Lane::mine(), Duration::from_secs(90_000));
        let mut between = histogram.counts().since(&then);
        assert_eq!(between.count(), 2);
        between.add(&then);
        assert_eq!(between, histogram.counts());
    }
}
