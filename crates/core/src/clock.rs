//! Time as a parameter: the only place that reads a wall clock.

use std::{
    cell::Cell,
    fmt, ops,
    sync::Arc,
    time::{Duration, Instant},
};

/// A wall-clock instant in whole milliseconds since the Unix epoch.
///
/// Absolute, so it can be copied between tiers, nodes and restarts without anything turning fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch, saturating.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl ops::Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A source of wall time. Services take a [`SharedClock`]; pure functions take `now`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;

    /// The present, for whoever has just read the monotonic clock: `moment`.
    fn at(&self, moment: Instant) -> Timestamp {
        let _just_read = moment;
        self.now()
    }
}

/// A clock shared by a whole stack.
pub type SharedClock = Arc<dyn Clock>;

/// How long the wall clock of a moment ago will do: a machine that was asleep, or whose clock was set, is wrong for so long at most.
const WALL_AGE_MAX: Duration = Duration::from_millis(100);

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The wall clock is asked ten times a second by each thread; in between, a clock that nobody sets is good enough.
    fn at(&self, moment: Instant) -> Timestamp {
        thread_local! {
            static ASKED: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
        }
        ASKED.with(|asked| {
            if let Some((then, at)) = asked.get()
                && let Some(since) = moment.checked_duration_since(then)
                && since < WALL_AGE_MAX
            {
                return at + since;
            }
            let at = self.now();
            asked.set(Some((moment, at)));
            at
        })
    }
}

/// Milliseconds since some moment in this process's life, never stepping back: for leases, which no wall clock may stretch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn monotonic_millis() -> u64 {
    static BEGAN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX)
}
