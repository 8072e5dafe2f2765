//! Everything that a drill saw.

use std::ops::Range;
use std::time::Duration;

use super::phases::{Phase, Phases, Times};
use super::readings::Readings;
use super::watch::Sample;
use crate::load::timeline::{Tally, Timeline, Which};

/// One value of the readings.
pub(crate) type Reading = fn(&Readings) -> Option<f64>;

/// Everything that a drill saw.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(crate) phases: Phases,
    /// The clients' side.
    pub(crate) timeline: Timeline,
    /// The servers' side, in the order of time.
    pub(crate) samples: Vec<Sample>,
    /// When the fault was; `None` where there is no such moment.
    pub(crate) times: Option<Times>,
    /// Connections that Postgres refused to the full stack because all were taken, by its own log; where that is a question.
    pub(crate) refused: Option<u64>,
}

impl Observed {
    /// What the clients saw in a part.
    pub(crate) fn clients(&self, phase: Phase, which: Which) -> Tally {
        self.timeline.over(self.phases.seconds(phase), which)
    }

    /// What they saw from begin to end.
    pub(crate) fn all(&self, which: Which) -> Tally {
        self.timeline.over(self.phases.all(), which)
    }

    fn samples(&self, seconds: Range<u32>) -> impl Iterator<Item = &Sample> {
        let (from, to) = (f64::from(seconds.start), f64::from(seconds.end));
        self.samples.iter().filter(move |sample| (from..to).contains(&sample.at.as_secs_f64()))
    }

    /// The most connections that Postgres counted, and how often it could be asked.
    pub(crate) fn connections(&self, seconds: Range<u32>) -> (Option<u64>, usize) {
        let counts: Vec<u64> = self.samples(seconds).filter_map(|sample| sample.connections).collect();
        (counts.iter().copied().max(), counts.len())
    }

    /// The largest value.
    pub(crate) fn most(&self, reading: Reading, seconds: Range<u32>) -> Option<f64> {
        self.samples(seconds).filter_map(|sample| reading(sample.readings.as_ref()?)).reduce(f64::max)
    }

    /// The smallest value.
    pub(crate) fn least(&self, reading: Reading, seconds: Range<u32>) -> Option<f64> {
        self.samples(seconds).filter_map(|sample| reading(sample.readings.as_ref()?)).reduce(f64::min)
    }

    /// The value at a moment: the last one that was seen by then.
    pub(crate) fn value(&self, reading: Reading, at: Duration) -> Option<f64> {
        self.samples
            .iter()
            .filter(|sample| sample.done <= at)
            .filter_map(|sample| reading(sample.readings.as_ref()?))
            .next_back()
    }

    /// The value at the end.
    pub(crate) fn last(&self, reading: Reading) -> Option<f64> {
        self.value(reading, Duration::MAX)
    }

    /// How much a counter rose between two moments; `None` unless it was seen by both.
    pub(crate) fn rise(&self, reading: Reading, from: Duration, to: Duration) -> Option<f64> {
        Some(self.value(reading, to)? - self.value(reading, from)?)
    }
}

#[cfg(test)]
impl Observed {
    /// A fault from second 8 to 23 of 33 seconds, in each of which 100 known reads were answered in 1 ms.
    pub(crate) fn made_up() -> Self {
        let seconds = Duration::from_secs;
        let times = Times { from: seconds(8), mending: seconds(23), healed: seconds(23) };
        let phases = Phases::around(super::phases::Schedule::new(15), times);
        Self { samples: Self::samples_of(33), timeline: Self::steady(33), phases, times: Some(times), refused: None }
    }

    /// 100 known reads a second, answered in 1 ms.
    pub(crate) fn steady(seconds: u32) -> Timeline {
        let mut timeline = Timeline::new(seconds);
        for second in 0..u64::from(seconds) {
            for nth in 0..100 {
                timeline.answered((second * 1_000_000 + nth * 10_000, true), 1_000, Default::default());
            }
        }
        timeline
    }

    /// One look a second: five connections, no errors, breakers closed.
    pub(crate) fn samples_of(seconds: u64) -> Vec<Sample> {
        let (some, zero) = (Some(5.0), Some(0.0));
        let readings = Readings {
            connections: some,
            in_use: some,
            connects: some,
            connect_errors: zero,
            timeouts: zero,
            redis_breaker: zero,
            database_breaker: zero,
            database_breaker_opened: zero,
            permits_limit: Some(10.0),
            permits_in_use: some,
            permits_in_use_max: some,
            shed: zero,
            pressure: zero,
        };
        let at = |second| Duration::from_secs(second) + Duration::from_millis(500);
        (0..seconds)
            .map(|second| Sample { at: at(second), done: at(second), connections: Some(5), readings: Some(readings) })
            .collect()
    }

    /// Changes the readings from a second on.
    pub(crate) fn change_from(&mut self, second: u64, change: impl Fn(&mut Readings)) {
        let late = self.samples.iter_mut().filter(|sample| sample.at >= Duration::from_secs(second));
        late.for_each(|sample| change(sample.readings.as_mut().expect("made up")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_as_it_last_was() {
        let mut observed = Observed::made_up();
        observed.change_from(10, |readings| readings.connects = Some(9.0));
        let connects: Reading = |readings| readings.connects;
        let rise = |from, to| observed.rise(connects, Duration::from_secs(from), Duration::from_secs(to));
        assert_eq!((rise(8, 10), rise(8, 11), rise(11, 30)), (Some(0.0), Some(4.0), Some(0.0)));
        assert_eq!(rise(0, 11), None, "nothing was seen by the first moment");
        assert_eq!((observed.last(connects), observed.most(connects, 0..10)), (Some(9.0), Some(5.0)));
    }

    #[test]
    fn a_look_that_saw_nothing_counts_as_none() {
        let mut observed = Observed::made_up();
        observed.samples[3].connections = None;
        observed.samples[3].readings = None;
        assert_eq!(observed.connections(3..4), (None, 0));
        assert_eq!(observed.connections(2..5), (Some(5), 2));
        assert_eq!(observed.most(|readings| readings.shed, 3..4), None);
    }
}
