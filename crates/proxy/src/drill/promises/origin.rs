//! What was answered before is answered while the database is away or slow, and its return is no storm.

use std::time::Duration;

use super::{Promise, connections, no_failure, p95, p95_limit};
use crate::drill::POOL;
use crate::drill::observed::{Observed, Reading};
use crate::drill::phases::{HEALED, Phase};
use crate::drill::plot::number;
use crate::load::timeline::Which;

/// Failures one after another that open the breaker.
/// How long it stays open before a probe: the first time, doubled each time after, to the last.
const RESET: Duration = Duration::from_secs(1);
const RESET_MAX: Duration = Duration::from_secs(4);
/// The shortest that chance makes a reset.
const JITTER: f64 = 0.9;

const CONNECTS: Reading = |readings| readings.connects;
const ERRORS: Reading = |readings| readings.connect_errors;
const OPENED: Reading = |readings| readings.database_breaker_opened;

/// The promises of a database that is gone.
pub(super) fn judge_down(observed: &Observed) -> Vec<Promise> {
    vec![
        no_failure("no read of a question that was answered before fails", &observed.all(Which::Known)),
        opened(observed),
        probes(observed),
        storm(observed),
        recovered(observed),
        connections(observed, observed.phases.all()),
    ]
}

/// The promises of a slow one.
pub(super) fn judge_slow(observed: &Observed) -> Vec<Promise> {
    let fault = observed.clients(Phase::Fault, Which::Known);
    vec![
        no_failure("no read of a question that was answered before fails", &observed.all(Which::Known)),
        p95("p95 of warm reads", "warm reads in the fault", observed, &fault, Which::Known),
        connections(observed, observed.phases.all()),
    ]
}

fn opened(observed: &Observed) -> Promise {
    const NAME: &str = "database breaker";
    let promise = "the database's breaker opens";
    let rise = observed.times.and_then(|times| observed.rise(OPENED, times.from, times.mending));
    match rise {
        None => Promise::unmeasured(NAME, promise, "the server has no such metric"),
        Some(rise) => Promise::new(NAME, promise, format!("{} times in the outage", number(rise)), rise >= 1.0),
    }
}

/// Probes that fit into an outage: one at the end of each reset, each as short as chance can make it.
fn probes_max(outage: Duration) -> u64 {
    let (mut reset, mut at, mut probes) = (RESET, Duration::ZERO, 0);
    loop {
        at += reset.mul_f64(JITTER);
        if at > outage {
            return probes;
        }
        probes += 1;
        reset = (reset * 2).min(RESET_MAX);
    }
}

fn probes(observed: &Observed) -> Promise {
    const NAME: &str = "probes in the outage";
    const RULE: &str = "an open breaker lets one probe through for each reset (1, 2, 4, 4 … s, × 0.9 at least)";
    let Some(times) = observed.times else { return Promise::unmeasured(NAME, RULE, "there was no outage") };
    let outage = times.mending.saturating_sub(times.from);
    let limit = probes_max(outage);
    let promise = format!(
        "{RULE}: from a second after the fault on, in {} s at most {limit} connects",
        number(outage.as_secs_f64().round())
    );
    // By then it has been opened.
    let rise = |reading| observed.rise(reading, times.from + Duration::from_secs(1), times.mending);
    let (Some(made), Some(failed)) = (rise(CONNECTS), rise(ERRORS)) else {
        return Promise::unmeasured(NAME, promise, "the server did not tell its connects");
    };
    let figure = format!("{} made, {} failed", number(made), number(failed));
    Promise::new(NAME, promise, figure, made + failed <= limit as f64)
}

fn storm(observed: &Observed) -> Promise {
    const NAME: &str = "connects after recovery";
    let promise = format!("no storm after the recovery: at most {POOL} new connections to the end");
    let rise = observed.times.and_then(|times| observed.rise(CONNECTS, times.mending, Duration::MAX));
    match rise {
        None => Promise::unmeasured(NAME, promise, "the server did not tell its connects"),
        Some(rise) => Promise::new(NAME, promise, number(rise), rise <= POOL as f64),
    }
}

/// The first second after the recovery whose p95 is normal again, and so is that of all that follows together. It has to be over in time.
fn recovered(observed: &Observed) -> Promise {
    const NAME: &str = "p95 after recovery";
    let rule = format!(
        "within {HEALED} s of the recovery p95 is at most {} × what it was before, which counts as at least {} ms",
        super::TIMES,
        super::FLOOR_MS
    );
    let Some((limit, before)) = p95_limit(observed, Which::Known) else {
        return Promise::unmeasured(NAME, rule, "nothing was answered before the fault");
    };
    let promise = format!("{rule}: {} ms", number(limit));
    let (healed, end) = (observed.phases.seconds(Phase::Healed), observed.phases.all().end);
    let p95 = |seconds| observed.timeline.over(seconds, Which::Known).p95_ms();
    let normal = |value: Option<f64>| value.is_some_and(|value| value <= limit);
    let recovery = observed.times.map_or(f64::NAN, |times| times.healed.as_secs_f64());
    let in_time = |second: u32| f64::from(second + 1) - recovery <= f64::from(HEALED);
    let back =
        healed.clone().find(|&second| in_time(second) && normal(p95(second..second + 1)) && normal(p95(second..end)));
    let then = |from| p95(from..end).map_or("–".to_owned(), number);
    match back {
        Some(second) => {
            let after = f64::from(second + 1) - recovery;
            let figure =
                format!("after {after:.1} s, {} ms from then on (before: {} ms)", then(second), number(before));
            Promise::new(NAME, promise, figure, true)
        }
        None if healed.is_empty() => Promise::unmeasured(NAME, promise, "nothing followed the recovery"),
        None => Promise::new(NAME, promise, format!("not: {} ms after it", then(healed.start)), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::recorder::Failure;

    /// The database is away from second 8 to 23: three connects fail and open the breaker, five probes fail, ten connects are made afterwards.
    fn outage() -> Observed {
        let mut observed = Observed::made_up();
        observed.change_from(8, |readings| readings.connect_errors = Some(3.0));
        observed.change_from(9, |readings| {
            readings.database_breaker_opened = Some(1.0);
            readings.connect_errors = Some(8.0);
        });
        observed.change_from(24, |readings| readings.connects = Some(15.0));
        observed
    }

    fn broken(judge: fn(&Observed) -> Vec<Promise>, change: impl FnOnce(&mut Observed)) -> Vec<&'static str> {
        let mut observed = outage();
        change(&mut observed);
        judge(&observed).into_iter().filter(|promise| !promise.held).map(|promise| promise.name).collect()
    }

    fn slow(observed: &mut Observed, seconds: std::ops::Range<u64>) {
        for at_us in seconds.flat_map(|second| (0..200).map(move |_| second * 1_000_000)) {
            observed.timeline.answered((at_us, true), 11_000, Default::default());
        }
    }

    #[test]
    fn resets_double_to_four_seconds() {
        // 0.9, 2.7, 6.3, 9.9, 13.5, 17.1 s.
        let probes = |seconds: f64| probes_max(Duration::from_secs_f64(seconds));
        assert_eq!([0.8, 0.95, 2.8, 6.4, 15.0, 18.0].map(probes), [0, 1, 2, 3, 5, 6]);
    }

    #[test]
    fn an_outage_as_it_should_be_holds() {
        assert_eq!(broken(judge_down, |_| ()), [""; 0]);
        assert_eq!(broken(judge_slow, |_| ()), [""; 0]);
    }

    #[test]
    fn each_promise_of_an_outage_can_break_by_itself() {
        let failed = |o: &mut Observed| o.timeline.failed((9_000_000, true), Failure::Status(500));
        assert_eq!(broken(judge_down, failed), ["failed requests"]);
        let never_opened = |o: &mut Observed| o.change_from(0, |r| r.database_breaker_opened = Some(0.0));
        assert_eq!(broken(judge_down, never_opened), ["database breaker"]);
        let hammered = |o: &mut Observed| o.change_from(12, |r| r.connect_errors = Some(9.0));
        assert_eq!(broken(judge_down, hammered), ["probes in the outage"]);
        let stormed = |o: &mut Observed| o.change_from(28, |r| r.connects = Some(16.0));
        assert_eq!(broken(judge_down, stormed), ["connects after recovery"]);
        assert_eq!(broken(judge_down, |o| slow(o, 23..33)), ["p95 after recovery"]);
        assert_eq!(broken(judge_down, |o| o.samples[30].connections = Some(11)), ["database connections"]);
    }

    #[test]
    fn a_slow_start_after_the_recovery_is_allowed_for_five_seconds() {
        let observed = |seconds| {
            let mut observed = outage();
            slow(&mut observed, seconds);
            judge_down(&observed).into_iter().find(|promise| promise.name == "p95 after recovery").unwrap()
        };
        assert!(observed(23..24).held && observed(23..24).figure.starts_with("after 2.0 s"), "{:?}", observed(23..24));
        assert!(!observed(23..28).held, "{:?}", observed(23..28));
    }

    #[test]
    fn what_the_server_does_not_tell_is_broken() {
        let no_breaker = |o: &mut Observed| o.change_from(0, |r| r.database_breaker_opened = None);
        assert_eq!(broken(judge_down, no_breaker), ["database breaker"]);
        let no_connects = |o: &mut Observed| o.change_from(0, |r| r.connects = None);
        assert_eq!(broken(judge_down, no_connects), ["probes in the outage", "connects after recovery"]);
    }

    #[test]
    fn each_promise_of_a_slow_database_can_break_by_itself() {
        let failed = |o: &mut Observed| o.timeline.failed((9_000_000, true), Failure::Timeout);
        assert_eq!(broken(judge_slow, failed), ["failed requests"]);
        assert_eq!(broken(judge_slow, |o| slow(o, 10..12)), ["p95 of warm reads"]);
        assert_eq!(broken(judge_slow, |o| o.samples[10].connections = Some(11)), ["database connections"]);
        let new_question = |o: &mut Observed| o.timeline.failed((9_000_000, false), Failure::Declined);
        assert_eq!(broken(judge_slow, new_question), [""; 0], "nothing was promised for it");
    }
}
