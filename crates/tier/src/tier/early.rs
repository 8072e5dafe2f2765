//! Early refresh: a hot entry is asked for anew behind a hit shortly before it ends, so that nobody waits at its end.

use std::time::Duration;

use edge_cache_core::{Head, Timestamp};

/// A fill time below this share of a lifetime counts as that share: what is refreshed only a few milliseconds early is, unless thousands
/// ask for it each second, not refreshed early at all.
const LIFETIME_SHARE: u32 = 100;
/// And that share as at most this.
const SHARE_MAX: Duration = Duration::from_secs(1);
/// −ln of the smallest number above 0 that is drawn: whoever has more time left than so many times δ·β need not draw.
const DRAWN_MAX: f64 = 37.0;

/// Whether to ask anew for what is still fresh: each hit draws, and the nearer the end, and the longer a fill takes, the likelier
/// (XFetch: A. Vattani et al., Optimal Probabilistic Cache Stampede Prevention, VLDB 2015).
///
/// With r hits a second, the chance that none of them draws it before the end is exp(−r·β·δ), where δ is the fill time.
/// `unit` is drawn evenly from `[0, 1)`; `beta` 0 is never.
pub(super) fn is_due(head: &Head, beta: f64, now: Timestamp, unit: impl FnOnce() -> f64) -> bool {
    if beta <= 0.0 {
        return false;
    }
    let freshness = &head.freshness;
    let ahead = beta * delta(head).as_secs_f64();
    let left = freshness.fresh_until.since(now).as_secs_f64();
    left <= ahead * DRAWN_MAX && left <= ahead * -(1.0 - unit()).ln()
}

/// δ: how long a fill takes, at least.
fn delta(head: &Head) -> Duration {
    let lifetime = head.freshness.fresh_until.since(head.freshness.stored);
    Duration::from_millis(head.fill_millis.into()).max((lifetime / LIFETIME_SHARE).min(SHARE_MAX))
}

/// How long fills of a key take, from how long they took before and this time: the newest counts a quarter.
pub(super) fn smoothed(before: Option<u32>, took: Duration) -> Duration {
    match before {
        Some(before) => (Duration::from_millis(before.into()) * 3 + took) / 4,
        None => took,
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_testkit::head;

    use super::*;

    fn due(head: &Head, beta: f64, left: Duration, unit: f64) -> bool {
        is_due(head, beta, head.freshness.fresh_until - left, || unit)
    }

    #[test]
    fn the_nearer_the_end_and_the_slower_the_fill_the_likelier() {
        // −ln(1 − 0.632…) is 1: exactly δ before the end.
        let one = 1.0 - (-1.0_f64).exp();
        let slow = head(300, 4_000);
        assert!(
            due(&slow, 1.0, Duration::from_millis(3_999), one) && !due(&slow, 1.0, Duration::from_millis(4_001), one)
        );
        assert!(due(&slow, 2.0, Duration::from_millis(7_999), one), "β stretches");
        // A quick fill counts as a hundredth of the lifetime, and that as at most a second.
        let quick = |lifetime| head(lifetime, 2);
        assert!(
            due(&quick(60), 1.0, Duration::from_millis(599), one)
                && !due(&quick(60), 1.0, Duration::from_millis(601), one)
        );
        assert!(due(&quick(3_600), 1.0, Duration::from_millis(999), one));
        assert!(!due(&quick(3_600), 1.0, Duration::from_millis(1_001), one));
    }

    #[test]
    fn off_is_off_and_far_from_the_end_nothing_is_drawn() {
        assert!(!due(&head(300, 4_000), 0.0, Duration::ZERO, 0.999));
        assert!(due(&head(300, 4_000), 1.0, Duration::ZERO, 0.0), "at the end in any case");
        let far = head(300, 1_000);
        assert!(!is_due(&far, 1.0, far.freshness.stored, || panic!("drawn for nothing")));
    }

    /// Hits at any time in the last minute: the chance that none draws a refresh is exp(−r·δ), with r hits a second.
    #[test]
    fn a_hot_key_is_refreshed_before_its_end_and_a_cold_one_mostly_is_not() {
        let head = head(300, 2);
        let mut state = 1_u64;
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut refreshed = |per_second: f64| {
            let runs = 2_000;
            let early = (0..runs).filter(|_| {
                let hits = (60.0 * per_second) as u32;
                (0..hits).any(|_| due(&head, 1.0, Duration::from_secs_f64(60.0 * unit()), unit()))
            });
            early.count() as f64 / f64::from(runs)
        };
        assert!(refreshed(20.0) > 0.999, "1 − exp(−20) is all but one in 500 million");
        let cold = refreshed(0.1);
        assert!((0.02..0.25).contains(&cold), "1 − exp(−0.1) is about a tenth: {cold}");
    }

    #[test]
    fn one_slow_fill_counts_a_quarter() {
        let millis = Duration::from_millis;
        assert_eq!(smoothed(None, millis(7)), millis(7));
        assert_eq!(smoothed(Some(8), millis(100)), millis(31));
    }
}
