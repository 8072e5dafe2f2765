//! What came of a run.

use std::fmt;

use serde_json::{Value, json};

use super::{Plan, ledger::Counts, watch::Memory, world::NODES};

/// The most that memory may grow after the warm-up.
const DRIFT_MAX: f64 = 0.05;
/// Descriptors that may be open beyond those before the load: connections to Postgres that were not needed before, and a few.
pub(super) const DESCRIPTORS_MORE_MAX: usize = super::world::POOL as usize + 4;

/// Descriptors of one process, with no client connected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptors {
    pub(super) node: usize,
    pub(super) when: &'static str,
    pub(super) before: usize,
    pub(super) after: usize,
}

/// Everything that was seen, and what it says about the promises.
#[derive(Debug)]
pub struct Report {
    plan: Plan,
    counts: Counts,
    memory: [Memory; NODES],
    descriptors: Vec<Descriptors>,
    exits: Vec<(usize, Option<i32>)>,
    broken: Vec<(&'static str, u64, Vec<String>)>,
}

impl Report {
    pub(super) fn new(
        plan: Plan,
        counts: Counts,
        memory: [Memory; NODES],
        descriptors: Vec<Descriptors>,
        exits: Vec<(usize, Option<i32>)>,
    ) -> Self {
        let mut broken: Vec<_> =
            counts.broken.iter().map(|(promise, (count, described))| (*promise, *count, described.clone())).collect();
        let mut judge = |promise: &'static str, wrong: Vec<String>| {
            if !wrong.is_empty() {
                broken.push((promise, wrong.len() as u64, wrong));
            }
        };
        let more = |one: &&Descriptors| one.after > one.before + DESCRIPTORS_MORE_MAX;
        judge("no descriptor is left open", descriptors.iter().filter(more).map(|one| format!("{one:?}")).collect());
        let codes = exits.iter().filter(|(_, code)| *code != Some(0));
        judge("every stop is clean", codes.map(|(node, code)| format!("node {node} ended with {code:?}")).collect());
        if plan.measures_memory() {
            let grown =
                memory.iter().enumerate().filter(|(_, memory)| memory.drift() > DRIFT_MAX || memory.first_kib == 0);
            judge(
                "memory is flat after the warm-up",
                grown.map(|(node, memory)| format!("node {node}: {:+.1} %", memory.drift() * 100.0)).collect(),
            );
        }
        if plan.faults {
            // A check of nothing would hold as well.
            const DONE: [&str; 7] = [
                "Redis restarts",
                "Postgres restarts",
                "certificates renewed",
                "configurations read again",
                "wrong configurations refused",
                "nodes restarted",
                "purges",
            ];
            let undone = DONE.iter().filter(|done| !counts.events.contains_key(**done));
            judge("everything was tried", undone.map(|done| format!("no {done}")).collect());
        }
        if counts.versions < 100 || counts.hits == 0 {
            judge("enough was seen", vec![format!("{} versions, {} hits", counts.versions, counts.hits)]);
        }
        Self { plan, counts, memory, descriptors, exits, broken }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn held(&self) -> bool {
        self.broken.is_empty()
    }

    /// The promises that were broken, with what was seen of each.
    #[must_use]
    pub fn broken(&self) -> Vec<&'static str> {
        self.broken.iter().map(|(promise, ..)| *promise).collect()
    }

    /// The same as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let memory = |one: &Memory| json!({"first_kib": one.first_kib, "last_kib": one.last_kib, "parts_kib": one.parts_kib, "drift": one.drift()});
        let descriptors =
            |one: &Descriptors| json!({"node": one.node, "when": one.when, "before": one.before, "after": one.after});
        let broken = |(promise, count, described): &(&str, u64, Vec<String>)| json!({"promise": promise, "times": count, "seen": described});
        json!({
            "seconds": self.plan.duration.as_secs(),
            "requests": self.counts.requests,
            "statuses": self.counts.statuses,
            "events": self.counts.events,
            "versions": self.counts.versions,
            "hits": self.counts.hits,
            "memory": self.memory.iter().map(memory).collect::<Vec<_>>(),
            "descriptors": self.descriptors.iter().map(descriptors).collect::<Vec<_>>(),
            "exits": self.exits.iter().map(|(node, code)| json!({"node": node, "code": code})).collect::<Vec<_>>(),
            "broken": self.broken.iter().map(broken).collect::<Vec<_>>(),
            "held": self.held(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { requests, statuses, events, versions, hits, .. } = &self.counts;
        writeln!(f, "requests: {}", requests.values().sum::<u64>())?;
        requests.iter().try_for_each(|(kind, count)| writeln!(f, "  {count:>9}  {kind}"))?;
        writeln!(f, "answers: {}, of which {hits} from the cache", statuses.values().sum::<u64>())?;
        statuses.iter().try_for_each(|(status, count)| writeln!(f, "  {count:>9}  {status}"))?;
        writeln!(f, "versions held against what was written: {versions}")?;
        writeln!(f, "what happened:")?;
        events.iter().try_for_each(|(event, count)| writeln!(f, "  {count:>9}  {event}"))?;
        for (node, memory) in self.memory.iter().enumerate() {
            let Memory { first_kib, last_kib, .. } = memory;
            let bound = if self.plan.measures_memory() { "" } else { " (too short to be warm)" };
            let drift = memory.drift() * 100.0;
            writeln!(f, "memory of node {node}: {first_kib} KiB, at the end {last_kib} KiB: {drift:+.1} %{bound}")?;
        }
        for Descriptors { node, when, before, after } in &self.descriptors {
            writeln!(f, "descriptors of node {node}, {when}: {before}, then {after}")?;
        }
        for (node, code) in &self.exits {
            writeln!(f, "node {node} ended with {}", code.map_or("a signal".to_owned(), |code| code.to_string()))?;
        }
        for (promise, count, described) in &self.broken {
            writeln!(f, "BROKEN, {count} times: {promise}")?;
            described.iter().try_for_each(|what| writeln!(f, "  {what}"))?;
        }
        writeln!(f, "{}", if self.held() { "held: every promise was kept" } else { "NOT HELD" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(growth: u64, after: usize, code: Option<i32>, undone: &str) -> Report {
        let done = [
            "Redis restarts",
            "Postgres restarts",
            "certificates renewed",
            "configurations read again",
            "wrong configurations refused",
            "nodes restarted",
            "purges",
        ];
        let events = done.into_iter().filter(|done| *done != undone).map(|done| (done, 1)).collect();
        let counts = Counts { versions: 100, hits: 1, events, ..Counts::default() };
        let memory = std::array::from_fn(|_| Memory { first_kib: 100, last_kib: 100 + growth, parts_kib: Vec::new() });
        let descriptors = vec![Descriptors { node: 0, when: "now", before: 30, after }];
        Report::new(Plan::lasting(Duration::from_secs(600)), counts, memory, descriptors, vec![(0, code)])
    }

    #[test]
    fn each_promise_that_is_broken_is_named() {
        let most = 30 + DESCRIPTORS_MORE_MAX;
        assert!(report(4, most, Some(0), "").held());
        for (broken, promise) in [
            (report(6, most, Some(0), ""), "memory is flat after the warm-up"),
            (report(0, most + 1, Some(0), ""), "no descriptor is left open"),
            (report(0, 30, None, ""), "every stop is clean"),
            (report(0, 30, Some(0), "purges"), "everything was tried"),
        ] {
            assert_eq!(broken.broken(), [promise]);
            assert!(broken.to_string().contains(&format!("BROKEN, {}", broken.broken[0].1)), "{broken}");
        }
    }
}
