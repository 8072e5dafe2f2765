//! What the clients saw second by second, each request in the second of its intended start.

use std::collections::BTreeMap;
use std::ops::Range;

use edge_cache_core::headers::CACHE_STATUS;
use hdrhistogram::Histogram;
use http::HeaderMap;
use sfv::{List, ListEntry, Parser};

use super::recorder::{Failure, LATENCY_MAX_US};

/// How a right answer came about, by its own `Cache-Status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Source {
    /// A tier gave it.
    pub(crate) hit: bool,
    /// The tier next to the client gave it.
    pub(crate) near: bool,
    /// It is no longer fresh, or was purged.
    pub(crate) stale: bool,
    /// No tier may keep it: it is not what a hit rate is about.
    pub(crate) bypass: bool,
}

impl Source {
    /// Reads what the tiers say. A tier that fetched a new answer because its own was stale says `fwd=stale` as well, and that it
    /// stored one; `ttl` without `stored` is about what it had.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut source = Self::default();
        for line in headers.get_all(CACHE_STATUS) {
            let Ok(members) = Parser::new(line.as_bytes()).parse::<List>() else { continue };
            for member in &members {
                let ListEntry::Item(item) = member else { continue };
                let is = |name: &str| item.params.get(name).and_then(|value| value.as_boolean()) == Some(true);
                let ttl = item.params.get("ttl").and_then(|value| value.as_integer()).map(i64::from);
                let forward = item.params.get("fwd").and_then(|value| value.as_token());
                let hit = is("hit");
                let instead = forward.is_some_and(|token| token.as_str() == "stale") && ttl.is_some() && !is("stored");
                source.hit |= hit;
                // Whoever is nearer to the client stands behind in the list (RFC 9211 §2).
                source.near = hit;
                source.bypass |= forward.is_some_and(|token| token.as_str() == "bypass");
                source.stale |= instead || hit && ttl.is_some_and(|ttl| ttl < 0);
            }
        }
        source
    }
}

/// Counts of the requests of one second, or of several.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Of right answers, in µs from the intended start.
    latencies: Histogram<u64>,
    /// Right answers that a tier gave.
    pub(crate) hits: u64,
    /// Right answers that were stale.
    pub(crate) stale: u64,
    /// Right answers that the tier next to the client gave.
    near: u64,
    /// Right answers that no tier may keep.
    bypassed: u64,
    /// Requests without a right answer.
    pub(crate) failures: BTreeMap<Failure, u64>,
}

impl Tally {
    /// Nothing counted.
    pub(crate) fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX_US, 2).expect("the bounds are in order");
        Self { latencies, hits: 0, stale: 0, near: 0, bypassed: 0, failures: BTreeMap::new() }
    }

    fn answered(&mut self, latency_us: u64, source: Source) {
        self.latencies.saturating_record(latency_us.max(1));
        self.hits += u64::from(source.hit);
        self.stale += u64::from(source.stale);
        self.near += u64::from(source.near);
        self.bypassed += u64::from(source.bypass);
    }

    fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("all histograms have the same bounds");
        self.hits += other.hits;
        self.stale += other.stale;
        self.near += other.near;
        self.bypassed += other.bypassed;
        for (&failure, count) in &other.failures {
            *self.failures.entry(failure).or_default() += count;
        }
    }

    /// Requests that were due.
    pub(crate) fn due(&self) -> u64 {
        self.answers() + self.failed()
    }

    /// Right answers.
    pub(crate) fn answers(&self) -> u64 {
        self.latencies.len()
    }

    /// Requests without a right answer.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// In ms; `None` where nothing was answered.
    pub(crate) fn p95_ms(&self) -> Option<f64> {
        (!self.latencies.is_empty()).then(|| self.latencies.value_at_quantile(0.95) as f64 / 1_000.0)
    }

    /// Answers of a tier ÷ requests whose answer may be kept, from 0 to 1. One that failed counts as one that might have been.
    pub(crate) fn hit_rate(&self) -> Option<f64> {
        self.of_storable(self.hits)
    }

    /// The part of the hit rate that the tier next to the client gives.
    pub(crate) fn near_rate(&self) -> Option<f64> {
        self.of_storable(self.near)
    }

    fn of_storable(&self, part: u64) -> Option<f64> {
        let storable = self.due() - self.bypassed;
        (storable > 0).then(|| part as f64 / storable as f64)
    }

    /// A part of the right answers, from 0 to 1.
    pub(crate) fn share(&self, part: u64) -> Option<f64> {
        (self.answers() > 0).then(|| part as f64 / self.answers() as f64)
    }
}

/// Which of the reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Questions that others ask too.
    Known,
    /// All.
    All,
}

/// One second after the other, from the start of the load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// Known questions, and the others.
    seconds: Vec<[Tally; 2]>,
}

impl Timeline {
    /// `seconds` seconds in which nothing has happened.
    pub(crate) fn new(seconds: u32) -> Self {
        Self { seconds: (0..seconds).map(|_| [Tally::new(), Tally::new()]).collect() }
    }

    /// A right answer to a request that was due at `at_us` µs; `latency_us` from then to its last byte.
    pub(crate) fn answered(&mut self, (at_us, known): (u64, bool), latency_us: u64, source: Source) {
        if let Some(tally) = self.at(at_us, known) {
            tally.answered(latency_us, source);
        }
    }

    /// A failure: counted, never timed.
    pub(crate) fn failed(&mut self, (at_us, known): (u64, bool), failure: Failure) {
        if let Some(tally) = self.at(at_us, known) {
            *tally.failures.entry(failure).or_default() += 1;
        }
    }

    fn at(&mut self, at_us: u64, known: bool) -> Option<&mut Tally> {
        let second = self.seconds.get_mut(usize::try_from(at_us / 1_000_000).ok()?)?;
        Some(&mut second[usize::from(!known)])
    }

    /// The counts of some seconds together.
    pub(crate) fn over(&self, seconds: Range<u32>, which: Which) -> Tally {
        let mut sum = Tally::new();
        for [known, others] in self.seconds.iter().take(seconds.end as usize).skip(seconds.start as usize) {
            sum.add(known);
            if which == Which::All {
                sum.add(others);
            }
        }
        sum
    }

    /// Puts the seconds of a later load behind these.
    pub(crate) fn append(&mut self, later: Self) {
        self.seconds.extend(later.seconds);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn source(lines: &[&'static str]) -> Source {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_STATUS, HeaderValue::from_static(line));
        }
        Source::of(&headers)
    }

    #[test]
    fn an_answer_is_judged_by_what_the_tiers_say() {
        for (lines, hit, stale) in [
            (&["edge-memory; hit; ttl=30"][..], true, false),
            (&["edge-redis; hit; ttl=9", "edge-memory; fwd=uri-miss; ttl=9; stored"], true, false),
            (&["edge-memory; hit; ttl=-3; detail=stale-while-revalidate"], true, true),
            (&["edge-memory; fwd=stale; ttl=200; detail=stale-if-error"], false, true),
            (&["edge-memory; fwd=stale; ttl=-7; detail=retry-throttle"], false, true),
            (&["edge-redis; fwd=stale; ttl=-7; detail=disconnected, edge-memory; fwd=uri-miss"], false, true),
            (&["edge-memory; fwd=stale; ttl=300; stored"], false, false),
            (&["edge-memory; fwd=uri-miss; ttl=300; stored; collapsed"], false, false),
            (&["edge-memory; fwd=bypass; detail=credentials"], false, false),
            (&["not a list ("], false, false),
            (&[], false, false),
        ] {
            let near = hit && !lines.iter().any(|line| line.contains("edge-redis; hit"));
            let bypass = lines.iter().any(|line| line.contains("bypass"));
            assert_eq!(source(lines), Source { hit, near, stale, bypass }, "{lines:?}");
        }
    }

    #[test]
    fn a_hit_rate_is_about_what_may_be_kept() {
        let mut timeline = Timeline::new(1);
        let (hit, miss) = (Source { hit: true, ..Source::default() }, Source::default());
        for source in [Source { near: true, ..hit }, hit, hit, miss, Source { bypass: true, ..miss }] {
            timeline.answered((0, true), 1_000, source);
        }
        let all = timeline.over(0..1, Which::All);
        assert_eq!((all.hit_rate(), all.near_rate()), (Some(0.75), Some(0.25)));
        timeline.failed((0, true), Failure::Timeout);
        assert_eq!(timeline.over(0..1, Which::All).hit_rate(), Some(0.6), "a failure is no hit");
        assert_eq!(timeline.over(1..2, Which::All).hit_rate(), None);
    }

    #[test]
    fn a_request_counts_in_the_second_in_which_it_was_due() {
        let mut timeline = Timeline::new(3);
        // Answered two seconds later, and still the first second's.
        timeline.answered((999_999, true), 2_000_000, Source { hit: true, stale: true, ..Source::default() });
        timeline.answered((1_000_000, false), 1_000, Source::default());
        timeline.failed((1_500_000, true), Failure::Timeout);
        timeline.failed((9_000_000, true), Failure::Timeout);
        let first = timeline.over(0..1, Which::All);
        assert_eq!((first.due(), first.hits, first.stale, first.failed()), (1, 1, 1, 0));
        assert!(first.p95_ms().unwrap() >= 1_980.0);
        let second = timeline.over(1..2, Which::All);
        assert_eq!((second.due(), second.answers(), second.failures[&Failure::Timeout]), (2, 1, 1));
        assert!(second.p95_ms().unwrap() < 1.1, "a failure is not timed");
        assert_eq!(timeline.over(1..2, Which::Known).answers(), 0);
        assert_eq!(timeline.over(2..3, Which::All).p95_ms(), None);
        assert_eq!(timeline.over(0..3, Which::All).due(), 3, "what lies behind the end is not counted");
    }

    #[test]
    fn a_later_load_stands_behind() {
        let mut timeline = Timeline::new(2);
        let mut later = Timeline::new(1);
        later.failed((0, true), Failure::Declined);
        timeline.append(later);
        assert_eq!([0, 1, 2].map(|second| timeline.over(second..second + 1, Which::All).failed()), [0, 0, 1]);
    }
}
