//! What was counted before.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// More than counts of the same code differ by.
const TOLERANCE: f64 = 0.05;

/// What each kind of exchange costs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    pub(crate) hit: Cost,
    pub(crate) miss: Cost,
    pub(crate) pass: Cost,
}

/// What one exchange costs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    pub(crate) allocations: f64,
    pub(crate) instructions: f64,
}

impl Recorded {
    pub(crate) fn read() -> anyhow::Result<Self> {
        let file = file();
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))
    }

    pub(crate) fn record(&self) -> anyhow::Result<()> {
        let file = file();
        let section = |kind: Kind| {
            let Cost { allocations, instructions } = self.of(kind);
            format!("[{}]\nallocations = {allocations:.2}\ninstructions = {instructions:.1}\n", kind.as_str())
        };
        let text = Kind::ALL.map(section).join("\n");
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    pub(crate) const fn of(&self, kind: Kind) -> &Cost {
        match kind {
            Kind::Hit => &self.hit,
            Kind::Miss => &self.miss,
            Kind::Pass => &self.pass,
        }
    }
}

impl Cost {
    /// What is not as it was.
    pub(crate) fn differs_from(&self, recorded: &Self, kind: Kind) -> Vec<String> {
        let counts = [
            ("allocations", self.allocations, recorded.allocations),
            ("instructions", self.instructions, recorded.instructions),
        ];
        let differs = |(_, now, then): &(&str, f64, f64)| (now - then).abs() > then * TOLERANCE;
        counts
            .iter()
            .filter(|counts| differs(counts))
            .map(|(what, now, then)| format!("{}: {now:.2} {what}, recorded were {then:.2}", kind.as_str()))
            .collect()
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_is_too_much_either_way() {
        let recorded = Cost { allocations: 4.0, instructions: 1000.0 };
        let differs = |instructions| Cost { allocations: 4.0, instructions }.differs_from(&recorded, Kind::Hit).len();
        assert_eq!([949.0, 951.0, 1049.0, 1051.0].map(differs), [1, 0, 0, 1]);
    }

    #[test]
    fn what_is_recorded_is_read() {
        Recorded::read().unwrap();
    }
}
