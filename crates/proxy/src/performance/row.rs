//! One step of time, in figures.

use std::time::Duration;

use super::{
    numbers,
    totals::{Totals, by_result, by_tier},
};

/// The names of a row's figures, in their order.
pub(super) const COLUMNS: [&str; 28] = [
    "at",
    "seconds",
    "requests",
    "hit",
    "stale",
    "coalesced",
    "miss",
    "bypass",
    "error",
    "memory",
    "redis",
    "disk",
    "p50",
    "p95",
    "p99",
    "bytes",
    "saved_calls",
    "saved_seconds",
    "fills",
    "database_connections",
    "database_in_use",
    "waiting",
    "database_waits",
    "cpu",
    "resident",
    "connections",
    "in_flight",
    "origin_calls",
];

/// The columns whose value is of one moment, and comes and goes; the memory of the process does not.
const GAUGES: [usize; 5] = [19, 20, 21, 25, 26];

/// What happened in one step, in the order of [`COLUMNS`]; `NAN` for what is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row([f64; COLUMNS.len()]);

impl Row {
    /// What happened from `before` to `now`.
    pub(super) fn between(before: &Totals, now: &Totals) -> Self {
        let seen = now.requests.since(&before.requests);
        let length = now.monotonic.saturating_sub(before.monotonic);
        let took = seen.duration();
        let millis = |share| took.quantile(share).map_or(f64::NAN, |seconds| seconds * 1000.0);
        let rise = |now: u64, before: u64| now.saturating_sub(before) as f64;
        let known = |value: Option<u64>| value.map_or(f64::NAN, |value| value as f64);
        let of_database = |read: fn(&super::totals::DatabaseTotals) -> u64| now.database.as_ref().map(read);
        let waits = now.database.zip(before.database).map(|(now, before)| now.waits.saturating_sub(before.waits));
        let [hit, stale, coalesced, miss, bypass, error] = by_result(&seen).map(|count| count as f64);
        let [memory, redis, disk] = by_tier(&seen).map(|count| count as f64);
        Self([
            now.at,
            length.as_secs_f64(),
            seen.requests() as f64,
            hit,
            stale,
            coalesced,
            miss,
            bypass,
            error,
            memory,
            redis,
            disk,
            millis(0.5),
            millis(0.95),
            millis(0.99),
            seen.body_bytes() as f64,
            seen.saved_calls as f64,
            seen.saved.as_secs_f64(),
            rise(now.fills, before.fills),
            known(of_database(|database| database.connections)),
            known(of_database(|database| database.in_use)),
            known(now.waiting),
            known(waits),
            share(now.cpu.saturating_sub(before.cpu), length),
            now.resident_bytes as f64,
            now.connections as f64,
            now.in_flight as f64,
            known(now.origin_calls.zip(before.origin_calls).map(|(now, before)| now.saturating_sub(before))),
        ])
    }

    /// The same, with the most of what each gauge had in `steps`, which it is made of: what was full for a second shows in a whole day.
    pub(super) fn with_peaks(mut self, steps: impl Iterator<Item = Self>) -> Self {
        for step in steps {
            for at in GAUGES {
                // `max` takes the one that is known.
                self.0[at] = self.0[at].max(step.0[at]);
            }
        }
        self
    }

    /// As a JSON array.
    pub(super) fn write(&self, out: &mut String) {
        for (at, number) in self.0.into_iter().enumerate() {
            out.push(if at == 0 { '[' } else { ',' });
            // Times are told to the millisecond, which is more digits than anything else is worth.
            if at == 0 { out.push_str(&format!("{number:.3}")) } else { numbers::write(out, number) }
        }
        out.push(']');
    }

    #[cfg(test)]
    pub(super) fn get(&self, column: &str) -> f64 {
        self.0[COLUMNS.iter().position(|name| *name == column).unwrap()]
    }
}

fn share(of: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { f64::NAN } else { of.as_secs_f64() / whole.as_secs_f64() }
}
