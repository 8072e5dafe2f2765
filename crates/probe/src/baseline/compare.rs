use std::fmt;

use serde::Serialize;

use super::{
    DIFFERENCE_MIN_MICROS, Endpoint, errors,
    resample::{Draws, Pool},
};

/// The same draws every time: what is compared twice is judged alike.
const SEED: u64 = 0x0ed6_e0ca_c4e5;
/// Draws of rounds for an interval.
const DRAWS: usize = 2_000;
/// Fewer rounds do not tell how far rounds lie apart.
const ROUNDS_MIN: usize = 5;
/// Of a statistic that so many answers lie beyond, on each side, something is known.
const BEYOND_MIN: f64 = 10.0;
/// An interval that reaches so many tolerances to each side says nothing.
const WIDE: f64 = 3.0;
/// Standard deviations that an interval reaches to each side, about.
const REACH: f64 = 2.0;
/// What moves by one within a recording, from its first half to its second, can have moved by so much more between two of them: a random
/// walk by a standard deviation of 1.5, of which more than two are taken, since two halves hardly tell how far it goes.
const DRIFT: f64 = 3.2;
/// On one side; 95 % on both.
const ALPHA: f64 = 0.025;
const MEDIAN: f64 = 0.5;
const P95: f64 = 0.95;

/// The least change that counts, as a share: 0.1 for 10 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Tolerance(f64);

impl Tolerance {
    /// From 0.001 to 10; `None` else.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.001..=10.0).contains(&share).then_some(Self(share))
    }

    /// The share.
    #[must_use]
    pub const fn share(self) -> f64 {
        self.0
    }
}

impl Default for Tolerance {
    /// 10 %.
    fn default() -> Self {
        Self(0.1)
    }
}

/// What the measurements say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It changed to the better, by more than the tolerance.
    Better,
    /// It changed to the worse, by more than the tolerance.
    Worse,
    /// No change beyond the tolerance.
    Same,
    /// They do not say: too few, or too far apart.
    Unsure,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Unsure => "unsure",
        })
    }
}

/// One endpoint, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Path and query.
    pub path: String,
    /// The median.
    pub median: StatisticCompared,
    /// The 95th percentile.
    pub p95: StatisticCompared,
    /// Errors.
    pub errors: ErrorsCompared,
}

impl Comparison {
    /// Whether anything is worse.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        [self.median.verdict, self.p95.verdict, self.errors.verdict].contains(&Verdict::Worse)
    }
}

/// A statistic of latencies, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatisticCompared {
    /// Before, in microseconds; `None` where there was no good answer.
    pub old_micros: Option<u64>,
    /// After, in microseconds; `None` where there was no good answer.
    pub new_micros: Option<u64>,
    /// After ÷ before.
    pub ratio: Option<f64>,
    /// From where to where the ratio lies, with 95 % confidence; `None` where there are too few rounds.
    pub interval: Option<(f64, f64)>,
    /// What that says.
    pub verdict: Verdict,
    /// Why it says nothing, where it does not.
    pub why: Option<&'static str>,
}

/// Errors, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorsCompared {
    /// Errors before, of how many.
    pub old: (u64, u64),
    /// Errors after, of how many.
    pub new: (u64, u64),
    /// The probability that chance alone moves as many to one side (Fisher's exact test, one-sided).
    pub p: f64,
    /// What that says: a change counts from 2.5 % down.
    pub verdict: Verdict,
}

/// Compares what was measured of one endpoint with what was measured of it before.
///
/// A latency is better or worse where the interval of the ratio excludes 1 and the ratio itself is beyond `tolerance`; the same, where the ratio
/// is within, and the interval no wider than three tolerances to each side. Everything else is unsure. A difference below
/// [`DIFFERENCE_MIN_MICROS`] counts as within, whatever its ratio.
#[must_use]
pub fn compare(old: &Endpoint, new: &Endpoint, tolerance: Tolerance) -> Comparison {
    let [median, p95] = statistics(&Pool::new(&old.rounds_micros), &Pool::new(&new.rounds_micros), tolerance);
    Comparison { path: new.path.clone(), median, p95, errors: errors_compared(old, new) }
}

const WANTED: [f64; 2] = [MEDIAN, P95];

fn statistics(old: &Pool, new: &Pool, tolerance: Tolerance) -> [StatisticCompared; 2] {
    let known = |pool: &Pool| (pool.len() > 0).then(|| pool.quantiles(WANTED));
    let (Some(before), Some(after)) = (known(old), known(new)) else {
        let [before, after] = [old, new].map(|pool| known(pool).map_or([None; 2], |found| found.map(Some)));
        let (verdict, why) = (Verdict::Unsure, Some("no good answers"));
        return [0, 1].map(|at| {
            let (old_micros, new_micros) = (before[at], after[at]);
            StatisticCompared { old_micros, new_micros, ratio: None, interval: None, verdict, why }
        });
    };
    let ratios = [0, 1].map(|at| ratio(before[at], after[at]));
    let intervals = (old.rounds().min(new.rounds()) >= ROUNDS_MIN).then(|| intervals(old, new, ratios));
    [0, 1].map(|at| {
        let (was, is, ratio) = (before[at], after[at], ratios[at]);
        let interval = intervals.map(|intervals| intervals[at]);
        let (verdict, why) = match interval {
            None => (Verdict::Unsure, Some("too few rounds")),
            Some(_) if !is_known(old, new, at) => (Verdict::Unsure, Some("too few answers")),
            Some(interval) => judge(ratio, is.abs_diff(was), interval, tolerance),
        };
        StatisticCompared { old_micros: Some(was), new_micros: Some(is), ratio: Some(ratio), interval, verdict, why }
    })
}

/// Whether there are answers enough to know something of a statistic.
fn is_known(old: &Pool, new: &Pool, at: usize) -> bool {
    (1.0 - WANTED[at]) * old.len().min(new.len()) as f64 >= BEYOND_MIN
}

/// From where to where each ratio lies.
fn intervals(old: &Pool, new: &Pool, ratios: [f64; 2]) -> [(f64, f64); 2] {
    let tail = percentile_for(old.rounds().min(new.rounds()));
    let wider = 1.0 / (1.0 - old.memory_with(new)).sqrt();
    let logs = drawn_logs(old, new, WANTED);
    let drawn = [0, 1].map(|at| widened(ratios[at], between(&logs[at], tail), wider));
    let (was, is) = (old.swing(WANTED), new.swing(WANTED));
    let drifts = [0, 1].map(|at| {
        let swing = f64::midpoint(was[at].powi(2), is[at].powi(2));
        if is_known(old, new, at) { drift(ratios[at], drawn[at], swing, wider) } else { 0.0 }
    });
    // A drift moves all answers: what one statistic shows of it holds for the other.
    let drift = drifts[0].max(drifts[1]);
    [0, 1].map(|at| with_drift(ratios[at], drawn[at], drift))
}

/// A latency below a microsecond counts as one.
fn ratio(old: u64, new: u64) -> f64 {
    new.max(1) as f64 / old.max(1) as f64
}

/// Logarithms of the ratio under other draws of rounds, sorted: in them faster and slower are alike.
fn drawn_logs<const N: usize>(old: &Pool, new: &Pool, quantiles: [f64; N]) -> [Vec<f64>; N] {
    let mut draws = Draws::new(SEED);
    let mut logs = [const { Vec::new() }; N];
    for _ in 0..DRAWS {
        let (was, is) = (old.drawn(quantiles, &mut draws), new.drawn(quantiles, &mut draws));
        for (at, logs) in logs.iter_mut().enumerate() {
            logs.push(ratio(was[at], is[at]).ln());
        }
    }
    for logs in &mut logs {
        logs.sort_by(f64::total_cmp);
    }
    logs
}

fn between(sorted: &[f64], tail: f64) -> (f64, f64) {
    let last = sorted.len() - 1;
    let skip = ((tail * sorted.len() as f64) as usize).min(last / 2);
    (sorted[skip].exp(), sorted[last - skip].exp())
}

/// An interval reaches further to each side of the ratio where rounds remember one another for longer than the draws keep them together.
fn widened(ratio: f64, (low, high): (f64, f64), factor: f64) -> (f64, f64) {
    let reach = |end: f64| ratio * (end / ratio).powf(factor);
    (reach(low).min(low), reach(high).max(high))
}

/// The variance of a drift that single rounds, each with noise of its own, hardly show: where the halves of the recordings lie further apart
/// than rounds that do not remember would let them. `swing` is the mean square of the logarithm by which halves differ, which without a drift
/// is twice the variance of what is compared; the interval is `wider` than that variance alone makes it.
fn drift(ratio: f64, (low, high): (f64, f64), swing: f64, wider: f64) -> f64 {
    let reach = f64::midpoint((low / ratio).ln().abs(), (high / ratio).ln().abs());
    (swing - 2.0 * (reach / (REACH * wider)).powi(2)).max(0.0)
}

/// An interval reaches further to each side where there is a drift.
fn with_drift(ratio: f64, (low, high): (f64, f64), drift: f64) -> (f64, f64) {
    let reach = |end: f64| ((end / ratio).ln().powi(2) + DRIFT.powi(2) * drift).sqrt().exp();
    (ratio / reach(low), ratio * reach(high))
}

fn judge(
    ratio: f64,
    apart_micros: u64,
    (low, high): (f64, f64),
    tolerance: Tolerance,
) -> (Verdict, Option<&'static str>) {
    let limit = 1.0 + tolerance.share();
    let within = apart_micros < DIFFERENCE_MIN_MICROS || (1.0 / limit..=limit).contains(&ratio);
    if !within && low > 1.0 {
        (Verdict::Worse, None)
    } else if !within && high < 1.0 {
        (Verdict::Better, None)
    } else if (high / low).sqrt() > 1.0 + WIDE * tolerance.share() {
        (Verdict::Unsure, Some("too far apart"))
    } else if within {
        (Verdict::Same, None)
    } else {
        (Verdict::Unsure, Some("may be chance"))
    }
}

/// The part of draws to leave out on each side. A draw of few rounds lies too close to them: what a t-interval is wider than a normal one is
/// made up for (the expanded percentile interval; Hesterberg, What Teachers Should Know About the Bootstrap, 2015, §3.2).
fn percentile_for(rounds: usize) -> f64 {
    let n = rounds.max(2) as f64;
    lower_tail((n / (n - 1.0)).sqrt() * t_quantile(n - 1.0))
}

/// The 97.5 % quantile of Student's t (Abramowitz and Stegun, 26.7.5); below four degrees of freedom a little small.
fn t_quantile(freedom: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let (z3, z5, z7) = (Z.powi(3), Z.powi(5), Z.powi(7));
    let first = (z3 + Z) / 4.0;
    let second = (5.0 * z5 + 16.0 * z3 + 3.0 * Z) / 96.0;
    let third = (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * Z) / 384.0;
    Z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

/// How much of a normal distribution lies more than `z` standard deviations below its mean (Abramowitz and Stegun, 26.2.17).
fn lower_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let polynomial =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial
}

fn errors_compared(old: &Endpoint, new: &Endpoint) -> ErrorsCompared {
    let of = |endpoint: &Endpoint| (endpoint.bad(), endpoint.bad() + endpoint.good());
    let (was, is) = (of(old), of(new));
    let (more, fewer) = (errors::at_least(was.0, was.1, is.0, is.1), errors::at_least(is.0, is.1, was.0, was.1));
    let verdict = if more <= ALPHA {
        Verdict::Worse
    } else if fewer <= ALPHA {
        Verdict::Better
    } else {
        Verdict::Same
    };
    ErrorsCompared { old: was, new: is, p: more.min(fewer), verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tails_are_those_of_the_tables() {
        for (freedom, quantile) in [(4.0, 2.776), (9.0, 2.262), (29.0, 2.045), (1e9, 1.960)] {
            assert!((t_quantile(freedom) - quantile).abs() < 0.01, "{freedom}: {}", t_quantile(freedom));
        }
        for (z, tail) in [(1.96, 0.025), (2.326, 0.01), (3.09, 0.001)] {
            assert!((lower_tail(z) - tail).abs() < 1e-4, "{z}: {}", lower_tail(z));
        }
        assert!(percentile_for(10) < 0.01 && percentile_for(1_000) > 0.024);
    }

    #[test]
    fn a_verdict_needs_both_an_effect_and_certainty() {
        let ten = Tolerance::default();
        for (ratio, interval, verdict) in [
            (1.2, (1.1, 1.3), Verdict::Worse),
            (3.0, (1.5, 6.0), Verdict::Worse),
            (0.8, (0.7, 0.9), Verdict::Better),
            (1.05, (1.02, 1.08), Verdict::Same),
            (1.0, (0.95, 1.05), Verdict::Same),
            (1.0, (0.7, 1.4), Verdict::Unsure),
            (1.15, (0.98, 1.3), Verdict::Unsure),
            (0.85, (0.7, 1.02), Verdict::Unsure),
        ] {
            assert_eq!(judge(ratio, 1_000, interval, ten).0, verdict, "{ratio} {interval:?}");
        }
        // The same ratio of next to nothing.
        for (micros, sure) in [(49, Verdict::Same), (50, Verdict::Worse)] {
            assert_eq!(judge(1.2, micros, (1.1, 1.3), ten).0, sure, "{micros}");
            assert_eq!(judge(2.0, 49, (1.1, 3.6), ten).0, Verdict::Unsure);
        }
        assert_eq!(judge(0.8, 49, (0.7, 0.9), ten).0, Verdict::Same);
    }
}
