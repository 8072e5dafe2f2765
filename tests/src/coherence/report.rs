use std::{fmt, time::Duration};

use super::Scenario;

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was broken.
    pub scenario: Scenario,
    /// How often.
    pub breaks: u64,
    /// Answers judged.
    pub reads: u64,
    /// Requests without an answer, or with an error.
    pub failed_reads: u64,
    /// The share of answers that a node held.
    pub hits: f64,
    /// Purges acknowledged.
    pub acknowledged: u64,
    /// Purges that were not: nothing was promised for them.
    pub unacknowledged: u64,
    /// How long acknowledging took.
    pub acknowledged_after: Percentiles,
    /// Answers from before an acknowledged purge that said they were stale because the origin failed.
    pub stale_by_leave: u64,
    /// Answers from before an acknowledged purge by a node that was cut off, within its lease.
    pub cut_off: u64,
    /// The oldest of them: how long after the acknowledgement the read began.
    pub stale_when_cut: Duration,
    /// The oldest of the violations.
    pub stale_for: Duration,
    /// Answers from before an acknowledged purge.
    pub violations: u64,
    /// Some of them.
    pub described: Vec<String>,
}

/// How long something took.
#[derive(Clone, Debug, Default)]
pub struct Percentiles(Vec<u32>);

impl Percentiles {
    pub(super) fn add(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// The duration that this share of all is not longer than.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = ((last as f64) * share).round() as usize;
        Duration::from_micros(sorted.get(at).copied().unwrap_or(0).into())
    }
}

impl Report {
    /// The heads of the columns.
    pub const COLUMNS: &str = "scenario          broken   reads/failed  hits   acked/not   ack p50/p99/max ms  \
                               by leave  cut off (longest)  violations (longest)";
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |share| self.acknowledged_after.at(share).as_secs_f64() * 1000.0;
        write!(
            f,
            "{:<17} {:>6} {:>8}/{:<5} {:>4.1} % {:>6}/{:<5} {:>6.1}/{:.1}/{:.0} {:>12} {:>8} ({:.2} s) {:>10} ({:.2} s)",
            self.scenario.as_str(),
            self.breaks,
            self.reads,
            self.failed_reads,
            self.hits * 100.0,
            self.acknowledged,
            self.unacknowledged,
            millis(0.5),
            millis(0.99),
            millis(1.0),
            self.stale_by_leave,
            self.cut_off,
            self.stale_when_cut.as_secs_f64(),
            self.violations,
            self.stale_for.as_secs_f64()
        )
    }
}
