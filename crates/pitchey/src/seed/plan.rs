use std::time::Duration;

use edge_cache_core::Timestamp;

use super::SeedOptions;
use super::people;
use super::rng::Rng;
use crate::pitch::days_before;

/// Users that sessions are made for. Nothing that they have to do themselves is done for them.
pub(super) const SIGNED_IN: i64 = 5;
/// Pitches of the first creator: one of each status and visibility among them.
const FIRST_CREATORS: i64 = 10;

/// Everything that rows of different tables must agree on.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) now: Timestamp,
    pub(super) users: i64,
    pub(super) pitches: i64,
    /// Users who may own pitches, the first creator first.
    pub(super) creators: Vec<i64>,
    /// For pitch 1, 2, …: how many rows there are of each kind. The counters of the pitch say the same.
    pub(super) views: Vec<u32>,
    pub(super) likes: Vec<u32>,
    pub(super) ndas: Vec<u32>,
    pub(super) saved: Vec<u32>,
}

/// Numbers of the tables in the pseudo-random sequence.
#[derive(Clone, Copy)]
pub(super) enum Table {
    User = 1,
    Pitch,
    Rank,
    View,
    Like,
    Saved,
    Follow,
    Nda,
    Investment,
    Owner,
    Character,
}

impl Plan {
    pub(super) fn new(options: SeedOptions, now: Timestamp) -> Self {
        let pitches = i64::from(options.pitches.max(20));
        let users = (pitches / 5).max(30);
        let creators = (1..=users).filter(|id| people::user_type(*id) == "creator").collect();
        let mut plan = Self {
            seed: options.seed,
            now,
            users,
            pitches,
            creators,
            views: Vec::new(),
            likes: Vec::new(),
            ndas: Vec::new(),
            saved: Vec::new(),
        };
        let ranked = plan.ranked();
        let others = u32::try_from(users - SIGNED_IN).unwrap_or(u32::MAX);
        let total = |each: i64, of: i64| u64::try_from(pitches * each / of).unwrap_or(0);
        plan.views = plan.spread(&ranked, total(40, 1), 1.1, u32::MAX);
        plan.likes = plan.spread(&ranked, total(4, 1), 0.8, others);
        plan.ndas = plan.spread(&ranked, total(2, 5), 0.3, others - 1);
        plan.saved = plan.spread(&ranked, total(1, 1), 0.6, others);
        plan
    }

    pub(super) fn rng(&self, table: Table, row: i64) -> Rng {
        Rng::new(self.seed, table as u64, row.unsigned_abs())
    }

    /// A user other than those with a session: the `at`-th after `start`, and a different one for each `at` below their number.
    pub(super) fn other_user(&self, start: u64, at: u32) -> i64 {
        let others = self.users - SIGNED_IN;
        let offset = i64::try_from(start % 1_000_000_007).unwrap_or(0) + i64::from(at);
        SIGNED_IN + 1 + offset % others
    }

    /// Status and visibility of a pitch: six in ten are public.
    pub(super) fn state(pitch: i64) -> (&'static str, &'static str) {
        match pitch % 10 {
            4 => ("published", "investors_only"),
            7 => ("published", "private"),
            9 => ("draft", "private"),
            0 => match pitch / 10 % 3 {
                0 => ("hidden", "public"),
                1 => ("archived", "public"),
                _ => ("under_review", "private"),
            },
            _ => ("published", "public"),
        }
    }

    pub(super) fn owner(&self, pitch: i64) -> i64 {
        let (first, others) = self.creators.split_first().expect("user 1 is a creator");
        if pitch <= FIRST_CREATORS || others.is_empty() {
            return *first;
        }
        // The smaller of two draws: some pitch much more than others.
        let mut rng = self.rng(Table::Owner, pitch);
        let len = u64::try_from(others.len()).unwrap_or(1);
        others[usize::try_from(rng.below(len).min(rng.below(len))).unwrap_or(0)]
    }

    /// When a pitch was written and, where it was, published: within the last year, and a bit of it within the last days.
    pub(super) fn times(&self, pitch: i64) -> (Timestamp, Timestamp) {
        const YEAR_MILLIS: u64 = 365 * 24 * 60 * 60 * 1000;
        let mut rng = self.rng(Table::Rank, -pitch);
        let age = 1000 + rng.below(YEAR_MILLIS);
        let created = self.now - Duration::from_millis(age);
        (created, created + Duration::from_millis(rng.below(age.min(3 * 24 * 60 * 60 * 1000))))
    }

    /// A time between a pitch's publication and now.
    pub(super) fn moment(&self, pitch: i64, rng: &mut Rng) -> Timestamp {
        let (_, published) = self.times(pitch);
        let span = u64::try_from(self.now.since(published).as_millis()).unwrap_or(0).max(1);
        self.now - Duration::from_millis(rng.below(span))
    }

    /// Joined up to three years ago.
    pub(super) fn joined(&self, rng: &mut Rng) -> Timestamp {
        days_before(self.now, 366 + rng.below(3 * 365)) - Duration::from_millis(rng.below(86_400_000))
    }

    /// The published pitches, the most popular first.
    fn ranked(&self) -> Vec<i64> {
        let published = |pitch: &i64| Self::state(*pitch).0 == "published";
        let mut ranked: Vec<i64> = (1..=self.pitches).filter(published).collect();
        ranked.sort_by_cached_key(|pitch| (Self::state(*pitch).1 != "public", self.rng(Table::Rank, *pitch).next()));
        ranked
    }

    /// Shares `total` out by Zipf's law with exponent `s`, at most `most` to each.
    fn spread(&self, ranked: &[i64], total: u64, s: f64, most: u32) -> Vec<u32> {
        let weight = |rank: usize| (rank as f64 + 1.0).powf(-s);
        let sum: f64 = (0..ranked.len()).map(weight).sum();
        let mut counts = vec![0_u32; usize::try_from(self.pitches).unwrap_or(0)];
        let mut left = total;
        for (rank, pitch) in ranked.iter().enumerate() {
            // Small shares keep their fractions by rounding up, until nothing is left.
            let share = (total as f64 * weight(rank) / sum).ceil();
            let share = (share as u64).min(u64::from(most)).min(left);
            left -= share;
            counts[usize::try_from(pitch - 1).unwrap_or(0)] = u32::try_from(share).unwrap_or(u32::MAX);
        }
        counts
    }
}

/// The count of a pitch in one of the plan's lists.
pub(super) fn count(counts: &[u32], pitch: i64) -> u32 {
    usize::try_from(pitch - 1).ok().and_then(|at| counts.get(at)).copied().unwrap_or(0)
}
