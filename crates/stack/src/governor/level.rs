use edge_cache_core::Level;

use super::Sample;

/// From which share of the permits taken nothing is asked for that nobody waits for.
const TRIM_FROM: f64 = 0.75;
/// From which share, with somebody waiting, stale answers are stretched.
const STRETCH_FROM: f64 = 0.9;
/// Looks for which a level must have been more than is needed before it falls by one.
const EASIER_AFTER: u32 = 20;

/// The level, which rises by one a look when two in a row ask for more, and falls by one when for a while none did.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    level: Level,
    /// What the look before asked for.
    before: Level,
    /// Looks in a row that asked for less than the level.
    easy: u32,
}

impl Ladder {
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// The new level, where this look changes it.
    pub(super) fn observe(&mut self, sample: &Sample) -> Option<Level> {
        let now = asked_for(sample);
        let sustained = now.min(std::mem::replace(&mut self.before, now));
        self.easy = if now < self.level { self.easy + 1 } else { 0 };
        let level = if sustained > self.level {
            self.level.harder()
        } else if self.easy >= EASIER_AFTER {
            self.easy = 0;
            self.level.easier()
        } else {
            return None;
        };
        self.level = level;
        Some(level)
    }
}

fn asked_for(sample: &Sample) -> Level {
    let utilisation = sample.utilisation();
    // Who waits though permits are free waits for the ceiling of his class, and is no sign of need.
    let full = utilisation >= STRETCH_FROM;
    if full && (sample.refused > 0 || sample.waiting >= sample.limit) {
        Level::Queue
    } else if full && sample.waiting > 0 {
        Level::Stretch
    } else if utilisation >= TRIM_FROM {
        Level::Trim
    } else {
        Level::Calm
    }
}
