//! Losing Redis must not become losing requests, or Postgres.

use super::{Promise, connections, no_failure, p95};
use crate::drill::observed::{Observed, Reading};
use crate::drill::phases::Phase;
use crate::drill::plot::number;
use crate::drill::readings::breaker;
use crate::load::timeline::Which;

const BREAKER: Reading = |readings| readings.redis_breaker;

/// The promises of a Redis that is down or stalled.
pub(super) fn judge(observed: &Observed) -> Vec<Promise> {
    let fault = observed.phases.seconds(Phase::Fault);
    let after_first = observed.timeline.over(fault.start + 1..fault.end, Which::All);
    vec![
        no_failure("no request fails", &observed.all(Which::All)),
        connections(observed, observed.phases.all()),
        permits(observed),
        p95("p95 in the fault", "the fault after its first second", observed, &after_first, Which::All),
        back(observed),
    ]
}

/// The limit may be lowered while requests are under way, so that the most of all counts against the highest limit.
fn permits(observed: &Observed) -> Promise {
    const NAME: &str = "origin permits";
    let promise = "never more requests at the origin than there are permits, which are fewer while Redis is lost";
    let most = |reading: Reading| observed.most(reading, observed.phases.all());
    let limit = most(|readings| readings.permits_limit);
    let (peak, working) = (most(|readings| readings.permits_in_use_max), most(|readings| readings.in_use));
    let lowest = observed.least(|readings| readings.permits_limit, observed.phases.seconds(Phase::Fault));
    let (Some(limit), Some(peak), Some(working), Some(lowest)) = (limit, peak, working, lowest) else {
        return Promise::unmeasured(NAME, promise, "the server has no such metrics");
    };
    let (peak_is, working_is, limit_is) = (number(peak), number(working), number(limit));
    let figure = format!(
        "{peak_is} requests and {working_is} connections at most, of {limit_is} permits, {} without Redis",
        number(lowest)
    );
    Promise::new(NAME, promise, figure, peak <= limit && working <= limit && lowest < limit)
}

fn back(observed: &Observed) -> Promise {
    const NAME: &str = "Redis tier back";
    let promise = "the Redis tier is found to be lost, and is back at the end: its breakers are closed";
    match observed.last(BREAKER) {
        None => Promise::unmeasured(NAME, promise, "the server did not tell its breakers"),
        Some(last) => {
            let worst = observed.most(BREAKER, observed.phases.seconds(Phase::Fault));
            let figure = format!("{} (in the fault: {})", breaker(Some(last)), breaker(worst));
            Promise::new(NAME, promise, figure, last == 0.0 && worst.is_some_and(|worst| worst > 0.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::recorder::Failure;

    fn broken(change: impl FnOnce(&mut Observed)) -> Vec<&'static str> {
        let mut observed = Observed::made_up();
        let redis = |breaker, limit| {
            move |readings: &mut crate::drill::readings::Readings| {
                (readings.redis_breaker, readings.permits_limit) = (Some(breaker), Some(limit));
            }
        };
        observed.change_from(9, redis(2.0, 4.0));
        observed.change_from(20, redis(0.0, 10.0));
        change(&mut observed);
        judge(&observed).into_iter().filter(|promise| !promise.held).map(|promise| promise.name).collect()
    }

    #[test]
    fn a_quiet_run_holds() {
        assert_eq!(broken(|_| ()), [""; 0]);
    }

    #[test]
    fn each_promise_can_break_by_itself() {
        assert_eq!(broken(|o| o.timeline.failed((9_000_000, false), Failure::Declined)), ["failed requests"]);
        assert_eq!(broken(|o| o.samples[12].connections = Some(11)), ["database connections"]);
        assert_eq!(broken(|o| o.change_from(9, |r| r.permits_in_use_max = Some(11.0))), ["origin permits"]);
        assert_eq!(broken(|o| o.change_from(9, |r| r.in_use = Some(11.0))), ["origin permits"]);
        assert_eq!(broken(|o| slow(o, 10)), ["p95 in the fault"]);
        assert_eq!(broken(|o| o.change_from(20, |r| r.redis_breaker = Some(1.0))), ["Redis tier back"]);
        assert_eq!(broken(|o| o.change_from(0, |r| r.redis_breaker = Some(0.0))), ["Redis tier back"]);
        assert_eq!(broken(|o| o.change_from(0, |r| r.permits_limit = Some(10.0))), ["origin permits"]);
    }

    #[test]
    fn what_is_not_measured_is_broken() {
        assert_eq!(broken(|o| o.change_from(0, |r| r.permits_limit = None)), ["origin permits"]);
        assert_eq!(broken(|o| o.change_from(0, |r| r.redis_breaker = None)), ["Redis tier back"]);
        assert_eq!(broken(|o| o.samples.iter_mut().for_each(|s| s.connections = None)), ["database connections"]);
    }

    #[test]
    fn the_first_second_of_the_fault_may_be_slow() {
        assert_eq!(broken(|o| slow(o, 8)), [""; 0]);
    }

    /// A second in which a tenth of all the fault's answers took 11 ms.
    fn slow(observed: &mut Observed, second: u64) {
        for _ in 0..200 {
            observed.timeline.answered((second * 1_000_000, true), 11_000, Default::default());
        }
    }
}
