//! What is promised for each scenario, and whether the figures keep it.

mod exhaustion;
mod origin;
mod redis;
mod rolling;

use std::fmt;

use serde::Serialize;

pub(crate) use self::rolling::judge as judge_rolling;
use super::POOL;
use super::args::Scenario;
use super::observed::Observed;
use super::phases::Phase;
use super::plot::number;
use crate::load::timeline::{Tally, Which};

/// A p95 before the fault counts as at least this, so that microseconds of noise decide nothing.
const FLOOR_MS: f64 = 5.0;
/// The most that p95 may rise.
const TIMES: f64 = 2.0;

/// One promise and what was measured of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Promise {
    /// In two or three words.
    pub(crate) name: &'static str,
    /// In full, with its bound.
    pub(crate) promise: String,
    /// What was measured.
    pub(crate) figure: String,
    pub(crate) held: bool,
}

impl Promise {
    fn new(name: &'static str, promise: impl Into<String>, figure: impl Into<String>, held: bool) -> Self {
        Self { name, promise: promise.into(), figure: figure.into(), held }
    }

    /// What could not be measured is not kept.
    fn unmeasured(name: &'static str, promise: impl Into<String>, what: &str) -> Self {
        Self::new(name, promise, format!("not measured: {what}"), false)
    }
}

/// A line of the report: whether it held, the promise, and what was measured.
impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, figure, held, .. } = self;
        write!(f, "{:6}  {promise} — {figure}", if *held { "ok" } else { "BROKEN" })
    }
}

/// The promises of a scenario, judged.
pub(crate) fn judge(scenario: Scenario, observed: &Observed) -> Vec<Promise> {
    match scenario {
        Scenario::RedisDown | Scenario::RedisStalled => redis::judge(observed),
        Scenario::OriginDown => origin::judge_down(observed),
        Scenario::OriginSlow => origin::judge_slow(observed),
        Scenario::Exhaustion => exhaustion::judge(observed),
        // It has two passes, which are judged together.
        Scenario::RollingRestart => vec![Promise::unmeasured("restarts", "as each pass shows", "this is one pass")],
    }
}

/// The last word.
pub(crate) fn verdict(promises: &[Promise]) -> String {
    let broken: Vec<&str> = promises.iter().filter(|promise| !promise.held).map(|promise| promise.name).collect();
    match broken.len() {
        0 => "verdict: all promises held".to_owned(),
        1 => format!("verdict: 1 promise broken: {}", broken[0]),
        count => format!("verdict: {count} promises broken: {}", broken.join("; ")),
    }
}

/// No request failed, of those that count.
fn no_failure(promise: &str, tally: &Tally) -> Promise {
    const NAME: &str = "failed requests";
    if tally.due() == 0 {
        return Promise::unmeasured(NAME, promise, "no request was due");
    }
    let figure = format!("{}{}", of(tally.failed(), tally), in_brackets(tally));
    Promise::new(NAME, promise, figure, tally.failed() == 0)
}

/// `3 of 100`.
fn of(part: u64, tally: &Tally) -> String {
    format!("{part} of {}", tally.due())
}

/// ` (3 timeout, 1 status 500)`, or nothing.
fn in_brackets(tally: &Tally) -> String {
    if tally.failed() == 0 { String::new() } else { format!(" ({})", kinds(tally)) }
}

/// `3 timeout, 1 status 500`, or nothing.
pub(crate) fn kinds(tally: &Tally) -> String {
    let kinds: Vec<String> = tally.failures.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    kinds.join(", ")
}

/// Postgres never counted more connections than the pool may hold.
fn connections(observed: &Observed, seconds: std::ops::Range<u32>) -> Promise {
    const NAME: &str = "database connections";
    let promise = format!("at most {POOL} database connections, counted by Postgres at every look");
    match observed.connections(seconds) {
        (None, _) => Promise::unmeasured(NAME, promise, "Postgres could not be asked"),
        (Some(most), looks) => Promise::new(NAME, promise, format!("{most} in {looks} looks"), most <= POOL),
    }
}

/// The bound on a p95, in ms, and the p95 that it comes from; `None` where nothing was answered before.
fn p95_limit(observed: &Observed, which: Which) -> Option<(f64, f64)> {
    let before = observed.clients(Phase::Before, which).p95_ms()?;
    Some((before.max(FLOOR_MS) * TIMES, before))
}

/// The p95 of some seconds is at most twice what it was before.
fn p95(name: &'static str, what: &str, observed: &Observed, tally: &Tally, which: Which) -> Promise {
    let rule = format!("p95 of {what} at most {TIMES} × the p95 before, which counts as at least {FLOOR_MS} ms");
    let Some((limit, before)) = p95_limit(observed, which) else {
        return Promise::unmeasured(name, rule, "nothing was answered before the fault");
    };
    let promise = format!("{rule}: {} ms", number(limit));
    match tally.p95_ms() {
        None => Promise::unmeasured(name, promise, "nothing was answered"),
        Some(p95) => {
            let figure = format!("{} ms (before: {} ms)", number(p95), number(before));
            Promise::new(name, promise, figure, p95 <= limit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::recorder::Failure;

    #[test]
    fn the_verdict_names_what_is_broken() {
        let promise = |name, held| Promise::new(name, "p", "f", held);
        assert_eq!(verdict(&[promise("a", true)]), "verdict: all promises held");
        assert_eq!(verdict(&[promise("a", true), promise("b", false)]), "verdict: 1 promise broken: b");
        let three = [promise("a", false), promise("b", true), promise("c", false)];
        assert_eq!(verdict(&three), "verdict: 2 promises broken: a; c");
    }

    #[test]
    fn nothing_asked_is_nothing_kept() {
        let promise = no_failure("no request fails", &Tally::new());
        assert!(!promise.held && promise.figure.starts_with("not measured"), "{promise:?}");
    }

    #[test]
    fn failures_are_told_by_kind() {
        let mut tally = Tally::new();
        tally.failures.extend([(Failure::Timeout, 2), (Failure::Status(500), 1)]);
        assert_eq!(no_failure("p", &tally).figure, "3 of 3 (2 timeout, 1 status 500)");
    }

    #[test]
    fn microseconds_decide_nothing() {
        let observed = Observed::made_up();
        let (limit, before) = p95_limit(&observed, Which::All).unwrap();
        assert!(before < 1.1 && limit == 10.0, "{before} {limit}");
    }
}
