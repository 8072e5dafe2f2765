//! Losing Redis must not become losing the database: the origin gets no more at once than it is known to bear.

/// Looks that one piece of the memory covers: ten seconds.
const PIECE: u32 = 100;
/// Pieces remembered: a minute.
const PIECES: usize = 6;
/// How many times the busiest look may be exceeded.
const HEADROOM: f64 = 2.0;
/// Fewer would serve nobody: this many, or a fifth of all.
const LEAST: usize = 2;
const LEAST_SHARE: usize = 5;
/// Looks after which more permits are given once Redis is back, a second, and which part of all.
const RISE_AFTER: u32 = 10;
const RISE_SHARE: usize = 10;

/// How many permits there are.
#[derive(Debug)]
pub(super) struct Cap {
    max: usize,
    limit: usize,
    /// The busiest look of each of the last pieces, the newest first, taken while Redis was there.
    busiest: [f64; PIECES],
    looks: u32,
    since_rise: u32,
}

impl Cap {
    pub(super) fn new(max: usize) -> Self {
        Self { max, limit: max, busiest: [0.0; PIECES], looks: 0, since_rise: 0 }
    }

    /// What the origin is known to bear.
    pub(super) fn safe(&self) -> usize {
        let busiest = self.busiest.iter().copied().fold(0.0, f64::max);
        // From no memory at all nothing can be concluded but the least.
        ((busiest * HEADROOM).ceil() as usize).max(LEAST).max(self.max / LEAST_SHARE).min(self.max)
    }

    /// The permits from now on.
    pub(super) fn observe(&mut self, at_work: f64, redis_lost: bool) -> usize {
        if redis_lost {
            self.limit = self.limit.min(self.safe());
            self.since_rise = 0;
            return self.limit;
        }
        self.remember(at_work);
        if self.limit < self.max {
            self.since_rise += 1;
            if self.since_rise >= RISE_AFTER {
                self.since_rise = 0;
                self.limit = (self.limit + (self.max / RISE_SHARE).max(1)).min(self.max);
            }
        }
        self.limit
    }

    fn remember(&mut self, at_work: f64) {
        if self.looks >= PIECE {
            self.looks = 0;
            self.busiest.rotate_right(1);
            self.busiest[0] = 0.0;
        }
        self.looks += 1;
        self.busiest[0] = self.busiest[0].max(at_work);
    }
}
