//! Restarting one node after the other is no cold start, if what was held is taken over it.

use super::Promise;
use crate::drill::plot::number;
use crate::drill::rolling::{Figures, WINDOW, Window};

/// Points that the hit rate may fall. Without warming it falls by more, or nothing is shown.
const FALL_MAX: f64 = 3.0;
/// Seconds in which there may be more than twice as many queries.
const DOUBLED_MAX: usize = 10;

/// The promises of a rolling restart: without warming, and with it; `redis` where both nodes share one.
pub(crate) fn judge([without, with]: [&Figures; 2], redis: bool) -> Vec<Promise> {
    vec![hits(with), queries(with), failures(without, with), dip(without, redis)]
}

fn hits(with: &Figures) -> Promise {
    const NAME: &str = "hit rate";
    let promise =
        format!("with warming the hit rate of any {WINDOW} s is at most {FALL_MAX} points below what it was before");
    match fall(with) {
        None => Promise::unmeasured(NAME, promise, "no hit rate before the restarts, or none after"),
        Some((fall, figure)) => Promise::new(NAME, promise, figure, fall <= FALL_MAX),
    }
}

/// Without it the comparison would mean nothing. A Redis has what a cold node lacks, so that clients see no dip there: only memory does.
fn dip(without: &Figures, redis: bool) -> Promise {
    const NAME: &str = "dip shown";
    let (promise, fall) = if redis {
        let promise = format!("without warming, memory's part of the hit rate falls by more than {FALL_MAX} points");
        (promise, memory_fall(without))
    } else {
        (format!("without warming the same requests see it fall by more than {FALL_MAX} points"), fall(without))
    };
    match fall {
        None => Promise::unmeasured(NAME, promise, "no hit rate before the restarts, or none after"),
        Some((fall, figure)) => Promise::new(NAME, promise, figure, fall > FALL_MAX),
    }
}

fn fall(figures: &Figures) -> Option<(f64, String)> {
    let fall = figures.fall()?;
    Some((fall, said(fall, figures.hit_before?, figures.hit_lowest?)))
}

fn memory_fall(figures: &Figures) -> Option<(f64, String)> {
    let fall = figures.memory_fall()?;
    Some((fall, said(fall, figures.memory_before?, figures.memory_lowest?)))
}

fn said(fall: f64, before: f64, Window { from, value }: Window) -> String {
    format!("{fall:.1} points: {value:.1} % from second {from} (before: {before:.1} %)")
}

fn queries(with: &Figures) -> Promise {
    const NAME: &str = "origin queries";
    let promise =
        format!("with warming there are more than twice as many queries as before in at most {DOUBLED_MAX} seconds");
    let (Some(doubled), Some(before), Some(most)) = (with.doubled_seconds, with.queries_before, with.queries_most)
    else {
        return Promise::unmeasured(NAME, promise, "the nodes did not tell their queries in each second");
    };
    let figure = format!("{doubled} seconds, at most {} a second (before: {})", number(most.value), number(before));
    Promise::new(NAME, promise, figure, doubled <= DOUBLED_MAX)
}

fn failures(without: &Figures, with: &Figures) -> Promise {
    const NAME: &str = "failed requests";
    let promise = "no request fails, in either pass";
    if without.requests == 0 || with.requests == 0 {
        return Promise::unmeasured(NAME, promise, "no request was due");
    }
    let count = |figures: &Figures| match figures.failed {
        0 => format!("0 of {}", figures.requests),
        failed => format!("{failed} of {} ({})", figures.requests, figures.failures),
    };
    let figure = format!("{} without, {} with warming", count(without), count(with));
    Promise::new(NAME, promise, figure, without.failed + with.failed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(change: impl FnOnce(&mut Figures, &mut Figures)) -> Vec<&'static str> {
        let (mut without, mut with) = (Figures::made_up(20.0), Figures::made_up(1.0));
        change(&mut without, &mut with);
        names(judge([&without, &with], false))
    }

    fn names(promises: Vec<Promise>) -> Vec<&'static str> {
        promises.into_iter().filter(|promise| !promise.held).map(|promise| promise.name).collect()
    }

    fn fell(figures: &mut Figures, fall: f64) {
        *figures = Figures::made_up(fall);
    }

    #[test]
    fn a_warm_fleet_beside_a_cold_one_holds() {
        assert_eq!(broken(|_, _| ()), [""; 0]);
    }

    #[test]
    fn each_promise_can_break_by_itself() {
        assert_eq!(broken(|_, with| fell(with, 3.5)), ["hit rate"]);
        assert_eq!(broken(|_, with| fell(with, 3.0)), [""; 0]);
        assert_eq!(broken(|without, _| fell(without, 3.0)), ["dip shown"]);
        assert_eq!(broken(|_, with| with.doubled_seconds = Some(11)), ["origin queries"]);
        assert_eq!(broken(|without, _| without.doubled_seconds = Some(11)), [""; 0], "nothing was promised for it");
        assert_eq!(broken(|without, _| without.failed = 1), ["failed requests"]);
        assert_eq!(broken(|_, with| with.failed = 1), ["failed requests"]);
    }

    #[test]
    fn before_a_redis_the_dip_is_memory_s() {
        let (mut without, with) = (Figures::made_up(20.0), Figures::made_up(1.0));
        without.hit_lowest = without.hit_lowest.map(|window| Window { value: 100.0, ..window });
        assert_eq!(names(judge([&without, &with], true)), [""; 0]);
        assert_eq!(names(judge([&without, &with], false)), ["dip shown"]);
        without.memory_lowest = None;
        assert_eq!(names(judge([&without, &with], true)), ["dip shown"]);
    }

    #[test]
    fn what_is_not_measured_is_broken() {
        assert_eq!(broken(|_, with| with.hit_lowest = None), ["hit rate"]);
        assert_eq!(broken(|without, _| without.hit_before = None), ["dip shown"]);
        assert_eq!(broken(|_, with| with.doubled_seconds = None), ["origin queries"]);
        assert_eq!(broken(|without, _| without.requests = 0), ["failed requests"]);
    }
}
