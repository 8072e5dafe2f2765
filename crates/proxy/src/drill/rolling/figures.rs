//! What a pass comes to, in figures.

use std::ops::Range;

use serde::Serialize;

use super::Pass;
use super::node::Restart;
use crate::drill::phases::Phase;
use crate::drill::promises::kinds;
use crate::load::timeline::Which;

/// Seconds that are looked at together.
pub(crate) const WINDOW: u32 = 5;

/// The worst seconds of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Window {
    /// The first of them.
    pub(crate) from: u32,
    pub(crate) value: f64,
}

/// Figures of a pass. One that could not be measured is absent. "After" is from the first restart to the end of the load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Answers of a tier, in per cent of those that may be kept, before the restarts.
    pub(crate) hit_before: Option<f64>,
    /// The least in any window after.
    pub(crate) hit_lowest: Option<Window>,
    /// The part of them that memory gave, before the restarts.
    pub(crate) memory_before: Option<f64>,
    /// The least in any window after.
    pub(crate) memory_lowest: Option<Window>,
    /// Database queries a second of both nodes before the restarts.
    pub(crate) queries_before: Option<f64>,
    /// The most in a second after.
    pub(crate) queries_most: Option<Window>,
    /// The most a second in any window after.
    pub(crate) queries_most_in_window: Option<Window>,
    /// Seconds after with more than twice as many as before.
    pub(crate) doubled_seconds: Option<usize>,
    /// Requests of the whole load, and those of them that failed.
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// The failed ones by kind, in words.
    pub(crate) failures: String,
    pub(crate) p95_before_ms: Option<f64>,
    /// The most in any window after.
    pub(crate) p95_most_ms: Option<Window>,
    pub(crate) restarts: [Restart; 2],
}

impl Figures {
    pub(super) fn of(pass: &Pass) -> Self {
        let before = pass.phases.seconds(Phase::Before);
        let after = pass.phases.seconds(Phase::FirstNode).start..pass.phases.all().end;
        let clients = |seconds: Range<u32>| pass.timeline.over(seconds, Which::All);
        let hits = |seconds| clients(seconds).hit_rate().map(|rate| rate * 100.0);
        let memory = |seconds| clients(seconds).near_rate().map(|rate| rate * 100.0);
        let queries = |seconds| mean(&pass.queries, seconds);
        let queries_before = queries(before.clone());
        let all = clients(pass.phases.all());
        Self {
            hit_before: hits(before.clone()),
            hit_lowest: least(after.clone(), hits),
            memory_before: memory(before.clone()),
            memory_lowest: least(after.clone(), memory),
            queries_before,
            queries_most: worst(after.clone(), 1, queries),
            queries_most_in_window: worst(after.clone(), WINDOW, queries),
            doubled_seconds: queries_before.and_then(|before| above(&pass.queries, after.clone(), 2.0 * before)),
            requests: all.due(),
            failed: all.failed(),
            failures: kinds(&all),
            p95_before_ms: clients(before).p95_ms(),
            p95_most_ms: worst(after, WINDOW, |window| clients(window).p95_ms()),
            restarts: pass.restarts,
        }
    }

    /// How far the hit rate fell, in points.
    pub(crate) fn fall(&self) -> Option<f64> {
        Some(self.hit_before? - self.hit_lowest?.value)
    }

    /// How far memory's part of it fell, in points.
    pub(crate) fn memory_fall(&self) -> Option<f64> {
        Some(self.memory_before? - self.memory_lowest?.value)
    }
}

/// The window with the smallest value.
fn least(seconds: Range<u32>, value: impl Fn(Range<u32>) -> Option<f64>) -> Option<Window> {
    let lowest = worst(seconds, WINDOW, |window| value(window).map(|value| -value))?;
    Some(Window { value: -lowest.value, ..lowest })
}

/// The window with the largest value; `None` where there is no window, or one without a value.
fn worst(seconds: Range<u32>, length: u32, value: impl Fn(Range<u32>) -> Option<f64>) -> Option<Window> {
    let starts = seconds.start..(seconds.end + 1).saturating_sub(length);
    let windows = starts.map(|from| Some(Window { from, value: value(from..from + length)? }));
    let windows = windows.collect::<Option<Vec<_>>>()?;
    windows.into_iter().max_by(|one, other| one.value.total_cmp(&other.value))
}

fn mean(values: &[Option<f64>], seconds: Range<u32>) -> Option<f64> {
    let values = values.get(seconds.start as usize..seconds.end as usize)?;
    let sum = values.iter().copied().sum::<Option<f64>>()?;
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// Seconds with more than `limit`; `None` where one was not measured.
fn above(values: &[Option<f64>], seconds: Range<u32>, limit: f64) -> Option<usize> {
    let values = values.get(seconds.start as usize..seconds.end as usize)?;
    let values = values.iter().copied().collect::<Option<Vec<f64>>>()?;
    Some(values.into_iter().filter(|&value| value > limit).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_window_lies_anywhere_and_all_in_the_seconds() {
        let values = [9.0, 1.0, 1.0, 1.0, 5.0, 5.0, 1.0];
        let values: Vec<_> = values.map(Some).to_vec();
        let of = |seconds, length| worst(seconds, length, |window| mean(&values, window));
        assert_eq!(of(1..7, 2), Some(Window { from: 4, value: 5.0 }));
        assert_eq!(of(1..6, 5), Some(Window { from: 1, value: 2.6 }));
        assert_eq!(of(1..5, 5), None, "no such window");
        assert_eq!(of(0..9, 1), None, "one was not measured");
    }

    #[test]
    fn one_silent_second_makes_a_count_unknown() {
        let values = [Some(1.0), Some(3.0), Some(2.0), None];
        assert_eq!((above(&values, 0..3, 2.0), above(&values, 0..4, 2.0)), (Some(1), None));
        assert_eq!((mean(&values, 0..3), mean(&values, 2..4), mean(&values, 1..1)), (Some(2.0), None, None));
    }
}
