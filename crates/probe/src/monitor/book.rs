use edge_cache_core::Timestamp;
use tokio::time::Instant;

use super::{CheckSnapshot, Day, Finished, Last, MonitorSnapshot, State, day::Ring};
use crate::{Class, Outcome, Way};

/// What a monitor has found.
#[derive(Debug)]
pub(super) struct Book {
    began: Instant,
    rounds: u64,
    last_round_at: Option<i64>,
    rows: Vec<Row>,
}

/// One check by one way.
#[derive(Debug)]
struct Row {
    name: String,
    path: String,
    way: Way,
    state: State,
    since: Option<i64>,
    consecutive_failures: u64,
    ok: u64,
    failed: u64,
    last: Option<Last>,
    day: Ring,
}

impl Book {
    /// Nothing found yet. Its day is counted by the monotonic clock: no correction of the wall clock moves what was counted.
    pub(super) fn new(rows: impl IntoIterator<Item = (String, String, Way)>, now: Instant) -> Self {
        let rows = rows.into_iter().map(|(name, path, way)| Row {
            name,
            path,
            way,
            state: State::Unknown,
            since: None,
            consecutive_failures: 0,
            ok: 0,
            failed: 0,
            last: None,
            day: Ring::new(),
        });
        Self { began: now, rounds: 0, last_round_at: None, rows: rows.collect() }
    }

    pub(super) fn note(&mut self, row: usize, outcome: &Outcome, at: Timestamp, now: Instant) -> Finished {
        let row = &mut self.rows[row];
        let (before, at) = (row.state, at.as_secs());
        if outcome.class == Class::Ok {
            (row.state, row.consecutive_failures) = (State::Up, 0);
            row.ok += 1;
        } else {
            row.state = State::Down;
            row.consecutive_failures += 1;
            row.failed += 1;
        }
        if row.state != before {
            row.since = Some(at);
        }
        row.day.add(outcome.class, now - self.began);
        let last = Last {
            class: outcome.class,
            status: outcome.status.map(|status| status.as_u16()),
            by: outcome.by,
            millis: outcome.took.as_micros() as f64 / 1e3,
            at,
            error: outcome.error.clone(),
        };
        row.last = Some(last.clone());
        Finished {
            name: row.name.clone(),
            path: row.path.clone(),
            way: row.way,
            before,
            state: row.state,
            consecutive_failures: row.consecutive_failures,
            last,
        }
    }

    pub(super) fn round_ends(&mut self, at: Timestamp) {
        self.rounds += 1;
        self.last_round_at = Some(at.as_secs());
    }

    pub(super) fn snapshot(&self, now: Instant) -> MonitorSnapshot {
        let since = now - self.began;
        let (mut day, mut checks) = (Day::default(), Vec::with_capacity(self.rows.len()));
        for row in &self.rows {
            let own = row.day.sum(since);
            day.add(own.checks, own.failures, own.connection_errors);
            checks.push(CheckSnapshot {
                name: row.name.clone(),
                path: row.path.clone(),
                way: row.way,
                state: row.state,
                since: row.since,
                consecutive_failures: row.consecutive_failures,
                ok: row.ok,
                failed: row.failed,
                last: row.last.clone(),
                day: own,
            });
        }
        MonitorSnapshot { rounds: self.rounds, last_round_at: self.last_round_at, day, checks }
    }
}
