use std::time::Duration;

/// No breaker stays open for longer, whatever it was told: a later instant might not exist.
const RESET_LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// When a breaker opens and how long it stays so. There is no wrong value: each field says what its extremes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it; 0: they never do. Default: 3.
    pub failures: u32,
    /// Calls that ended within this time count for the two percentages. It slides in steps of a tenth. Default: 10 s.
    pub window: Duration,
    /// Calls that the window must hold before a percentage of them says anything. Default: 20.
    pub window_calls_min: u32,
    /// Failures in the window that open it, in percent of its calls; 0: any failure does; over 100: they never do. Default: 50.
    pub failure_percent: u8,
    /// A call is slow from this time on, whether it failed or not. Default: 1 s.
    pub slow: Duration,
    /// Slow calls in the window that open it, in percent of its calls; 0: any slow call does; over 100: they never do. Where they may,
    /// a slow probe is a failed one. Default: 101.
    pub slow_percent: u8,
    /// First time it stays open, less up to a tenth, drawn at random. Default: 1 s.
    pub reset: Duration,
    /// Longest time it stays open, at most a day; each failed probe doubles the time up to this. Default: 4 s.
    pub reset_max: Duration,
    /// Calls in flight up to which it ramps after a probe that went well; below 2 it closes at once. Default: 16.
    pub ramp_max: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 3,
            window: Duration::from_secs(10),
            window_calls_min: 20,
            failure_percent: 50,
            slow: Duration::from_secs(1),
            slow_percent: 101,
            reset: Duration::from_secs(1),
            reset_max: Duration::from_secs(4),
            ramp_max: 16,
        }
    }
}

impl BreakerConfig {
    /// How long it stays open, before jitter, if it was open for `last` when a probe or the ramp failed, or was closed.
    pub(crate) fn reset_after(&self, last: Option<Duration>) -> Duration {
        last.map_or(self.reset, |last| last.saturating_mul(2)).min(self.reset_max).min(RESET_LONGEST)
    }

    /// Whether slow calls may open it.
    pub(crate) const fn minds_slow(&self) -> bool {
        self.slow_percent <= 100
    }
}
