use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{BreakerConfig, BreakerCounts, Open, State, window::Window};

/// Calls in flight when the ramp begins.
const RAMP_FIRST: u32 = 2;

/// The breaker without its lock and its clock.
#[derive(Debug)]
pub(crate) struct Machine {
    config: BreakerConfig,
    jitter: Jitter,
    phase: Phase,
    /// Rises with every change of phase: what a call learns counts only in the phase it began in.
    epoch: u64,
    /// Calls of this phase.
    window: Window,
    counts: BreakerCounts,
}

/// `lasts` is how long it was last to stay open, before jitter.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { in_a_row: u32 },
    Open { until: Instant, lasts: Duration },
    Probing { is_out: bool, lasts: Duration },
    Ramping { ramp: Ramp, lasts: Duration },
}

/// A round is over when as many calls went well as may be in flight.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    allowed: u32,
    in_flight: u32,
    went_well: u32,
}

/// One call that was let through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    epoch: u64,
    began: Instant,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Success,
    Failure,
    /// Counts where many do.
    WeakFailure,
}

/// A change worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Opened { cause: Cause, wait: Duration },
    Closed,
}

/// What opened a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    FailuresInARow,
    FailurePercent,
    SlowPercent,
    Probe,
    Ramp,
    Trip,
}

impl Cause {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::FailuresInARow => "failures in a row",
            Self::FailurePercent => "percentage of failures",
            Self::SlowPercent => "percentage of slow calls",
            Self::Probe => "failed probe",
            Self::Ramp => "failure in the ramp",
            Self::Trip => "tripped",
        }
    }
}

/// Numbers from 0 to 1.
pub(crate) struct Jitter(Box<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    pub(crate) fn new(unit: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Box::new(unit))
    }

    /// `time` less up to a tenth: never more, so that the longest time is kept.
    fn shorten(&self, time: Duration) -> Duration {
        let unit = (self.0)();
        // What is no share of one, or no number, must not panic below.
        let unit = if (0.0..=1.0).contains(&unit) { unit } else { 0.0 };
        time.saturating_sub((time / 10).mul_f64(unit))
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

impl Machine {
    pub(crate) fn new(config: BreakerConfig, jitter: Jitter) -> Self {
        let (phase, window) = (Phase::Closed { in_a_row: 0 }, Window::new(config.window));
        Self { config, jitter, phase, epoch: 0, window, counts: BreakerCounts::default() }
    }

    pub(crate) fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until, .. } if now < until => State::Open,
            Phase::Open { .. } | Phase::Probing { .. } | Phase::Ramping { .. } => State::HalfOpen,
        }
    }

    pub(crate) fn retry_after(&self, now: Instant) -> Duration {
        match self.phase {
            Phase::Open { until, .. } => until.saturating_duration_since(now),
            Phase::Closed { .. } | Phase::Probing { .. } | Phase::Ramping { .. } => Duration::ZERO,
        }
    }

    pub(crate) const fn counts(&self) -> BreakerCounts {
        self.counts
    }

    pub(crate) fn try_acquire(&mut self, now: Instant) -> Result<Ticket, Open> {
        match &mut self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until, lasts } if now >= *until => {
                let phase = Phase::Probing { is_out: true, lasts: *lasts };
                self.enter(phase);
                self.counts.probes += 1;
            }
            Phase::Probing { is_out: is_out @ false, .. } => {
                *is_out = true;
                self.counts.probes += 1;
            }
            Phase::Ramping { ramp, .. } if ramp.in_flight < ramp.allowed => ramp.in_flight += 1,
            Phase::Open { .. } | Phase::Probing { .. } | Phase::Ramping { .. } => {
                self.counts.refused += 1;
                return Err(Open { retry_after: self.retry_after(now) });
            }
        }
        Ok(Ticket { epoch: self.epoch, began: now })
    }

    /// The call went well, or failed.
    pub(crate) fn report(&mut self, ticket: Ticket, now: Instant, report: Report) -> Option<Change> {
        let failed = report != Report::Success;
        if ticket.epoch != self.epoch {
            return None;
        }
        let slow = now.saturating_duration_since(ticket.began) >= self.config.slow;
        match &mut self.phase {
            Phase::Closed { in_a_row } => {
                match report {
                    Report::Success => *in_a_row = 0,
                    Report::Failure => *in_a_row = in_a_row.saturating_add(1),
                    Report::WeakFailure => {}
                }
                let is_row =
                    report == Report::Failure && self.config.failures != 0 && *in_a_row >= self.config.failures;
                let by_window = self.record(now, failed, slow);
                let cause = if is_row { Some(Cause::FailuresInARow) } else { by_window };
                cause.map(|cause| self.open(now, cause))
            }
            Phase::Probing { .. } if failed || (slow && self.config.minds_slow()) => Some(self.open(now, Cause::Probe)),
            Phase::Probing { lasts, .. } => {
                let ramp = Ramp { allowed: RAMP_FIRST, in_flight: 0, went_well: 0 };
                let phase = Phase::Ramping { ramp, lasts: *lasts };
                if self.config.ramp_max < RAMP_FIRST {
                    return Some(self.close());
                }
                self.enter(phase);
                None
            }
            Phase::Ramping { .. } if report == Report::Failure => Some(self.open(now, Cause::Ramp)),
            Phase::Ramping { ramp, .. } => {
                let is_over = ramp.count(self.config.ramp_max);
                match self.record(now, failed, slow) {
                    Some(cause) => Some(self.open(now, cause)),
                    None if is_over => Some(self.close()),
                    None => None,
                }
            }
            // No call begins while it is open.
            Phase::Open { .. } => None,
        }
    }

    /// The call was cancelled, or says nothing.
    pub(crate) fn give_back(&mut self, ticket: Ticket) {
        if ticket.epoch != self.epoch {
            return;
        }
        match &mut self.phase {
            Phase::Probing { is_out, .. } => *is_out = false,
            Phase::Ramping { ramp, .. } => ramp.in_flight -= 1,
            Phase::Closed { .. } | Phase::Open { .. } => {}
        }
    }

    /// As if enough calls had failed.
    pub(crate) fn trip(&mut self, now: Instant) -> Option<Change> {
        (self.state(now) != State::Open).then(|| self.open(now, Cause::Trip))
    }

    /// Counts a call in the window; gives what that opens the breaker for.
    fn record(&mut self, now: Instant, failed: bool, slow: bool) -> Option<Cause> {
        let total = self.window.record(now, failed, slow);
        // More than all calls is never reached.
        let reaches = |part: u64, percent: u8| part > 0 && part * 100 >= total.calls * u64::from(percent);
        if total.calls < u64::from(self.config.window_calls_min) {
            None
        } else if reaches(total.failed, self.config.failure_percent) {
            Some(Cause::FailurePercent)
        } else if reaches(total.slow, self.config.slow_percent) {
            Some(Cause::SlowPercent)
        } else {
            None
        }
    }

    fn open(&mut self, now: Instant, cause: Cause) -> Change {
        let last = match self.phase {
            Phase::Closed { .. } => None,
            Phase::Open { lasts, .. } | Phase::Probing { lasts, .. } | Phase::Ramping { lasts, .. } => Some(lasts),
        };
        let lasts = self.config.reset_after(last);
        let wait = self.jitter.shorten(lasts);
        self.enter(Phase::Open { until: now + wait, lasts });
        self.counts.opened += 1;
        Change::Opened { cause, wait }
    }

    fn close(&mut self) -> Change {
        self.enter(Phase::Closed { in_a_row: 0 });
        Change::Closed
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
        self.window.clear();
    }
}

impl Ramp {
    /// Counts a call that went well; gives whether the whole ramp is over.
    const fn count(&mut self, max: u32) -> bool {
        self.in_flight -= 1;
        self.went_well += 1;
        if self.went_well < self.allowed {
            return false;
        }
        self.went_well = 0;
        let is_over = self.allowed > max / 2;
        self.allowed = self.allowed.saturating_mul(2);
        is_over
    }
}
