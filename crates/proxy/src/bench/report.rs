//! The result of a bench, as JSON and as a table.

mod table;

use serde::Serialize;

use super::args::Args;
use super::bound::Bound;
use super::measure::Measured;
use crate::load::mode::Mode;
use crate::load::plan::Pacing;
use crate::load::usage::Machine;

pub(crate) use self::table::render;

/// A mode reached its rate when it answered at least this part of what was offered.
const REACHED: f64 = 0.99;

/// Everything measured, and what it was measured on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// When it was measured, as an HTTP date.
    pub(crate) date: String,
    /// The command line as it was given.
    pub(crate) command: String,
    pub(crate) settings: Settings,
    /// What an infinite cache would reach on this sequence.
    pub(crate) bound: Bound,
    /// The same as a rate from 0 to 1.
    pub(crate) bound_rate: Option<f64>,
    /// In the order in which they were measured.
    pub(crate) modes: Vec<Measured>,
}

/// The settings after defaults.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) rate: u32,
    pub(crate) pacing: Pacing,
    pub(crate) clients: u32,
    pub(crate) warmup_seconds: u32,
    pub(crate) counted_seconds: u32,
    pub(crate) pitches: u32,
    pub(crate) writes: bool,
    pub(crate) seed: u64,
    pub(crate) max_connections: u32,
    /// Reads due in the counted window.
    pub(crate) reads_offered: u64,
}

impl Settings {
    /// The command line's settings, with what the plan made of them.
    pub(crate) fn new(args: &Args, reads_offered: u64) -> Self {
        Self {
            rate: args.rate,
            pacing: args.pacing,
            clients: args.clients,
            warmup_seconds: args.warmup,
            counted_seconds: args.seconds,
            pitches: args.pitches,
            writes: args.writes || args.publishes > 0,
            seed: args.seed,
            max_connections: args.max_connections,
            reads_offered,
        }
    }
}

impl Report {
    /// Reads per second that were really due, which is the rate but for the chance in the spacing.
    pub(crate) fn offered_per_second(&self) -> f64 {
        self.settings.reads_offered as f64 / f64::from(self.settings.counted_seconds)
    }

    /// Modes that did not carry the offered rate.
    pub(crate) fn overrun(&self) -> impl Iterator<Item = Mode> {
        let enough = self.offered_per_second() * REACHED;
        self.modes.iter().filter(move |measured| measured.load.reads_per_second < enough).map(|measured| measured.mode)
    }

    /// Everything as one JSON document, with a line end.
    ///
    /// # Errors
    /// Never with the values that a bench produces.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
