//! The parts of a drill: which second belongs to which.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

/// The first seconds of a stack that holds nothing yet.
pub(crate) const COLD: u32 = 5;
/// How long after the end of a fault is looked at by itself.
pub(crate) const HEALED: u32 = 5;
/// Load before the seconds that the fault is compared with. What can be stored is stored before it.
const WARM_UP: u32 = 3;
/// Between these two the part before the fault, and the one after the healing, are as long as the fault.
const NORMAL: (u32, u32) = (3, 5);

/// The same around restarts; the least is that of every drill.
const ROLLING_NORMAL_MAX: u32 = 10;

/// So much of a second, in s, does not make it one of the fault.
const HARDLY: f64 = 0.1;

/// A part of a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    WarmUp,
    Before,
    Fault,
    Healed,
    After,
    Direct,
    Cold,
    Full,
    FirstNode,
    SecondNode,
}

impl Phase {
    /// As the table has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm-up",
            Self::Before => "before",
            Self::Fault => "FAULT",
            Self::Healed => "healed",
            Self::After => "after",
            Self::Direct => "DIRECT",
            Self::Cold => "cold",
            Self::Full => "full",
            Self::FirstNode => "NODE A",
            Self::SecondNode => "NODE B",
        }
    }
}

/// When a fault is to begin and to end, in seconds of the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// From here on it is compared with.
    before: u32,
    pub(crate) fault: u32,
    pub(crate) heal: u32,
    /// The end of the load.
    pub(crate) end: u32,
}

impl Schedule {
    /// Around a fault of `seconds`.
    pub(crate) fn new(seconds: u32) -> Self {
        let normal = seconds.clamp(NORMAL.0, NORMAL.1);
        let fault = WARM_UP + normal;
        let heal = fault + seconds;
        Self { before: WARM_UP, fault, heal, end: heal + HEALED + normal }
    }
}

/// When each of two nodes is to be restarted, in seconds of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rolling {
    /// From here on it is compared with.
    before: u32,
    pub(crate) restarts: [u32; 2],
    after: u32,
    /// The end of the load.
    pub(crate) end: u32,
}

impl Rolling {
    /// `seconds` from one restart to the next.
    pub(crate) fn new(warmup: u32, seconds: u32) -> Self {
        let normal = seconds.clamp(NORMAL.0, ROLLING_NORMAL_MAX);
        let first = warmup + normal;
        let (second, after) = (first + seconds, first + 2 * seconds);
        Self { before: warmup, restarts: [first, second], after, end: after + normal }
    }
}

/// Instants of a fault, after the start of the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Times {
    /// Its begin.
    pub(crate) from: Duration,
    /// When the mending began.
    pub(crate) mending: Duration,
    /// When it was mended.
    pub(crate) healed: Duration,
}

/// The parts in their order, without gaps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Phases(Vec<(Phase, Range<u32>)>);

impl Phases {
    /// As they came: the fault lasts to the end of the second in which it was mended, unless that second was hardly touched.
    pub(crate) fn around(schedule: Schedule, times: Times) -> Self {
        let Schedule { before, fault, end, .. } = schedule;
        let healed = ((times.healed.as_secs_f64() - HARDLY).ceil() as u32).clamp(fault, end);
        let after = (healed + HEALED).min(end);
        let bounds = [0, before, fault, healed, after, end];
        let phases = [Phase::WarmUp, Phase::Before, Phase::Fault, Phase::Healed, Phase::After];
        Self::between(&phases, &bounds)
    }

    /// An incident of `direct` seconds, then `full` seconds of the full stack.
    pub(crate) fn exhaustion(direct: u32, full: u32) -> Self {
        let bounds = [0, direct, direct + COLD.min(full), direct + full];
        Self::between(&[Phase::Direct, Phase::Cold, Phase::Full], &bounds)
    }

    /// Two restarts; each part lasts to the next one, whenever the node is back.
    pub(crate) fn rolling(schedule: &Rolling) -> Self {
        let &Rolling { before, restarts: [first, second], after, end } = schedule;
        let phases = [Phase::WarmUp, Phase::Before, Phase::FirstNode, Phase::SecondNode, Phase::After];
        Self::between(&phases, &[0, before, first, second, after, end])
    }

    fn between(phases: &[Phase], bounds: &[u32]) -> Self {
        Self(phases.iter().zip(bounds.windows(2)).map(|(&phase, pair)| (phase, pair[0]..pair[1])).collect())
    }

    /// The seconds of a part; none where there is no such part.
    pub(crate) fn seconds(&self, phase: Phase) -> Range<u32> {
        self.0.iter().find(|(own, _)| *own == phase).map_or(0..0, |(_, seconds)| seconds.clone())
    }

    /// The part that a second belongs to.
    pub(crate) fn at(&self, second: u32) -> Option<Phase> {
        self.0.iter().find(|(_, seconds)| seconds.contains(&second)).map(|&(phase, _)| phase)
    }

    /// All seconds.
    pub(crate) fn all(&self) -> Range<u32> {
        0..self.0.last().map_or(0, |(_, seconds)| seconds.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(healed: f64) -> Times {
        let at = Duration::from_secs_f64;
        Times { from: at(8.0), mending: at(23.0), healed: at(healed) }
    }

    #[test]
    fn the_fault_lasts_to_the_end_of_the_second_in_which_it_was_mended() {
        let schedule = Schedule::new(15);
        assert_eq!((schedule.fault, schedule.heal, schedule.end), (8, 23, 33));
        let phases = Phases::around(schedule, times(23.2));
        assert_eq!(phases.seconds(Phase::Before), 3..8);
        assert_eq!(phases.seconds(Phase::Fault), 8..24);
        assert_eq!(phases.seconds(Phase::Healed), 24..29);
        assert_eq!(phases.seconds(Phase::After), 29..33);
        assert_eq!((phases.at(7), phases.at(8), phases.at(33)), (Some(Phase::Before), Some(Phase::Fault), None));
        assert_eq!(phases.all(), 0..33);
    }

    #[test]
    fn a_second_that_was_hardly_touched_is_healed() {
        let phases = Phases::around(Schedule::new(15), times(23.04));
        assert_eq!((phases.seconds(Phase::Fault), phases.seconds(Phase::Healed)), (8..23, 23..28));
    }

    #[test]
    fn what_was_mended_late_leaves_less_after_it() {
        let phases = Phases::around(Schedule::new(15), times(31.5));
        assert_eq!((phases.seconds(Phase::Healed), phases.seconds(Phase::After)), (32..33, 33..33));
        assert_eq!(Phases::around(Schedule::new(15), times(99.0)).seconds(Phase::Fault), 8..33);
    }

    #[test]
    fn a_short_drill_still_has_something_to_compare_with() {
        let schedule = Schedule::new(2);
        assert_eq!((schedule.fault - schedule.before, schedule.end - schedule.heal), (3, 8));
    }

    #[test]
    fn a_cold_start_is_told_apart() {
        let phases = Phases::exhaustion(4, 15);
        assert_eq!([Phase::Direct, Phase::Cold, Phase::Full].map(|phase| phases.seconds(phase)), [0..4, 4..9, 9..19]);
        assert_eq!(phases.seconds(Phase::Fault), 0..0);
    }

    #[test]
    fn restarts_follow_one_another() {
        let phases = |schedule| {
            let parts = [Phase::WarmUp, Phase::Before, Phase::FirstNode, Phase::SecondNode, Phase::After];
            parts.map(|phase| Phases::rolling(&schedule).seconds(phase))
        };
        assert_eq!(phases(Rolling::new(25, 15)), [0..25, 25..35, 35..50, 50..65, 65..75]);
        assert_eq!(phases(Rolling::new(1, 2)), [0..1, 1..4, 4..6, 6..8, 8..11]);
    }
}
