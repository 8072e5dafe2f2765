//! What was sent, what was promised, when something was broken, and what came of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    judge::{self, Age, Known, Shown, Wrong},
    world::LEASE,
};

/// Broken promises that are described, of each kind.
const DESCRIBED_MAX: usize = 5;
/// How much longer than its lease a node that is cut off may lag: an answer is on its way, on a busy machine.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Redis,
    Postgres,
    /// Nodes are restarted, one after the other.
    Rolling,
}

#[derive(Debug)]
struct Window {
    what: Broken,
    began: Instant,
    ended: Option<Instant>,
}

#[derive(Debug, Default)]
struct Item {
    sent: u64,
    acknowledged: Vec<Acknowledged>,
}

#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    version: u64,
    answered: Instant,
    /// Whether every node has heard of it by then.
    strictly: bool,
}

/// As long as a node that is cut off may lag.
const LAG: Duration = LEASE.saturating_add(ON_ITS_WAY);

impl Item {
    /// What a read that begins `at` must show, and what it must show even from a node that was cut off.
    fn due(&self, at: Instant) -> (u64, u64) {
        let highest = |fits: &dyn Fn(&Acknowledged) -> bool| {
            self.acknowledged.iter().filter(|one| fits(one)).map(|one| one.version).max().unwrap_or(0)
        };
        let long_ago = |one: &Acknowledged| one.answered + LAG < at;
        (highest(&|one| one.strictly && one.answered < at || long_ago(one)), highest(&long_ago))
    }
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: BTreeMap<&'static str, u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) events: BTreeMap<&'static str, u64>,
    pub(super) broken: BTreeMap<&'static str, (u64, Vec<String>)>,
    /// Answers with a version of the soak that was held against what is known.
    pub(super) versions: u64,
    pub(super) hits: u64,
}

#[derive(Debug)]
pub(super) struct Ledger {
    items: BTreeMap<i64, Mutex<Item>>,
    windows: Mutex<Vec<Window>>,
    counts: Mutex<Counts>,
}

/// A question, from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) began: Instant,
    pub(super) ended: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(super) fn new(ids: &[i64]) -> Self {
        let items = ids.iter().map(|id| (*id, Mutex::default())).collect();
        Self { items, windows: Mutex::default(), counts: Mutex::default() }
    }

    /// The next version of a pitch, which counts as sent from now on.
    pub(super) fn next_version(&self, id: i64) -> u64 {
        let mut item = lock(&self.items[&id]);
        item.sent += 1;
        item.sent
    }

    /// A write of `version` was answered: every read from now on must show it; where that was not strictly, those after a lease.
    pub(super) fn acknowledged(&self, id: i64, version: u64, strictly: bool, answered: Instant) {
        lock(&self.items[&id]).acknowledged.push(Acknowledged { version, answered, strictly });
    }

    pub(super) fn begins(&self, what: Broken, began: Instant) {
        lock(&self.windows).push(Window { what, began, ended: None });
    }

    /// It is mended, and what it left behind is over at `ended`.
    pub(super) fn ends(&self, what: Broken, ended: Instant) {
        let mut windows = lock(&self.windows);
        let open = windows.iter_mut().rev().find(|window| window.what == what && window.ended.is_none());
        open.expect("what ends has begun").ended = Some(ended);
    }

    /// Whether it was broken at some time in the span.
    pub(super) fn was(&self, what: Broken, span: Span) -> bool {
        lock(&self.windows).iter().any(|window| {
            window.what == what && window.began <= span.ended && window.ended.is_none_or(|ended| span.began <= ended)
        })
    }

    pub(super) fn asked(&self, kind: &'static str) {
        *lock(&self.counts).requests.entry(kind).or_default() += 1;
    }

    pub(super) fn status(&self, status: u16, said: &str) {
        let mut counts = lock(&self.counts);
        *counts.statuses.entry(status).or_default() += 1;
        counts.hits += u64::from(said.contains("; hit"));
    }

    pub(super) fn happened(&self, event: &'static str) {
        *lock(&self.counts).events.entry(event).or_default() += 1;
    }

    pub(super) fn breaks(&self, promise: &'static str, what: String) {
        let mut counts = lock(&self.counts);
        let (count, described) = counts.broken.entry(promise).or_default();
        *count += 1;
        if described.len() < DESCRIBED_MAX {
            described.push(what);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }

    /// Judges what was shown of pitches. `strict`: what may not lag behind writes; the rest must have been written some time.
    pub(super) fn judge(&self, shown: &[Shown], strict: usize, said: &str, span: Span) -> Result<(), Wrong> {
        let cut_off = self.was(Broken::Redis, span);
        for (at, pitch) in shown.iter().enumerate() {
            let Some(item) = self.items.get(&pitch.id) else {
                if pitch.version.is_some() {
                    return Err(Wrong::OtherPitch(format!("pitch {} has texts of the soak", pitch.id)));
                }
                continue;
            };
            let version = pitch.version.ok_or_else(|| Wrong::Torn(format!("pitch {} has no version", pitch.id)))?;
            let known = {
                let item = lock(item);
                let (acknowledged, long_acknowledged) = if at < strict { item.due(span.began) } else { (0, 0) };
                Known { sent: item.sent, acknowledged, long_acknowledged }
            };
            let age = judge::version(pitch.id, version, known, said, cut_off)?;
            let mut counts = lock(&self.counts);
            counts.versions += 1;
            match age {
                Age::New => {}
                Age::SaysStale => *counts.events.entry("old, as the answer said").or_default() += 1,
                Age::CutOff => *counts.events.entry("old, from a node cut off").or_default() += 1,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(version: u64) -> [Shown; 1] {
        [Shown { id: 4, version: Some(version) }]
    }

    fn at(instant: Instant) -> Span {
        Span { began: instant, ended: instant }
    }

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_acknowledged_must_be_seen_by_whoever_asks_later() {
        let (ledger, now) = (Ledger::new(&[4]), Instant::now());
        let (first, second) = (ledger.next_version(4), ledger.next_version(4));
        ledger.acknowledged(4, first, true, now);
        ledger.acknowledged(4, second, true, now + MOMENT * 2);
        let (before, after) = (at(now + MOMENT), at(now + MOMENT * 3));
        assert!(ledger.judge(&shown(first), 1, "", before).is_ok());
        assert!(matches!(ledger.judge(&shown(first), 1, "", after), Err(Wrong::Old(_))));
        assert!(ledger.judge(&shown(first), 0, "", after).is_ok(), "what may lag");
        assert!(ledger.judge(&shown(second), 1, "", after).is_ok());
        assert!(matches!(ledger.judge(&shown(3), 1, "", after), Err(Wrong::NeverWritten(_))));
        let nameless = [Shown { id: 4, version: None }];
        assert!(matches!(ledger.judge(&nameless, 1, "", after), Err(Wrong::Torn(_))));
        let foreign = [Shown { id: 5, version: Some(1) }];
        assert!(matches!(ledger.judge(&foreign, 1, "", after), Err(Wrong::OtherPitch(_))));
    }

    #[test]
    fn what_not_every_node_had_heard_of_must_be_seen_after_a_lease() {
        let (ledger, now) = (Ledger::new(&[4]), Instant::now());
        let (first, second) = (ledger.next_version(4), ledger.next_version(4));
        ledger.acknowledged(4, first, true, now);
        ledger.acknowledged(4, second, false, now);
        assert!(ledger.judge(&shown(first), 1, "", at(now + LEASE)).is_ok());
        assert!(matches!(ledger.judge(&shown(first), 1, "", at(now + LAG + MOMENT)), Err(Wrong::Old(_))));
    }

    #[test]
    fn while_redis_is_gone_a_lease_is_the_bound() {
        let (ledger, now) = (Ledger::new(&[4]), Instant::now());
        let (first, second) = (ledger.next_version(4), ledger.next_version(4));
        ledger.acknowledged(4, first, true, now);
        ledger.begins(Broken::Redis, now);
        ledger.acknowledged(4, second, true, now);
        assert!(ledger.judge(&shown(first), 1, "", at(now + LEASE)).is_ok());
        assert!(matches!(ledger.judge(&shown(first), 1, "", at(now + LAG + MOMENT)), Err(Wrong::Old(_))));
        ledger.ends(Broken::Redis, now + MOMENT);
        assert!(matches!(ledger.judge(&shown(first), 1, "", at(now + MOMENT * 2)), Err(Wrong::Old(_))));
    }

    #[test]
    fn a_window_is_what_was_broken_from_its_beginning_to_its_end() {
        let (ledger, now) = (Ledger::new(&[]), Instant::now());
        ledger.begins(Broken::Postgres, now + MOMENT);
        assert!(ledger.was(Broken::Postgres, at(now + MOMENT * 9)) && !ledger.was(Broken::Postgres, at(now)));
        ledger.ends(Broken::Postgres, now + MOMENT * 3);
        assert!(
            ledger.was(Broken::Postgres, at(now + MOMENT * 3)) && !ledger.was(Broken::Postgres, at(now + MOMENT * 4))
        );
        assert!(ledger.was(Broken::Postgres, Span { began: now, ended: now + MOMENT * 4 }));
        assert!(!ledger.was(Broken::Redis, at(now + MOMENT * 2)));
    }
}
