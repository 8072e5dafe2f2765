//! A crowd exhausts a small database, unless pool and cache stand before it.

use super::{Promise, connections, in_brackets, of};
use crate::drill::observed::Observed;
use crate::drill::phases::{COLD, Phase};
use crate::load::recorder::Failure;
use crate::load::timeline::{Tally, Which};

/// The part of the reads that may be turned away once the stack is no longer cold.
const DECLINED_MAX: f64 = 0.01;

/// The promises of an exhaustion.
pub(super) fn judge(observed: &Observed) -> Vec<Promise> {
    let (cold, full) = (observed.phases.seconds(Phase::Cold), observed.phases.seconds(Phase::Full));
    let stack = observed.timeline.over(cold.start..full.end, Which::All);
    let warm = observed.timeline.over(full.clone(), Which::All);
    vec![
        incident(&observed.clients(Phase::Direct, Which::All)),
        clients(&stack),
        database(observed),
        connections(observed, cold.start..full.end),
        failures(&stack),
        declined(&warm),
    ]
}

/// Without it the rest would prove nothing.
fn incident(direct: &Tally) -> Promise {
    let promise = "without pool and cache it fails as in the incident: a tenth of all requests, or more";
    let figure = format!("{}{}", of(direct.failed(), direct), in_brackets(direct));
    Promise::new("incident shown", promise, figure, direct.failed() * 10 >= direct.due().max(1))
}

fn clients(stack: &Tally) -> Promise {
    const NAME: &str = "client connections";
    let promise = "the full stack refuses no connection of a client";
    if stack.due() == 0 {
        return Promise::unmeasured(NAME, promise, "no request was due");
    }
    let count = |failure| stack.failures.get(&failure).copied().unwrap_or(0);
    let (refused, other) = (count(Failure::ConnectRefused), count(Failure::Connect));
    Promise::new(NAME, promise, format!("{refused} refused, {other} failed otherwise"), refused + other == 0)
}

fn database(observed: &Observed) -> Promise {
    const NAME: &str = "database connects";
    let promise =
        "the full stack's pool meets no connect error, and Postgres turns nobody away for want of connections";
    let errors = observed.last(|readings| readings.connect_errors);
    let (Some(errors), Some(refused)) = (errors, observed.refused) else {
        return Promise::unmeasured(NAME, promise, "the server did not tell its connect errors");
    };
    let figure = format!("{errors} errors, {refused} turned away");
    Promise::new(NAME, promise, figure, errors == 0.0 && refused == 0)
}

fn failures(stack: &Tally) -> Promise {
    const NAME: &str = "failed requests";
    let promise = "no request fails otherwise than by a declared 503 with Retry-After";
    if stack.due() == 0 {
        return Promise::unmeasured(NAME, promise, "no request was due");
    }
    let declined = stack.failures.get(&Failure::Declined).copied().unwrap_or(0);
    let others = stack.failed() - declined;
    Promise::new(NAME, promise, format!("{}{}", of(others, stack), in_brackets(stack)), others == 0)
}

fn declined(warm: &Tally) -> Promise {
    const NAME: &str = "share of 503";
    let limit = DECLINED_MAX * 100.0;
    let promise = format!("of the requests after the first {COLD} s from cold at most {limit} % get such a 503");
    if warm.due() == 0 {
        return Promise::unmeasured(NAME, promise, "no request was due");
    }
    let declined = warm.failures.get(&Failure::Declined).copied().unwrap_or(0);
    let share = declined as f64 / warm.due() as f64;
    let figure = format!("{:.2} % ({})", share * 100.0, of(declined, warm));
    Promise::new(NAME, promise, figure, share <= DECLINED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::phases::Phases;

    /// Four seconds of the incident, with an error in each; then 15 of the full stack.
    fn exhaustion() -> Observed {
        let mut timeline = Observed::steady(19);
        (0..80).for_each(|nth| timeline.failed((nth * 50_000, false), Failure::Status(503)));
        let (phases, samples) = (Phases::exhaustion(4, 15), Observed::samples_of(19));
        let mut observed = Observed { phases, timeline, samples, times: None, refused: Some(0) };
        observed.samples[2].connections = Some(19);
        observed
    }

    fn broken(change: impl FnOnce(&mut Observed)) -> Vec<&'static str> {
        let mut observed = exhaustion();
        change(&mut observed);
        judge(&observed).into_iter().filter(|promise| !promise.held).map(|promise| promise.name).collect()
    }

    fn fail(second: u64, count: u64, failure: Failure) -> impl FnOnce(&mut Observed) {
        move |observed| {
            (0..count).for_each(|nth| observed.timeline.failed((second * 1_000_000 + nth, false), failure));
        }
    }

    #[test]
    fn an_incident_and_a_stack_that_carries_the_crowd_hold() {
        assert_eq!(broken(|_| ()), [""; 0]);
    }

    #[test]
    fn each_promise_can_break_by_itself() {
        assert_eq!(broken(|o| o.timeline = Observed::steady(19)), ["incident shown"]);
        let hiccups = |o: &mut Observed| {
            o.timeline = Observed::steady(19);
            (0..40).for_each(|nth| o.timeline.failed((nth * 50_000, false), Failure::Timeout));
        };
        assert_eq!(broken(hiccups), ["incident shown"], "less than a tenth");
        assert_eq!(broken(fail(6, 1, Failure::Status(500))), ["failed requests"]);
        assert_eq!(broken(|o| o.change_from(18, |r| r.connect_errors = Some(1.0))), ["database connects"]);
        assert_eq!(broken(|o| o.refused = Some(1)), ["database connects"]);
        assert_eq!(broken(|o| o.samples[5].connections = Some(11)), ["database connections"]);
        assert_eq!(broken(fail(12, 11, Failure::Declined)), ["share of 503"]);
    }

    #[test]
    fn a_refused_client_is_a_failed_request_too() {
        assert_eq!(broken(fail(6, 1, Failure::ConnectRefused)), ["client connections", "failed requests"]);
    }

    #[test]
    fn the_cold_start_may_turn_some_away() {
        assert_eq!(broken(fail(5, 100, Failure::Declined)), [""; 0]);
        assert_eq!(broken(fail(12, 10, Failure::Declined)), [""; 0], "less than one in a hundred");
    }

    #[test]
    fn what_is_not_measured_is_broken() {
        assert_eq!(broken(|o| o.change_from(0, |r| r.connect_errors = None)), ["database connects"]);
        assert_eq!(broken(|o| o.refused = None), ["database connects"]);
    }
}
