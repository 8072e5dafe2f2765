use tokio::time::advance;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Without jitter.
fn breaker(config: BreakerConfig) -> Breaker {
    Breaker::with_jitter(config, || 0.0)
}

/// Opens by percentages only.
fn by_percent(failure_percent: u8, slow_percent: u8) -> Breaker {
    breaker(BreakerConfig { failures: 0, failure_percent, slow_percent, ..BreakerConfig::default() })
}

fn succeed(breaker: &Breaker) {
    breaker.try_acquire().unwrap().success();
}

fn fail(breaker: &Breaker) {
    breaker.try_acquire().unwrap().failure();
}

async fn succeed_slowly(breaker: &Breaker) {
    let permit = breaker.try_acquire().unwrap();
    advance(SECOND).await;
    permit.success();
}

fn opened() -> Breaker {
    let breaker = breaker(BreakerConfig::default());
    for _ in 0..3 {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), State::Open);
    breaker
}

/// Its probe went well.
async fn ramping() -> Breaker {
    let breaker = opened();
    advance(SECOND).await;
    succeed(&breaker);
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker
}

/// As many permits as it gives.
fn take_all(breaker: &Breaker) -> Vec<Permit> {
    std::iter::from_fn(|| breaker.try_acquire().ok()).take(1000).collect()
}

#[tokio::test(start_paused = true)]
async fn opens_at_the_third_failure_in_a_row() {
    let breaker = breaker(BreakerConfig::default());
    fail(&breaker);
    fail(&breaker);
    succeed(&breaker);
    fail(&breaker);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_when_to_come_back() {
    let breaker = opened();
    advance(300 * MS).await;
    assert_eq!(breaker.try_acquire().unwrap_err(), Open { retry_after: 700 * MS });
    assert_eq!(breaker.retry_after(), 700 * MS);
    advance(700 * MS).await;
    let probe = breaker.try_acquire().unwrap();
    assert_eq!(breaker.try_acquire().unwrap_err(), Open { retry_after: Duration::ZERO });
    probe.success();
    assert_eq!(breaker.retry_after(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn opens_when_half_of_enough_calls_failed() {
    let breaker = by_percent(50, 101);
    for _ in 0..9 {
        fail(&breaker);
        succeed(&breaker);
    }
    fail(&breaker);
    assert_eq!(breaker.state(), State::Closed, "nineteen calls are too few");
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Open, "ten of twenty failed, whichever came last");
}

#[tokio::test(start_paused = true)]
async fn fewer_failures_than_its_share_leave_it_closed() {
    let breaker = by_percent(50, 101);
    for _ in 0..100 {
        succeed(&breaker);
        succeed(&breaker);
        fail(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn rules_that_are_off_never_open_it() {
    let breaker = by_percent(101, 101);
    let permits = take_all(&breaker);
    advance(2 * SECOND).await;
    permits.into_iter().for_each(Permit::failure);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn at_zero_percent_one_failure_of_enough_calls_opens_it() {
    let breaker = by_percent(0, 101);
    (0..50).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn failures_from_before_the_window_are_forgotten() {
    let breaker = by_percent(50, 101);
    for _ in 0..19 {
        fail(&breaker);
    }
    advance(10 * SECOND).await;
    for _ in 0..9 {
        fail(&breaker);
        succeed(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed, "eighteen calls in the window");
    advance(8 * SECOND + 999 * MS).await;
    fail(&breaker);
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Open, "all of them were in the window still");
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_it_where_they_are_told_to() {
    let breaker = breaker(BreakerConfig {
        window: 100 * SECOND,
        slow_percent: 50,
        failure_percent: 101,
        ..BreakerConfig::default()
    });
    for _ in 0..10 {
        let permit = breaker.try_acquire().unwrap();
        advance(SECOND - MS).await;
        permit.success();
    }
    for _ in 0..9 {
        succeed_slowly(&breaker).await;
    }
    assert_eq!(breaker.state(), State::Closed, "just below a second is not slow");
    succeed_slowly(&breaker).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_has_failed_where_slow_calls_count() {
    for (slow_percent, then) in [(100, State::Open), (101, State::HalfOpen)] {
        let breaker = breaker(BreakerConfig { slow_percent, ..BreakerConfig::default() });
        breaker.trip();
        advance(SECOND).await;
        succeed_slowly(&breaker).await;
        assert_eq!(breaker.state(), then, "{slow_percent}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_decides() {
    let breaker = opened();
    advance(999 * MS).await;
    assert!(breaker.try_acquire().is_err());
    advance(MS).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    let probe = breaker.try_acquire().unwrap();
    assert!(breaker.try_acquire().is_err(), "one at a time");
    probe.failure();
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn failed_probes_double_the_reset_up_to_its_limit() {
    let breaker = opened();
    for secs in [1, 2, 4, 4] {
        advance(Duration::from_secs(secs) - MS).await;
        assert!(breaker.try_acquire().is_err(), "{secs}");
        advance(MS).await;
        fail(&breaker);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_at_most_its_limit_and_a_day() {
    let day = Duration::from_secs(24 * 60 * 60);
    for (reset_max, waits) in [(SECOND, SECOND), (Duration::MAX, day)] {
        let breaker = breaker(BreakerConfig { reset: Duration::MAX, reset_max, ..BreakerConfig::default() });
        breaker.trip();
        assert_eq!(breaker.retry_after(), waits);
    }
}

#[tokio::test(start_paused = true)]
async fn jitter_only_shortens_the_reset() {
    for (unit, millis) in [(0.0, 1000), (0.5, 950), (1.0, 900), (-1.0, 1000), (2.0, 1000), (f64::NAN, 1000)] {
        let breaker = Breaker::with_jitter(BreakerConfig::default(), move || unit);
        breaker.trip();
        assert_eq!(breaker.retry_after(), millis * MS, "{unit}");
    }
}

#[tokio::test(start_paused = true)]
async fn breakers_that_open_at_once_do_not_probe_in_step() {
    let waits = (0..20).map(|_| {
        let breaker = Breaker::new(BreakerConfig::default());
        breaker.trip();
        breaker.retry_after()
    });
    let waits = waits.collect::<std::collections::BTreeSet<_>>();
    assert!(waits.len() > 1);
    assert!(waits.iter().all(|wait| (900 * MS..=SECOND).contains(wait)), "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn jitter_does_not_grow_into_the_doubling() {
    let breaker = Breaker::with_jitter(BreakerConfig::default(), || 1.0);
    breaker.trip();
    for millis in [900, 1800, 3600, 3600] {
        assert_eq!(breaker.retry_after(), millis * MS);
        advance(millis * MS).await;
        fail(&breaker);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_went_well_begins_a_ramp_of_full_rounds() {
    let breaker = ramping().await;
    for allowed in [2, 4, 8, 16] {
        assert_eq!(breaker.state(), State::HalfOpen, "{allowed}");
        let permits = take_all(&breaker);
        assert_eq!(permits.len(), allowed);
        assert_eq!(breaker.try_acquire().unwrap_err(), Open { retry_after: Duration::ZERO });
        permits.into_iter().for_each(Permit::success);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(take_all(&breaker).len(), 1000, "closed lets all through");
}

#[tokio::test(start_paused = true)]
async fn a_round_of_the_ramp_counts_what_ended_not_what_is_in_flight() {
    let breaker = ramping().await;
    let held = breaker.try_acquire().unwrap();
    succeed(&breaker);
    assert_eq!(take_all(&breaker).len(), 1, "one went well: still two in flight");
    succeed(&breaker);
    assert_eq!(take_all(&breaker).len(), 3, "of four, one is held");
    held.success();
    assert_eq!(take_all(&breaker).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_ramp_ends_past_its_limit() {
    for (ramp_max, calls) in [(0, 0), (1, 0), (2, 2), (3, 2), (4, 6), (10, 14)] {
        let breaker = breaker(BreakerConfig { ramp_max, ..BreakerConfig::default() });
        breaker.trip();
        advance(SECOND).await;
        for _ in 0..=calls {
            assert_eq!(breaker.state(), State::HalfOpen, "{ramp_max}");
            succeed(&breaker);
        }
        assert_eq!(breaker.state(), State::Closed, "{ramp_max}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_ramp_opens_it_for_twice_as_long() {
    let breaker = ramping().await;
    succeed(&breaker);
    let late = breaker.try_acquire().unwrap();
    fail(&breaker);
    assert_eq!(breaker.retry_after(), 2 * SECOND);
    late.failure();
    assert_eq!(breaker.retry_after(), 2 * SECOND, "once");
    assert_eq!(breaker.counts().opened, 2);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_in_the_ramp_open_it_as_when_closed() {
    let breaker = breaker(BreakerConfig { window: 100 * SECOND, slow_percent: 50, ..BreakerConfig::default() });
    breaker.trip();
    advance(SECOND).await;
    succeed(&breaker);
    for _ in 0..10 {
        succeed(&breaker);
    }
    for _ in 0..9 {
        succeed_slowly(&breaker).await;
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed_slowly(&breaker).await;
    assert_eq!(breaker.retry_after(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn closing_forgets_how_long_it_was_open() {
    let breaker = ramping().await;
    for _ in 0..30 {
        succeed(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed);
    breaker.trip();
    assert_eq!(breaker.retry_after(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn closing_forgets_what_the_window_held() {
    let breaker = breaker(BreakerConfig { failures: 0, ramp_max: 0, ..BreakerConfig::default() });
    for _ in 0..20 {
        fail(&breaker);
    }
    advance(SECOND).await;
    succeed(&breaker);
    for _ in 0..19 {
        fail(&breaker);
    }
    assert_eq!(breaker.state(), State::Closed, "nineteen since it closed");
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_gives_its_place_back() {
    let breaker = opened();
    advance(SECOND).await;
    drop(breaker.try_acquire().unwrap());
    assert_eq!(breaker.state(), State::HalfOpen, "and says nothing");
    succeed(&breaker);
    assert_eq!(take_all(&breaker).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_of_the_ramp_gives_its_place_back() {
    let breaker = ramping().await;
    for _ in 0..10 {
        let permits = take_all(&breaker);
        assert_eq!(permits.len(), 2);
        drop(permits);
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_calls_do_not_count_when_closed() {
    let breaker = breaker(BreakerConfig::default());
    fail(&breaker);
    fail(&breaker);
    drop(take_all(&breaker));
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open, "nor interrupt a row of failures");
}

#[tokio::test(start_paused = true)]
async fn late_news_from_another_phase_does_not_count() {
    let breaker = breaker(BreakerConfig::default());
    let mut late = take_all(&breaker);
    late.truncate(6);
    for _ in 0..3 {
        fail(&breaker);
    }
    advance(SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    late.pop().unwrap().success();
    late.pop().unwrap().failure();
    drop(late.pop());
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(breaker.try_acquire().is_err(), "the probe is out");
    probe.success();

    late.pop().unwrap().success();
    late.pop().unwrap().failure();
    drop(late.pop());
    assert_eq!(take_all(&breaker).len(), 2, "the ramp is where it began");
}

#[tokio::test(start_paused = true)]
async fn a_trip_opens_it_at_once_and_leaves_an_open_one() {
    let breaker = breaker(BreakerConfig::default());
    breaker.trip();
    assert_eq!(breaker.retry_after(), SECOND);
    advance(300 * MS).await;
    breaker.trip();
    assert_eq!(breaker.retry_after(), 700 * MS);
    assert_eq!(breaker.counts().opened, 1);
}

#[tokio::test(start_paused = true)]
async fn a_trip_while_half_open_is_a_failed_probe() {
    let breaker = opened();
    advance(SECOND).await;
    breaker.trip();
    assert_eq!(breaker.retry_after(), 2 * SECOND, "before the probe");
    advance(2 * SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    breaker.trip();
    assert_eq!(breaker.retry_after(), 4 * SECOND, "while it is out");
    probe.success();
    assert_eq!(breaker.state(), State::Open, "its news are late");
}

#[tokio::test(start_paused = true)]
async fn counts_what_it_did() {
    let breaker = opened();
    assert!(breaker.try_acquire().is_err());
    advance(SECOND).await;
    drop(breaker.try_acquire().unwrap());
    fail(&breaker);
    assert!(breaker.try_acquire().is_err());
    assert!(breaker.clone().try_acquire().is_err());
    assert_eq!(breaker.counts(), BreakerCounts { opened: 2, refused: 3, probes: 2 });
}

#[tokio::test(start_paused = true)]
async fn weak_failures_count_only_where_they_are_many() {
    let breaker = breaker(BreakerConfig::default());
    let weak = || breaker.try_acquire().unwrap().weak_failure();
    fail(&breaker);
    fail(&breaker);
    (0..7).for_each(|_| weak());
    (0..10).for_each(|_| succeed(&breaker));
    assert_eq!(breaker.state(), State::Closed, "nine of nineteen");
    weak();
    assert_eq!(breaker.state(), State::Open, "ten of twenty");
    advance(SECOND).await;
    weak();
    assert_eq!(breaker.state(), State::Open, "a probe must be answered well");
    advance(2 * SECOND).await;
    succeed(&breaker);
    weak();
    assert_eq!(breaker.state(), State::HalfOpen, "the ramp goes on");
}

#[tokio::test(start_paused = true)]
async fn a_weak_failure_neither_begins_nor_ends_a_row() {
    let breaker = breaker(BreakerConfig::default());
    fail(&breaker);
    fail(&breaker);
    breaker.try_acquire().unwrap().weak_failure();
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
}
