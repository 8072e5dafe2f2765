use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// By how much timers may be late without a slot being lost: their own granularity.
const LATE: Duration = Duration::from_millis(1);

/// Slots in time, one every `interval`.
///
/// Slots that nobody takes are lost, so a pause is not followed by a burst: within any time `w` at most `(w + 1 ms) / interval + 1`
/// slots are taken. A slot that turned out not to be needed can be given back.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the next slot is.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, next: Mutex::new(Instant::now()) }
    }

    /// Waits for the next slot and takes it. Dropping the future takes none.
    pub(super) async fn slot(&self) {
        while let Err(next) = self.take() {
            sleep_until(next).await;
        }
    }

    fn take(&self) -> Result<(), Instant> {
        let (now, mut next) = (Instant::now(), self.next());
        if now < *next {
            return Err(*next);
        }
        *next = now.checked_sub(LATE).map_or(*next, |past| past.max(*next)) + self.interval;
        Ok(())
    }

    /// A slot was taken, and the origin was not asked.
    pub(super) fn give_back(&self) {
        let mut next = self.next();
        *next = next.checked_sub(self.interval).unwrap_or(*next);
    }

    /// The origin was asked, perhaps, and no slot was taken.
    pub(super) fn owe(&self) {
        let mut next = self.next();
        *next = (*next).max(Instant::now()) + self.interval;
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().expect("nobody panics with the lock")
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(10);

    async fn taken_within(pace: &Pace, time: Duration) -> usize {
        let mut count = 0;
        drop(
            timeout(time, async {
                loop {
                    pace.slot().await;
                    count += 1;
                }
            })
            .await,
        );
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_every_interval_and_no_burst_after_a_pause() {
        let pace = Pace::new(INTERVAL);
        assert_eq!(taken_within(&pace, Duration::from_millis(95)).await, 10, "0, 10, … 90");
        advance(Duration::from_secs(60)).await;
        assert_eq!(taken_within(&pace, Duration::from_millis(8)).await, 1, "what was not taken is lost");
        assert_eq!(taken_within(&Pace::new(INTERVAL), Duration::from_millis(1)).await, 1, "the first is at once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_is_there_at_once_and_what_is_owed_is_waited_for() {
        let pace = Pace::new(INTERVAL);
        pace.slot().await;
        assert!(pace.take().is_err());
        pace.give_back();
        assert!(pace.take().is_ok() && pace.take().is_err());
        pace.owe();
        pace.owe();
        assert_eq!(taken_within(&pace, Duration::from_millis(29)).await, 0);
        assert_eq!(taken_within(&pace, Duration::from_millis(1)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_interval_there_is_no_waiting() {
        let pace = Pace::new(Duration::ZERO);
        for _ in 0..1000 {
            assert!(pace.take().is_ok());
        }
    }
}
