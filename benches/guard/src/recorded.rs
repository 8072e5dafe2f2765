//! What was counted before.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// More than counts of the same code differ by.
const TOLERANCE: f64 = 0.05;

/// What one hit costs, and one entry.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counted {
    pub(crate) allocations: f64,
    pub(crate) instructions: f64,
    /// Bytes of one entry.
    pub(crate) entry_bytes: f64,
}

impl Counted {
    pub(crate) fn recorded() -> anyhow::Result<Self> {
        let file = file();
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))
    }

    pub(crate) fn record(&self) -> anyhow::Result<()> {
        let file = file();
        let text = format!(
            "allocations = {:.2}\ninstructions = {:.1}\nentry_bytes = {:.1}\n",
            self.allocations, self.instructions, self.entry_bytes
        );
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What is not as it was.
    pub(crate) fn differs_from(&self, recorded: &Self) -> Vec<String> {
        let counts = [
            ("allocations", self.allocations, recorded.allocations),
            ("instructions", self.instructions, recorded.instructions),
            ("bytes of an entry", self.entry_bytes, recorded.entry_bytes),
        ];
        let differs = |(_, now, then): &(&str, f64, f64)| (now - then).abs() > then * TOLERANCE;
        counts
            .iter()
            .filter(|counts| differs(counts))
            .map(|(what, now, then)| format!("{now:.2} {what}, recorded were {then:.2}"))
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
        let recorded = Counted { allocations: 4.0, instructions: 1000.0, entry_bytes: 1.0 };
        let differs = |instructions| Counted { instructions, ..recorded }.differs_from(&recorded).len();
        assert_eq!([949.0, 951.0, 1049.0, 1051.0].map(differs), [1, 0, 0, 1]);
    }
}
