//! What was promised, and what was read.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{Report, Scenario, report::Percentiles};

/// Rows that are written and read.
pub(super) const ITEMS: usize = 64;
/// Violations that are described.
const DESCRIBED_MAX: usize = 10;
/// How much longer than its lease a node may take to notice that it is over: the answer is on its way already.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Ledger {
    lease: Duration,
    items: Vec<Mutex<Item>>,
    counts: Counts,
    acknowledged_after: Mutex<Percentiles>,
    stale_for: Mutex<Duration>,
    stale_when_cut: Mutex<Duration>,
    violations: Mutex<Vec<String>>,
    breaks: AtomicU64,
}

#[derive(Debug, Default)]
struct Item {
    /// Versions whose purges were acknowledged, and when; rising.
    acknowledged: Vec<(u64, Instant)>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) reads: AtomicU64,
    pub(super) failed_reads: AtomicU64,
    pub(super) stale_by_leave: AtomicU64,
    pub(super) cut_off: AtomicU64,
    pub(super) violations: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) unacknowledged: AtomicU64,
}

/// What a reader was given.
pub(super) struct Read<'a> {
    pub(super) item: usize,
    pub(super) node: usize,
    pub(super) began: Instant,
    pub(super) version: u64,
    pub(super) said: &'a str,
    /// Whether the node may have been cut off from Redis at some time since shortly before the read.
    pub(super) cut_off: bool,
}

/// Whether an answer says that it is stale because the origin failed. That is allowed only after a soft purge: a reader cannot tell which
/// of the purges was the last.
pub(super) fn says_stale(said: &str) -> bool {
    let failed = |member: &str| member.ends_with("detail=stale-if-error") || member.ends_with("detail=disconnected");
    said.split(", ").any(|member| member.contains("; fwd=stale") && failed(member))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lease,
            items: (0..ITEMS).map(|_| Mutex::default()).collect(),
            counts: Counts::default(),
            acknowledged_after: Mutex::default(),
            stale_for: Mutex::default(),
            stale_when_cut: Mutex::default(),
            violations: Mutex::default(),
            breaks: AtomicU64::new(0),
        }
    }

    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn broke(&self) {
        self.breaks.fetch_add(1, Ordering::Relaxed);
    }

    /// The purge of `version` is acknowledged, so long after it was asked for.
    pub(super) fn acknowledged(&self, item: usize, version: u64, after: Duration) {
        lock(&self.items[item]).acknowledged.push((version, Instant::now()));
        lock(&self.acknowledged_after).add(after);
        self.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// Judges a read.
    pub(super) fn judge(&self, read: &Read<'_>) {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let promised_since = {
            let item = lock(&self.items[read.item]);
            // The first version that should have been there, of those acknowledged before the read began.
            let newer = item.acknowledged.partition_point(|(version, _)| *version <= read.version);
            item.acknowledged.get(newer).map(|(_, at)| *at).filter(|at| *at < read.began)
        };
        let Some(since) = promised_since else { return };
        let staleness = read.began.duration_since(since);
        if says_stale(read.said) {
            self.counts.stale_by_leave.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if read.cut_off && staleness <= self.lease + ON_ITS_WAY {
            self.counts.cut_off.fetch_add(1, Ordering::Relaxed);
            let mut longest = lock(&self.stale_when_cut);
            *longest = staleness.max(*longest);
            return;
        }
        let mut longest = lock(&self.stale_for);
        *longest = staleness.max(*longest);
        self.counts.violations.fetch_add(1, Ordering::Relaxed);
        let mut violations = lock(&self.violations);
        if violations.len() < DESCRIBED_MAX {
            let Read { item, node, version, said, cut_off, .. } = read;
            violations.push(format!(
                "node {node} gave version {version} of item {item} {staleness:?} after a newer one was acknowledged \
                 (cut off: {cut_off}): {said}"
            ));
        }
    }

    pub(super) fn violate(&self, what: String) {
        self.counts.violations.fetch_add(1, Ordering::Relaxed);
        let mut violations = lock(&self.violations);
        if violations.len() < DESCRIBED_MAX {
            violations.push(what);
        }
    }

    pub(super) fn report(&self, scenario: Scenario, hits: f64) -> Report {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        Report {
            scenario,
            breaks: read(&self.breaks),
            reads: read(&counts.reads),
            failed_reads: read(&counts.failed_reads),
            hits,
            acknowledged: read(&counts.acknowledged),
            unacknowledged: read(&counts.unacknowledged),
            acknowledged_after: lock(&self.acknowledged_after).clone(),
            stale_by_leave: read(&counts.stale_by_leave),
            cut_off: read(&counts.cut_off),
            stale_when_cut: *lock(&self.stale_when_cut),
            stale_for: *lock(&self.stale_for),
            violations: read(&counts.violations),
            described: lock(&self.violations).clone(),
        }
    }
}
