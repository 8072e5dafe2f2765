//! What a call tells the breaker of its origin.

use edge_cache_breaker::Permit;

/// How an origin did at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It answered.
    Fine,
    /// It answers that something behind it fails (502, 503, 504), closed the connection instead, or took too long for this one while it answered others. An
    /// application may do so on purpose at single requests: only the rate of it says that the origin is ill.
    Failing,
    /// No connection, or no answer in time to anybody: a few in a row, and it is left alone.
    Unreachable,
}

/// Tells the breaker.
pub(super) fn report(permit: Permit, said: Said) {
    match said {
        Said::Fine => permit.success(),
        Said::Failing => permit.weak_failure(),
        Said::Unreachable => permit.failure(),
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_breaker::{Breaker, BreakerConfig, State};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handful_of_failing_answers_cuts_nobody_off() {
        let breaker = Breaker::new(BreakerConfig::default());
        let say = |said| report(breaker.try_acquire().unwrap(), said);
        for _ in 0..10 {
            say(Said::Failing);
        }
        assert_eq!(breaker.state(), State::Closed);
        for _ in 0..10 {
            say(Said::Fine);
        }
        assert_eq!(breaker.state(), State::Open, "half of twenty");
        let breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..3 {
            report(breaker.try_acquire().unwrap(), Said::Unreachable);
        }
        assert_eq!(breaker.state(), State::Open);
    }
}
