//! Restarting one node after the other is no cold start, if what was held is taken over it.

use super::Promise;
use crate::drill::plot::number;
use crate::drill::rolling::{Figures, WINDOW, Window};

/// Points that the hit rate may fall. Without warming it falls by more, or nothing is shown.
const FALL_MAX: f64 = 3.0;
/// Seconds in which there may be more than twice as many queries.
const DOUBLED_MAX: usize = 10;

/// The promises of a rolling restart.
pub(crate) fn judge(without: &Figures, with: &Figures) -> Vec<Promise> {
    vec![hits(with), queries(with), failures(without, with), dip(without)]
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

fn dip(without: &Figures) -> Promise {
    const NAME: &str = "dip shown";
    let promise = format!("without warming the same requests see it fall by more than {FALL_MAX} points");
    match fall(without) {
        None => Promise::unmeasured(NAME, promise, "no hit rate before the restarts, or none after"),
        Some((fall, figure)) => Promise::new(NAME, promise, figure, fall > FALL_MAX),
    }
}

fn fall(figures: &Figures) -> Option<(f64, String)> {
    let (fall, before, Window { from, value }) = (figures.fall()?, figures.hit_before?, figures.hit_lowest?);
    Some((fall, format!("{fall:.1} points: {value:.1} % from second {from} (before: {before:.1} %)")))
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
    let said = |figures: &Figures| match figures.failed {
        0 => format!("0 of {}", figures.requests),
        failed => format!("{failed} of {} ({})", figures.requests, figures.failures),
    };
    let figure = format!("{} without, {} with warming", said(without), said(with));
    Promise::new(NAME, promise, figure, without.failed + with.failed == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(change: impl FnOnce(&mut Figures, &mut Figures)) -> Vec<&'static str> {
        let (mut without, mut with) = (Figures::made_up(20.0), Figures::made_up(1.0));
        change(&mut without, &mut with);
        judge(&without, &with).into_iter().filter(|promise| !promise.held).map(|promise| promise.name).collect()
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
    fn what_is_not_measured_is_broken() {
        assert_eq!(broken(|_, with| with.hit_lowest = None), ["hit rate"]);
        assert_eq!(broken(|without, _| without.hit_before = None), ["dip shown"]);
        assert_eq!(broken(|_, with| with.doubled_seconds = None), ["origin queries"]);
        assert_eq!(broken(|without, _| without.requests = 0), ["failed requests"]);
    }
}
