use serde::{Deserialize, Serialize};

/// What was answered, of a route or of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) hit: u64,
    pub(crate) stale: u64,
    pub(crate) coalesced: u64,
    pub(crate) miss: u64,
    pub(crate) bypass: u64,
    pub(crate) error: u64,
    /// Of what the cache had a part in; see [`hit_rate`].
    pub(crate) hit_rate: Option<f64>,
    /// Milliseconds to the last byte. Of several nodes the worst: percentiles cannot be averaged.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Of bodies sent.
    pub(crate) bytes: u64,
    /// Calls of the origin that stored answers made needless.
    pub(crate) saved_calls: u64,
    /// The time that they would have taken.
    pub(crate) saved_seconds: f64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { calls, hit, stale, coalesced, miss, bypass, error, hit_rate: _, p50_ms, p95_ms, p99_ms, .. } = other;
        for (mine, other) in [
            (&mut self.calls, calls),
            (&mut self.hit, hit),
            (&mut self.stale, stale),
            (&mut self.coalesced, coalesced),
            (&mut self.miss, miss),
            (&mut self.bypass, bypass),
            (&mut self.error, error),
            (&mut self.bytes, &other.bytes),
            (&mut self.saved_calls, &other.saved_calls),
        ] {
            *mine = mine.saturating_add(*other);
        }
        self.saved_seconds += other.saved_seconds;
        for (mine, other) in [(&mut self.p50_ms, p50_ms), (&mut self.p95_ms, p95_ms), (&mut self.p99_ms, p99_ms)] {
            *mine = worst(*mine, *other);
        }
        self.hit_rate =
            hit_rate(self.hit.saturating_add(self.stale) as f64, self.coalesced.saturating_add(self.miss) as f64);
    }

    pub(crate) fn error_rate(&self) -> Option<f64> {
        share(self.error as f64, self.calls as f64)
    }
}

/// The larger of what is known.
pub(crate) fn worst(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}

/// Bypasses and errors are no part of it: of them the cache could not have served any.
pub(crate) fn hit_rate(served: f64, filled: f64) -> Option<f64> {
    share(served, served + filled)
}

pub(crate) fn share(part: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| part / of)
}
