//! What was counted before.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// More than counts of the same code differ by.
const TOLERANCE: f64 = 0.05;
/// And that of next to nothing: a thread's own table that grows now and then.
const NOTHING: f64 = 0.1;

/// What each kind of exchange costs, and what is kept of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    pub(crate) hit: Cost,
    pub(crate) written: Cost,
    pub(crate) miss: Cost,
    pub(crate) pass: Cost,
    pub(crate) entry: Kept,
}

/// What one exchange costs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    pub(crate) allocations: f64,
    pub(crate) instructions: f64,
}

/// What one entry takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) bytes: f64,
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
        let entry = format!("[entry]\nbytes = {:.1}\n", self.entry.bytes);
        let text = [Kind::ALL.map(section).join("\n"), entry].join("\n");
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What is not as it was.
    pub(crate) fn differs_from(&self, recorded: &Self) -> Vec<String> {
        let of_kind = |kind: Kind| {
            let (now, then) = (self.of(kind), recorded.of(kind));
            [
                (kind.as_str(), "allocations", now.allocations, then.allocations),
                (kind.as_str(), "instructions", now.instructions, then.instructions),
            ]
        };
        let entry = ("entry", "bytes", self.entry.bytes, recorded.entry.bytes);
        let counts = Kind::ALL.into_iter().flat_map(of_kind).chain([entry]);
        counts
            .filter(|(_, _, now, then)| (now - then).abs() > (then * TOLERANCE).max(NOTHING))
            .map(|(of, what, now, then)| format!("{of}: {now:.2} {what}, recorded were {then:.2}"))
            .collect()
    }

    const fn of(&self, kind: Kind) -> &Cost {
        match kind {
            Kind::Hit => &self.hit,
            Kind::Written => &self.written,
            Kind::Miss => &self.miss,
            Kind::Pass => &self.pass,
        }
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(instructions: f64, bytes: f64) -> Recorded {
        let cost = |instructions| Cost { allocations: 4.0, instructions };
        Recorded {
            hit: cost(1.0),
            written: cost(1.0),
            miss: cost(instructions),
            pass: cost(1.0),
            entry: Kept { bytes },
        }
    }

    #[test]
    fn a_twentieth_is_too_much_either_way() {
        let differs = |now| counted(now, 1.0).differs_from(&counted(1000.0, 1.0)).len();
        assert_eq!([949.0, 951.0, 1049.0, 1051.0].map(differs), [1, 0, 0, 1]);
        assert!(counted(0.1, 1.0).differs_from(&counted(0.01, 1.0)).is_empty(), "both are nothing");
        assert_eq!(counted(0.2, 1.0).differs_from(&counted(0.01, 1.0)).len(), 1);
        let both = counted(1.0, 2.0).differs_from(&counted(1000.0, 1.0));
        assert_eq!(both[0], "miss: 1.00 instructions, recorded were 1000.00");
        assert_eq!(both[1], "entry: 2.00 bytes, recorded were 1.00");
    }

    #[test]
    fn what_is_recorded_is_read() {
        Recorded::read().unwrap();
    }
}
