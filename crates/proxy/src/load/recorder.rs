//! What the generator counts: latencies of answers, and failures by their kind.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::read::Group;
use super::timeline::Timeline;

/// Latencies above this are recorded as this, in µs; a request is given up long before.
pub(crate) const LATENCY_MAX_US: u64 = 60_000_000;

/// Why a request has no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// The server's port refused the connection.
    ConnectRefused,
    /// The connection could not be made for another reason.
    Connect,
    /// The connection broke before the last byte.
    Transport,
    /// Sent, and no last byte within the time that a client waits.
    Timeout,
    /// No client was free within the time that a client waits: never sent.
    NeverSent,
    /// Turned away: 503 with a `Retry-After`.
    Declined,
    /// A status that is no right answer to this request.
    Status(u16),
    /// What a client had just published was not where it asked for it next.
    Unread,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConnectRefused => f.write_str("connect refused"),
            Self::Connect => f.write_str("connect failed"),
            Self::Transport => f.write_str("connection broken"),
            Self::Timeout => f.write_str("timeout"),
            Self::NeverSent => f.write_str("no free client"),
            Self::Declined => f.write_str("status 503 with retry-after"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Unread => f.write_str("own write not seen"),
        }
    }
}

/// Counts of one run, of the counted window only.
#[derive(Debug)]
pub(crate) struct Recorder {
    groups: [Histogram<u64>; Group::ALL.len()],
    failures: BTreeMap<Failure, u64>,
    write_failures: BTreeMap<Failure, u64>,
    not_found: u64,
    skipped_writes: u64,
    read_in_window: u64,
    offered: u64,
    /// Second by second, where asked for.
    pub(crate) timeline: Option<Timeline>,
}

impl Recorder {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are in order");
        Self {
            groups: std::array::from_fn(|_| histogram()),
            failures: BTreeMap::new(),
            write_failures: BTreeMap::new(),
            not_found: 0,
            skipped_writes: 0,
            read_in_window: 0,
            offered: 0,
            timeline: None,
        }
    }

    /// Nothing counted yet, and all to be counted second by second as well.
    pub(crate) fn by_second(seconds: u32) -> Self {
        Self { timeline: Some(Timeline::new(seconds)), ..Self::new() }
    }

    /// A right answer; `latency_us` from the intended start to the last byte.
    pub(crate) fn answered(&mut self, group: Group, latency_us: u64, in_window: bool) {
        self.groups[group as usize].saturating_record(latency_us.max(1));
        if group != Group::Write {
            self.offered += 1;
            self.read_in_window += u64::from(in_window);
        }
    }

    /// A right answer that said "not found".
    pub(crate) fn not_found(&mut self) {
        self.not_found += 1;
    }

    /// A failure: counted, never timed.
    pub(crate) fn failed(&mut self, group: Group, failure: Failure) {
        if group == Group::Write {
            *self.write_failures.entry(failure).or_default() += 1;
        } else {
            self.offered += 1;
            *self.failures.entry(failure).or_default() += 1;
        }
    }

    /// A write whose pitch was never created because that creation failed.
    pub(crate) fn skipped_write(&mut self) {
        self.skipped_writes += 1;
    }

    /// The figures of the report; `seconds` is the length of the counted window.
    pub(crate) fn figures(&self, seconds: f64) -> Load {
        let mut all = Histogram::new_from(&self.groups[0]);
        for group in Group::ALL.into_iter().filter(|group| *group != Group::Write) {
            all.add(&self.groups[group as usize]).expect("all histograms have the same bounds");
        }
        let named = |failures: &BTreeMap<Failure, u64>| {
            failures.iter().map(|(kind, count)| (kind.to_string(), *count)).collect()
        };
        Load {
            reads: self.offered,
            reads_per_second: self.read_in_window as f64 / seconds,
            errors: self.failures.values().sum(),
            errors_by_kind: named(&self.failures),
            not_found: self.not_found,
            latency: Latency::of(&all),
            latency_by_group: Group::ALL
                .into_iter()
                .map(|group| (group, Latency::of(&self.groups[group as usize])))
                .collect(),
            writes: self.groups[Group::Write as usize].len() + self.write_failures.values().sum::<u64>(),
            write_errors: self.write_failures.values().sum(),
            write_errors_by_kind: named(&self.write_failures),
            writes_skipped: self.skipped_writes,
        }
    }
}

/// What the clients saw in the counted window.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Load {
    /// Reads that were due.
    pub(crate) reads: u64,
    /// Right answers whose last byte came within the window, each second.
    pub(crate) reads_per_second: f64,
    /// Reads without a right answer.
    pub(crate) errors: u64,
    /// The same by kind.
    pub(crate) errors_by_kind: BTreeMap<String, u64>,
    /// Right answers "404".
    pub(crate) not_found: u64,
    /// Of all reads with a right answer.
    pub(crate) latency: Latency,
    /// The same by group, and of the writes.
    pub(crate) latency_by_group: BTreeMap<Group, Latency>,
    /// Writes sent.
    pub(crate) writes: u64,
    /// Writes without a right answer.
    pub(crate) write_errors: u64,
    /// The same by kind.
    pub(crate) write_errors_by_kind: BTreeMap<String, u64>,
    /// Writes not sent because what they are about was never created.
    pub(crate) writes_skipped: u64,
}

/// Latencies in ms, from the intended start to the last byte; absent where nothing was answered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// Answers timed.
    pub(crate) count: u64,
    pub(crate) mean_ms: Option<f64>,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    pub(crate) max_ms: Option<f64>,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let some = |us: f64| (!histogram.is_empty()).then_some(us / 1_000.0);
        let quantile = |q: f64| some(histogram.value_at_quantile(q) as f64);
        Self {
            count: histogram.len(),
            mean_ms: some(histogram.mean()),
            p50_ms: quantile(0.50),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            max_ms: some(histogram.max() as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_kind_and_never_timed() {
        let mut recorder = Recorder::new();
        recorder.answered(Group::Trending, 5_000, true);
        recorder.failed(Group::Trending, Failure::Status(503));
        recorder.failed(Group::Detail, Failure::Status(503));
        recorder.failed(Group::Detail, Failure::Timeout);
        recorder.failed(Group::Write, Failure::Transport);
        let load = recorder.figures(2.0);
        assert_eq!((load.reads, load.errors, load.write_errors), (4, 3, 1));
        assert_eq!(load.errors_by_kind["status 503"], 2);
        assert_eq!(load.latency.count, 1);
        let max = load.latency.max_ms.unwrap();
        assert!((max - 5.0).abs() < 0.01, "{max}");
        assert!((load.reads_per_second - 0.5).abs() < 1e-9);
        assert_eq!(load.latency_by_group[&Group::Detail].p95_ms, None);
    }

    #[test]
    fn writes_do_not_mix_into_the_latencies_of_reads() {
        let mut recorder = Recorder::new();
        recorder.answered(Group::Write, 900_000, true);
        recorder.answered(Group::New, 1_000, false);
        let load = recorder.figures(1.0);
        assert_eq!((load.reads, load.writes, load.latency.count), (1, 1, 1));
        assert!(load.latency.max_ms.unwrap() < 1.1);
        assert_eq!(load.reads_per_second, 0.0, "the answer came after the window");
    }
}
