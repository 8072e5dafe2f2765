use std::time::Duration;

use tokio::time::Instant;

const BUCKETS: usize = 10;

/// Counts the calls that ended of late. No call counts for longer than the window, and each for at least nine tenths of it.
#[derive(Debug)]
pub(crate) struct Window {
    /// Time that one bucket stands for.
    bucket_nanos: u64,
    /// When the first call was counted: buckets are numbered from here.
    began: Option<Instant>,
    /// Number of the newest bucket.
    newest: u64,
    buckets: [Tally; BUCKETS],
    /// The sum of all buckets.
    total: Tally,
}

/// Calls, and how many of them failed or were slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
}

impl Window {
    pub(crate) fn new(length: Duration) -> Self {
        let bucket_nanos = nanos(length / BUCKETS as u32).max(1);
        Self { bucket_nanos, began: None, newest: 0, buckets: Default::default(), total: Tally::default() }
    }

    /// Forgets all calls.
    pub(crate) fn clear(&mut self) {
        (self.began, self.newest) = (None, 0);
        (self.buckets, self.total) = Default::default();
    }

    /// Counts a call that ended `now`; gives what the window then holds.
    pub(crate) fn record(&mut self, now: Instant, failed: bool, slow: bool) -> Tally {
        let began = *self.began.get_or_insert(now);
        // A clock read before another's, but counted after it, is behind the newest bucket: it counts there.
        let bucket = (nanos(now.saturating_duration_since(began)) / self.bucket_nanos).max(self.newest);
        let passed = (bucket - self.newest).min(BUCKETS as u64);
        self.newest = bucket;
        for old in 0..passed {
            let old = std::mem::take(self.bucket_mut(bucket - old));
            self.total.calls -= old.calls;
            self.total.failed -= old.failed;
            self.total.slow -= old.slow;
        }
        self.bucket_mut(bucket).add(failed, slow);
        self.total.add(failed, slow);
        self.total
    }

    fn bucket_mut(&mut self, number: u64) -> &mut Tally {
        &mut self.buckets[(number % BUCKETS as u64) as usize]
    }
}

impl Tally {
    fn add(&mut self, failed: bool, slow: bool) {
        self.calls += 1;
        self.failed += u64::from(failed);
        self.slow += u64::from(slow);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(edge_cache_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::from_millis(1000);

    proptest! {
        #[test]
        fn counts_as_a_list_of_all_calls_does(
            calls in prop::collection::vec((0_u64..300, any::<bool>(), any::<bool>(), prop::bool::weighted(0.02)), 1..200)
        ) {
            let began = Instant::now();
            let (mut window, mut list, mut at) = (Window::new(LENGTH), Vec::new(), 0);
            for (step, failed, slow, pause) in calls {
                // The first call numbers the buckets; a pause leaves none of the others.
                at += if list.is_empty() { 0 } else if pause { 5000 } else { step };
                list.push((at, failed, slow));
                let total = window.record(began + Duration::from_millis(at), failed, slow);
                let kept = list.iter().filter(|call| call.0 / 100 + 10 > at / 100).copied();
                prop_assert_eq!(total, tally(kept));
                let (inside, longest) = (within(&list, at, 900), within(&list, at, 999));
                prop_assert!(inside.calls <= total.calls && total.calls <= longest.calls, "{:?}", total);
            }
        }
    }

    fn tally(calls: impl Iterator<Item = (u64, bool, bool)>) -> Tally {
        calls.fold(Tally::default(), |mut tally, (_, failed, slow)| {
            tally.add(failed, slow);
            tally
        })
    }

    /// What ended at most `millis` before `at`.
    fn within(list: &[(u64, bool, bool)], at: u64, millis: u64) -> Tally {
        tally(list.iter().filter(|call| call.0 + millis >= at).copied())
    }

    #[test]
    fn a_clock_that_was_read_early_counts_in_the_newest_bucket() {
        let began = Instant::now();
        let mut window = Window::new(LENGTH);
        window.record(began, false, false);
        window.record(began + LENGTH / 2, false, false);
        let total = window.record(began + LENGTH / 5, true, false);
        assert_eq!(total, Tally { calls: 3, failed: 1, slow: 0 });
        // Past the first call's time, within the newest bucket's.
        assert_eq!(window.record(began + LENGTH, false, false).calls, 3);
    }

    #[test]
    fn no_length_is_too_short_or_too_long() {
        let began = Instant::now();
        let mut none = Window::new(Duration::ZERO);
        none.record(began, true, false);
        assert_eq!(none.record(began + Duration::from_nanos(10), true, false).calls, 1);
        let mut ever = Window::new(Duration::MAX);
        ever.record(began, true, false);
        assert_eq!(ever.record(began + Duration::from_secs(1 << 30), true, false).calls, 2);
    }
}
