//! The whole request sequence, made before the first request is sent: every mode gets the very same one.

use std::time::Duration;

use clap::ValueEnum;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};

use super::catalogue::Catalogue;
use super::mix::Mix;
use super::read::{Group, Read};
use super::write::{Write, Writes};

const READS: u64 = 0x5245_4144 << 32;
const READ_STARTS: u64 = 0x5253_5452 << 32;
const WRITES: u64 = 0x5752_4954 << 32;
const WRITE_STARTS: u64 = 0x5753_5452 << 32;

/// Spacing of the intended starts at a given mean rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pacing {
    /// Independent arrivals: exponential gaps, so bursts happen as they do with real clients.
    Poisson,
    /// Equal gaps.
    Uniform,
}

/// What load is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// Reads each second.
    pub(crate) rate: u32,
    pub(crate) pacing: Pacing,
    /// Load that does not count, before the load that does.
    pub(crate) warmup: Duration,
    /// Load that counts.
    pub(crate) window: Duration,
    pub(crate) seed: u64,
    /// The domain's writes beside the reads.
    pub(crate) writes: bool,
    /// Publishes each second beside the reads.
    pub(crate) publishes: u32,
}

/// A request and the moment when it should start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shot {
    /// Intended start, µs after the start of the load.
    pub(crate) at_us: u64,
    /// What is sent.
    pub(crate) call: Call,
}

/// What a shot sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// A GET.
    Read(Read),
    /// An unsafe method.
    Write(Write),
}

impl Call {
    /// The row that it is reported in.
    pub(crate) fn group(self) -> Group {
        match self {
            Self::Read(read) => read.group(),
            Self::Write(_) => Group::Write,
        }
    }
}

/// All shots by intended start.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// In the order of their intended starts.
    pub(crate) shots: Vec<Shot>,
    /// Shots due from here on count, in µs.
    pub(crate) counted_from_us: u64,
    /// The end of the load, in µs.
    pub(crate) end_us: u64,
}

impl Plan {
    /// Draws the sequence that is asked for.
    pub(crate) fn new(offer: &Offer, catalogue: &Catalogue) -> Self {
        let counted_from_us = offer.warmup.as_micros() as u64;
        let end_us = counted_from_us + offer.window.as_micros() as u64;
        // A stream for each purpose, so that one choice never shifts another.
        let stream = |purpose: u64| Xoshiro256PlusPlus::seed_from_u64(offer.seed ^ purpose);
        let (mut rng, mut mix) = (stream(READS), Mix::new(catalogue));
        let mut shots: Vec<Shot> = starts(offer.pacing, f64::from(offer.rate), end_us, &mut stream(READ_STARTS))
            .into_iter()
            .map(|at_us| Shot { at_us, call: Call::Read(mix.draw(&mut rng)) })
            .collect();
        if offer.writes {
            let (mut rng, mut writes) = (stream(WRITES), Writes::new(catalogue));
            let rate = f64::from(offer.rate) * Writes::per_read();
            for at_us in starts(offer.pacing, rate, end_us, &mut stream(WRITE_STARTS)) {
                shots.push(Shot { at_us, call: Call::Write(writes.draw(&mut rng, at_us)) });
            }
            shots.sort_by_key(|shot| shot.at_us);
        }
        if offer.publishes > 0 {
            let mut writes = Writes::new(catalogue);
            // Each is created first.
            let rate = f64::from(offer.publishes) * 2.0;
            for at_us in starts(offer.pacing, rate, end_us, &mut stream(WRITE_STARTS)) {
                shots.push(Shot { at_us, call: Call::Write(writes.draw_published(at_us)) });
            }
            shots.sort_by_key(|shot| shot.at_us);
        }
        Self { shots, counted_from_us, end_us }
    }

    /// Whether a shot lies in the counted window.
    pub(crate) fn counts(&self, shot: &Shot) -> bool {
        shot.at_us >= self.counted_from_us
    }

    /// Reads that lie in the counted window.
    pub(crate) fn reads_counted(&self) -> u64 {
        let counted = self.shots.iter().filter(|shot| self.counts(shot) && matches!(shot.call, Call::Read(_)));
        counted.count() as u64
    }
}

fn starts(pacing: Pacing, rate: f64, end_us: u64, rng: &mut impl Rng) -> Vec<u64> {
    let gap_us = 1_000_000.0 / rate;
    let mut at = 0.0;
    let mut starts = Vec::with_capacity((end_us as f64 / gap_us) as usize + 1);
    loop {
        at += match pacing {
            Pacing::Uniform => gap_us,
            Pacing::Poisson => -(1.0 - rng.random::<f64>()).ln() * gap_us,
        };
        if at >= end_us as f64 {
            return starts;
        }
        starts.push(at as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(change: impl FnOnce(&mut Offer)) -> Plan {
        let (warmup, window) = (Duration::from_secs(10), Duration::from_secs(20));
        let mut offer =
            Offer { rate: 1_000, pacing: Pacing::Poisson, warmup, window, seed: 1, writes: false, publishes: 0 };
        change(&mut offer);
        Plan::new(&offer, &Catalogue::made_up(5_000))
    }

    #[test]
    fn both_pacings_offer_the_rate_they_were_asked_for() {
        for pacing in [Pacing::Poisson, Pacing::Uniform] {
            let plan = plan(|offer| offer.pacing = pacing);
            let total = plan.shots.len() as f64;
            assert!((total - 30_000.0).abs() < 900.0, "{pacing:?}: {total}");
            assert!(plan.shots.is_sorted_by_key(|shot| shot.at_us));
            assert!((plan.reads_counted() as f64 - 20_000.0).abs() < 700.0);
        }
    }

    #[test]
    fn poisson_gaps_vary_and_uniform_gaps_do_not() {
        let spread = |plan: &Plan| {
            let gaps: Vec<f64> = plan.shots.windows(2).map(|pair| (pair[1].at_us - pair[0].at_us) as f64).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            variance.sqrt() / mean
        };
        assert!(spread(&plan(|offer| offer.pacing = Pacing::Uniform)) < 0.01);
        let poisson = spread(&plan(|_| ()));
        assert!((poisson - 1.0).abs() < 0.05, "{poisson}");
    }

    #[test]
    fn writes_come_beside_the_same_reads() {
        let reads = |plan: Plan| -> Vec<Shot> {
            plan.shots.into_iter().filter(|shot| matches!(shot.call, Call::Read(_))).collect()
        };
        let (without, with) = (plan(|_| ()), plan(|offer| offer.writes = true));
        let writes = with.shots.len() - without.shots.len();
        let share = writes as f64 / without.shots.len() as f64;
        assert!((share - 0.1378).abs() < 0.01, "{share}");
        assert_eq!(reads(without), reads(with));
    }
}
