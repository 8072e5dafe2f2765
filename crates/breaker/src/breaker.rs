use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// When a breaker opens and how long it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it. Default: 3.
    pub failures: u32,
    /// First time it stays open. Default: 1 s.
    pub reset: Duration,
    /// Longest time it stays open; each failed probe doubles the time up to this. Default: 4 s.
    pub reset_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: 3, reset: Duration::from_secs(1), reset_max: Duration::from_secs(4) }
    }
}

/// What a breaker does with calls now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Lets them through.
    Closed,
    /// Refuses them.
    Open,
    /// Lets one through, to see.
    HalfOpen,
}

impl State {
    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The breaker is open: the call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker is open")]
pub struct Open;

/// A circuit breaker. Cheap to clone; clones share its state.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// Rises with every change of phase: what a call learns counts only in the phase it began in.
    epoch: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Instant, lasts: Duration },
    HalfOpen { lasts: Duration, probing: bool },
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, inner: Arc::new(Mutex::new(Inner { phase: Phase::Closed { failures: 0 }, epoch: 0 })) }
    }

    /// What it does with calls now.
    #[must_use]
    pub fn state(&self) -> State {
        match self.inner.lock().phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until, .. } if Instant::now() < until => State::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Leave to make one call. Report how it went; a permit that is dropped unreported (the call was cancelled) says nothing,
    /// but gives the probe's place back.
    ///
    /// # Errors
    /// [`Open`]: make no call.
    pub fn try_acquire(&self) -> Result<Permit, Open> {
        let mut inner = self.inner.lock();
        match inner.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until, lasts } if Instant::now() >= until => {
                inner.phase = Phase::HalfOpen { lasts, probing: true };
                inner.epoch += 1;
            }
            Phase::HalfOpen { lasts, probing: false } => inner.phase = Phase::HalfOpen { lasts, probing: true },
            Phase::Open { .. } | Phase::HalfOpen { .. } => return Err(Open),
        }
        Ok(Permit { breaker: self.clone(), epoch: inner.epoch, reported: false })
    }
}

impl Inner {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

/// Leave to make one call; see [`Breaker::try_acquire`].
#[derive(Debug)]
#[must_use = "report how the call went"]
pub struct Permit {
    breaker: Breaker,
    epoch: u64,
    reported: bool,
}

impl Permit {
    /// The call went well.
    pub fn success(mut self) {
        self.reported = true;
        let mut inner = self.breaker.inner.lock();
        if inner.epoch != self.epoch {
            return;
        }
        match inner.phase {
            Phase::Closed { .. } => inner.phase = Phase::Closed { failures: 0 },
            Phase::HalfOpen { .. } => inner.enter(Phase::Closed { failures: 0 }),
            Phase::Open { .. } => {}
        }
    }

    /// The call failed, in a way that says something of the callee's health.
    pub fn failure(mut self) {
        self.reported = true;
        let BreakerConfig { failures: limit, reset, reset_max } = self.breaker.config;
        let mut inner = self.breaker.inner.lock();
        if inner.epoch != self.epoch {
            return;
        }
        match inner.phase {
            Phase::Closed { failures } if failures + 1 >= limit => {
                inner.enter(Phase::Open { until: Instant::now() + reset, lasts: reset });
            }
            Phase::Closed { failures } => inner.phase = Phase::Closed { failures: failures + 1 },
            Phase::HalfOpen { lasts, .. } => {
                let lasts = (lasts * 2).min(reset_max);
                inner.enter(Phase::Open { until: Instant::now() + lasts, lasts });
            }
            Phase::Open { .. } => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.reported {
            return;
        }
        let mut inner = self.breaker.inner.lock();
        if inner.epoch == self.epoch
            && let Phase::HalfOpen { lasts, probing: true } = inner.phase
        {
            inner.phase = Phase::HalfOpen { lasts, probing: false };
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn opened() -> Breaker {
        let breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..3 {
            breaker.try_acquire().unwrap().failure();
        }
        assert_eq!(breaker.state(), State::Open);
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn opens_at_the_third_failure_in_a_row() {
        let breaker = Breaker::new(BreakerConfig::default());
        let fail = || breaker.try_acquire().unwrap().failure();
        fail();
        fail();
        breaker.try_acquire().unwrap().success();
        fail();
        fail();
        assert_eq!(breaker.state(), State::Closed);
        fail();
        assert_eq!(breaker.try_acquire().unwrap_err(), Open);
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_decides() {
        let breaker = opened();
        advance(Duration::from_millis(999)).await;
        assert!(breaker.try_acquire().is_err());
        advance(Duration::from_millis(1)).await;
        let probe = breaker.try_acquire().unwrap();
        assert!(breaker.try_acquire().is_err(), "one at a time");
        probe.success();
        assert_eq!(breaker.state(), State::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_probes_double_the_reset_up_to_its_limit() {
        let breaker = opened();
        for secs in [1, 2, 4, 4] {
            advance(Duration::from_secs(secs) - Duration::from_millis(1)).await;
            assert!(breaker.try_acquire().is_err(), "{secs}");
            advance(Duration::from_millis(1)).await;
            breaker.try_acquire().unwrap().failure();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_gives_its_place_back() {
        let breaker = opened();
        advance(Duration::from_secs(1)).await;
        drop(breaker.try_acquire().unwrap());
        breaker.try_acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn late_news_from_before_the_opening_does_not_count() {
        let breaker = Breaker::new(BreakerConfig::default());
        let late = breaker.try_acquire().unwrap();
        for _ in 0..3 {
            breaker.try_acquire().unwrap().failure();
        }
        advance(Duration::from_secs(1)).await;
        let probe = breaker.try_acquire().unwrap();
        late.success();
        assert_eq!(breaker.state(), State::HalfOpen);
        probe.failure();
        assert_eq!(breaker.state(), State::Open);
    }
}
