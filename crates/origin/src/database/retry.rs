//! Asking once more, for reads: seldom, and not all together.

use std::fmt;
use std::time::Duration;

use tower::retry::budget::{Budget, TpsBudget};

use super::{DbError, Unavailable};

/// Attempts after the first.
const RETRIES_MAX: u32 = 2;
/// The longest pause before the first of them; each doubles it.
const PAUSE: Duration = Duration::from_millis(100);
/// For how long what was asked counts toward the budget.
const WINDOW: Duration = Duration::from_secs(10);
/// Retries for each question asked.
const SHARE: f32 = 0.1;
/// Retries in a second that need no questions before.
const SPARE: u32 = 1;

/// A budget: one retry for each ten questions, so that a database in trouble is not asked much more for it.
pub(super) struct Retries(TpsBudget);

impl Default for Retries {
    fn default() -> Self {
        Self(TpsBudget::new(WINDOW, SPARE, SHARE))
    }
}

impl fmt::Debug for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retries").finish_non_exhaustive()
    }
}

impl Retries {
    /// A question was asked.
    pub(super) fn asked(&self) {
        self.0.deposit();
    }

    /// How long to wait before the question is asked again, after `attempts` retries: with full jitter, drawn by `unit` from `[0, 1)`.
    /// `None` where it should not be.
    pub(super) fn pause(&self, error: &DbError, attempts: u32, unit: f64) -> Option<Duration> {
        let passing = match error {
            DbError::Unavailable { reason, .. } => matches!(reason, Unavailable::Connect | Unavailable::Broken),
            DbError::Contention { .. } => true,
            _ => false,
        };
        (passing && attempts < RETRIES_MAX && self.0.withdraw()).then(|| (PAUSE * 2_u32.pow(attempts)).mul_f64(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> DbError {
        DbError::Unavailable { reason: Unavailable::Broken, source: None }
    }

    #[test]
    fn the_pause_doubles_and_is_jittered_from_nothing_to_all_of_it() {
        let retries = Retries::default();
        assert_eq!(retries.pause(&broken(), 0, 0.0), Some(Duration::ZERO));
        assert_eq!(retries.pause(&broken(), 0, 0.5), Some(Duration::from_millis(50)));
        assert_eq!(retries.pause(&broken(), 1, 0.5), Some(Duration::from_millis(100)));
        assert_eq!(retries.pause(&broken(), 2, 0.5), None);
    }

    #[test]
    fn only_what_may_pass_by_itself_is_asked_again() {
        let retries = Retries::default();
        for reason in
            [Unavailable::Stalled, Unavailable::PoolTimeout, Unavailable::BreakerOpen, Unavailable::Overloaded]
        {
            assert_eq!(retries.pause(&DbError::Unavailable { reason, source: None }, 0, 0.5), None, "{reason}");
        }
        assert_eq!(retries.pause(&DbError::Timeout { source: "late".into() }, 0, 0.5), None);
        assert!(retries.pause(&DbError::Contention { source: "lost".into() }, 0, 0.5).is_some());
    }

    #[test]
    fn a_database_in_trouble_is_asked_a_tenth_more_and_a_little() {
        let retries = Retries::default();
        let granted = |questions: u32| {
            let mut granted = 0;
            for _ in 0..questions {
                retries.asked();
                granted += u32::from(retries.pause(&broken(), 0, 0.5).is_some());
            }
            granted
        };
        let (all, spare) = (granted(1000), SPARE * 10);
        assert!((100..=100 + spare).contains(&all), "{all} of 1000");
    }
}
