use std::{fmt, sync::Arc, time::Duration};

const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(60);
/// Longest that a receiver can make us wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5 * 60);

/// Waits between attempts: at random up to a bound that doubles ("full jitter"), so that many nodes do not come back at once.
#[derive(Clone)]
pub(super) struct Backoff {
    first: Duration,
    /// A number from `[0, 1)`.
    unit: Arc<dyn Fn() -> f64 + Send + Sync>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(FIRST, rand::random::<f64>)
    }
}

impl Backoff {
    pub(super) fn new(first: Duration, unit: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self { first, unit: Arc::new(unit) }
    }

    /// The wait after the attempt numbered `attempt`, from 1 on, whose answer may have asked for one.
    pub(super) fn wait(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let bound =
            || self.first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(MOST.max(self.first));
        retry_after.map_or_else(|| bound().mul_f64((self.unit)()), |asked| asked.min(RETRY_AFTER_MAX))
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").field("first", &self.first).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_and_is_bounded_itself() {
        let backoff = Backoff::new(Duration::from_secs(1), || 0.5);
        let waits = [1, 2, 3, 6, 7, 8, u32::MAX].map(|attempt| backoff.wait(attempt, None).as_millis());
        assert_eq!(waits, [500, 1000, 2000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(Backoff::new(FIRST, || 0.0).wait(3, None), Duration::ZERO, "down to nothing");
    }

    #[test]
    fn what_the_receiver_asks_for_counts_up_to_five_minutes() {
        let wait = |secs| Backoff::default().wait(1, Some(Duration::from_secs(secs))).as_secs();
        assert_eq!([0, 7, 300, 301, u64::MAX].map(wait), [0, 7, 300, 300, 300]);
    }
}
