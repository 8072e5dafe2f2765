use std::{borrow::Cow, time::Duration};

use tokio::time::Instant;

use crate::{
    BreakerConfig,
    machine::{Change, Jitter, Machine, Report, Ticket},
    sync::{Arc, Mutex},
};

/// What a breaker does with calls now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Lets them through.
    Closed,
    /// Refuses them.
    Open,
    /// Lets one through, to see; if that went well, a few at once, then more.
    HalfOpen,
}

impl State {
    /// As a gauge shows it: 0 closed, 1 half-open, 2 open.
    #[must_use]
    pub const fn as_gauge(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }

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

/// The breaker is open, or as many calls as it lets through are out: the call was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker is open")]
pub struct Open {
    /// Time until the next probe may go; zero while one is out, and in the ramp after it.
    pub retry_after: Duration,
}

/// What a breaker did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakerCounts {
    /// Times that it opened; each failed probe counts as one.
    pub opened: u64,
    /// Calls that it refused.
    pub refused: u64,
    /// Probes that it let through, cancelled ones too.
    pub probes: u64,
}

/// A circuit breaker; see the [crate's page](crate) for its rules. Cheap to clone; clones share its state.
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Cow<'static, str>,
    machine: Mutex<Machine>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self::named("unnamed", config)
    }

    /// A closed breaker, which the log calls `name`.
    #[must_use]
    pub fn named(name: impl Into<Cow<'static, str>>, config: BreakerConfig) -> Self {
        Self::build(name.into(), config, Jitter::new(rand::random::<f64>))
    }

    /// A closed breaker that draws the jitter of its reset times from `unit`, which gives numbers from 0 (the whole time) to 1 (a tenth
    /// less). `unit` must not use the breaker.
    #[must_use]
    pub fn with_jitter(config: BreakerConfig, unit: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self::build("unnamed".into(), config, Jitter::new(unit))
    }

    fn build(name: Cow<'static, str>, config: BreakerConfig, jitter: Jitter) -> Self {
        Self(Arc::new(Shared { name, machine: Mutex::new(Machine::new(config, jitter)) }))
    }

    /// What it does with calls now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state_at(Instant::now())
    }

    pub(crate) fn state_at(&self, now: Instant) -> State {
        self.0.machine.lock().state(now)
    }

    /// Time until the next probe may go; zero unless it is [`State::Open`].
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.0.machine.lock().retry_after(Instant::now())
    }

    /// What it did since it was made.
    #[must_use]
    pub fn counts(&self) -> BreakerCounts {
        self.0.machine.lock().counts()
    }

    /// Leave to make one call. Report how it went; a permit that is dropped unreported (the call was cancelled) says nothing, but gives
    /// its place back. So a timeout belongs inside the call: around it, it cancels, and a call that never ends holds its place.
    ///
    /// # Errors
    /// [`Open`]: make no call.
    pub fn try_acquire(&self) -> Result<Permit, Open> {
        self.try_acquire_at(Instant::now())
    }

    pub(crate) fn try_acquire_at(&self, now: Instant) -> Result<Permit, Open> {
        let ticket = self.0.machine.lock().try_acquire(now)?;
        Ok(Permit { breaker: self.clone(), ticket: Some(ticket) })
    }

    /// Opens it at once, because somebody else found out that the callee is gone: as if its calls had failed, or its probe. An open
    /// breaker stays as it is.
    pub fn trip(&self) {
        self.trip_at(Instant::now());
    }

    pub(crate) fn trip_at(&self, now: Instant) {
        let change = self.0.machine.lock().trip(now);
        self.tell(change);
    }

    /// Called without the lock: whoever writes the log may be slow.
    fn tell(&self, change: Option<Change>) {
        let name = &*self.0.name;
        match change {
            Some(Change::Opened { cause, wait }) => {
                let (cause, wait_ms) = (cause.as_str(), wait.as_millis());
                tracing::info!(breaker = name, cause, wait_ms, "circuit breaker opened");
            }
            Some(Change::Closed) => tracing::info!(breaker = name, "circuit breaker closed"),
            None => {}
        }
    }
}

/// Leave to make one call; see [`Breaker::try_acquire`].
#[derive(Debug)]
#[must_use = "report how the call went"]
pub struct Permit {
    breaker: Breaker,
    /// Until it is reported.
    ticket: Option<Ticket>,
}

impl Permit {
    /// The call went well.
    pub fn success(self) {
        self.report_at(Instant::now(), Report::Success);
    }

    /// The call failed, in a way that says something of the callee's health.
    pub fn failure(self) {
        self.report_at(Instant::now(), Report::Failure);
    }

    /// The call failed, in a way that says something only where many do: it counts in the window's percentage, and neither begins nor ends a
    /// row of failures. As a probe it failed; the ramp goes on.
    pub fn weak_failure(self) {
        self.report_at(Instant::now(), Report::WeakFailure);
    }

    pub(crate) fn report_at(mut self, now: Instant, report: Report) {
        if let Some(ticket) = self.ticket.take() {
            let change = self.breaker.0.machine.lock().report(ticket, now, report);
            self.breaker.tell(change);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker.0.machine.lock().give_back(ticket);
        }
    }
}

#[cfg(all(test, not(edge_cache_loom)))]
mod tests;
