use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tower::BoxError;

use crate::Breaker;

/// Whoever sets a longer limit means none.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

impl Breaker {
    /// Makes one call within `limit`, and reports how it went: an error counts as a failure, and so does an answer that does not come in time.
    ///
    /// # Errors
    /// [`Open`](crate::Open) where no call was made, the call's own error, or [`Elapsed`](tokio::time::error::Elapsed).
    pub async fn call<T, E: Into<BoxError>>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BoxError> {
        let began = Instant::now();
        let permit = self.try_acquire_at(began)?;
        // Where no such instant exists there is no limit.
        let ends = began.checked_add(limit).unwrap_or(began + LONGEST);
        let answer = match timeout_at(ends, call).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(elapsed) => Err(elapsed.into()),
        };
        match &answer {
            Ok(_) => permit.success(),
            Err(_) => permit.failure(),
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use crate::{BreakerConfig, Open, State};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn errors_and_silence_open_it_and_then_nothing_is_called() {
        let breaker = Breaker::new(BreakerConfig::default());
        assert_eq!(breaker.call(LIMIT, async { Ok::<_, BoxError>(7) }).await.unwrap(), 7);
        let refused = breaker.call(LIMIT, async { Err::<(), _>("refused") }).await.unwrap_err();
        assert_eq!(refused.to_string(), "refused");
        for _ in 0..2 {
            let late = breaker.call(LIMIT, std::future::pending::<Result<(), BoxError>>()).await.unwrap_err();
            assert!(late.is::<tokio::time::error::Elapsed>(), "{late}");
        }
        assert_eq!(breaker.state(), State::Open);
        let open = breaker.call(LIMIT, async { panic!("called") as Result<(), BoxError> }).await.unwrap_err();
        assert!(open.is::<Open>(), "{open}");
    }
}
