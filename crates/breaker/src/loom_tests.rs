//! Every order of two threads' steps. Run with
//! `RUSTFLAGS="--cfg edge_cache_loom" cargo test -p edge-cache-breaker --release --lib loom`.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use loom::thread;
use tokio::time::Instant;

use crate::{Breaker, BreakerConfig, Permit, State, machine::Report};

/// The model has no clock: all times are counted from here.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(secs: u64) -> Instant {
    *START + Duration::from_secs(secs)
}

fn closed() -> Breaker {
    Breaker::with_jitter(BreakerConfig { failures: 1, ..BreakerConfig::default() }, || 0.0)
}

/// Opened at 0: the probe may go at 1.
fn opened() -> Breaker {
    let breaker = closed();
    acquire(&breaker, 0).expect("it is closed").report_at(at(0), Report::Failure);
    breaker
}

/// Its probe went well at 1.
fn ramping() -> Breaker {
    let breaker = opened();
    acquire(&breaker, 1).expect("the probe may go").report_at(at(1), Report::Success);
    breaker
}

fn acquire(breaker: &Breaker, secs: u64) -> Option<Permit> {
    breaker.try_acquire_at(at(secs)).ok()
}

fn spawn<T: 'static>(breaker: &Breaker, run: impl FnOnce(&Breaker) -> T + 'static) -> thread::JoinHandle<T> {
    let breaker = breaker.clone();
    thread::spawn(move || run(&breaker))
}

#[test]
fn of_two_that_want_to_probe_one_does() {
    loom::model(|| {
        let breaker = opened();
        let other = spawn(&breaker, |breaker| acquire(breaker, 1));
        let mine = acquire(&breaker, 1);
        let other = other.join().unwrap();
        assert!(mine.is_some() != other.is_some());
    });
}

#[test]
fn an_old_success_does_not_undo_an_opening() {
    loom::model(|| {
        let breaker = closed();
        let old = acquire(&breaker, 0).unwrap();
        let failing = acquire(&breaker, 0).unwrap();
        let opening = spawn(&breaker, |breaker| {
            failing.report_at(at(0), Report::Failure);
            acquire(breaker, 1)
        });
        old.report_at(at(0), Report::Success);
        let probe = opening.join().unwrap();
        assert!(probe.is_some(), "the success neither closed it nor used the probe up");
        assert_eq!(breaker.state_at(at(1)), State::HalfOpen);
        assert!(acquire(&breaker, 1).is_none(), "the probe is out");
    });
}

#[test]
fn a_cancelled_probe_gives_its_place_back_once() {
    loom::model(|| {
        let breaker = opened();
        let cancelled = acquire(&breaker, 1).unwrap();
        let dropping = spawn(&breaker, |_| drop(cancelled));
        let early = acquire(&breaker, 1);
        dropping.join().unwrap();
        let late = acquire(&breaker, 1);
        assert!(early.is_some() != late.is_some(), "one place, taken before or after");
    });
}

#[test]
fn a_probe_that_fails_as_it_is_tripped_counts_once() {
    loom::model(|| {
        let breaker = opened();
        let probe = acquire(&breaker, 1).unwrap();
        let failing = spawn(&breaker, |_| probe.report_at(at(1), Report::Failure));
        breaker.trip_at(at(1));
        failing.join().unwrap();
        assert!(acquire(&breaker, 2).is_none());
        assert!(acquire(&breaker, 3).is_some(), "doubled once");
    });
}

/// What callers see of the ramp. Not the model's atomics: to look must add no orders to try.
#[derive(Default)]
struct Seen {
    in_flight: AtomicU32,
    went_well: AtomicU32,
}

impl Seen {
    /// Makes a call, if it may. The first round ends with the second success: four may be in flight only after it.
    fn call(&self, breaker: &Breaker, is_cancelled: bool) {
        let Some(permit) = acquire(breaker, 1) else { return };
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let allowed = if self.went_well.load(Ordering::SeqCst) < 2 { 2 } else { 4 };
        assert!(in_flight <= allowed, "{in_flight} in flight of {allowed}");
        // So that another can come between.
        thread::yield_now();
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if is_cancelled {
            drop(permit);
        } else {
            self.went_well.fetch_add(1, Ordering::SeqCst);
            permit.report_at(at(1), Report::Success);
        }
    }
}

#[test]
fn the_ramp_never_lets_more_in_flight_than_allowed() {
    let mut model = loom::model::Builder::new();
    // Three threads have too many orders for all of them.
    model.preemption_bound = Some(3);
    model.check(|| {
        let (breaker, seen) = (ramping(), std::sync::Arc::new(Seen::default()));
        let others = [false, true].map(|is_cancelled| {
            let seen = std::sync::Arc::clone(&seen);
            spawn(&breaker, move |breaker| seen.call(breaker, is_cancelled))
        });
        seen.call(&breaker, false);
        seen.call(&breaker, false);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(seen.in_flight.load(Ordering::SeqCst), 0);
        let left = std::iter::from_fn(|| acquire(&breaker, 1)).take(5).collect::<Vec<_>>();
        assert_eq!(left.len(), if seen.went_well.load(Ordering::SeqCst) < 2 { 2 } else { 4 }, "all places came back");
    });
}
