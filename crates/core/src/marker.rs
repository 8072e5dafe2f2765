//! Markers and fences: how a purge is made final without looking anything up.
//!
//! A purge raises a numbered *marker* on each of its tags. Every fill carries a *fence*: the highest number this node had applied
//! before the origin was read. An entry is dead if a marker of one of its tags is higher than its fence. The test is made when an
//! entry is *read*, in every tier and for every waiter, so no store has to race a purge and nothing is deleted: a purge is O(1)
//! whatever it covers.
//!
//! ```
//! use edge_cache_core::{TagHash, marker::{Markers, PurgeKind}, Timestamp};
//!
//! let markers = Markers::new(1);
//! let before = markers.start();
//! let seq = markers.purge(PurgeKind::Soft, &[TagHash::user("pitch-12")], Timestamp::from_secs(1_700_000_000));
//! assert!(before.fence.seq < seq, "what was read before the purge is dead");
//! assert!(markers.start().fence.seq >= seq, "what is read from now on is not");
//! ```

use std::sync::{
    RwLock,
    atomic::{AtomicU64, Ordering},
};

use crate::{Entry, TagHash, Timestamp};

/// How far a purge goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PurgeKind {
    /// The entry may only be revalidated, or served if the origin fails in that very request.
    #[default]
    Soft,
    /// Not even that.
    Hard,
}

impl PurgeKind {
    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// A place in the order of purges, valid within one incarnation of the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// The order that `seq` belongs to. Entries of another incarnation are dead: their order is lost.
    pub incarnation: u128,
    /// The highest purge applied. Only its order matters; it starts near the wall clock in microseconds.
    pub seq: u64,
}

/// A node's position when a fill began. Taken before anything inward is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Goes into the entry, and with it into every tier.
    pub fence: Fence,
    /// Whether the fill reads the origin itself, or promotes a copy that another tier held.
    pub promoted: bool,
}

impl Start {
    /// The start of an entry found in another tier: its own fence, never this node's of today.
    #[must_use]
    pub const fn promoted(fence: Fence) -> Self {
        Self { fence, promoted: true }
    }
}

/// Whether an entry may be used, as far as purges go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No purge since its fill began.
    Live,
    /// Purged softly: good for its validators, and to serve if the origin fails in this request.
    Soft,
    /// Purged: not to be used at all.
    Gone,
}

const ROWS: usize = 2;

/// Every marker this node knows, in fixed memory, read without locks.
///
/// Two rows of slots, each tag in one slot of each; a read takes the lower, so a collision only kills more. With 2^18 slots a row
/// (8 MiB in all) 10 000 live tags kill about 0.15 % of older entries per tag too early.
pub struct Markers {
    position: RwLock<Fence>,
    generation: AtomicU64,
    slots: Box<[Slot]>,
    mask: u64,
}

#[derive(Default)]
struct Slot {
    hard: AtomicU64,
    soft: AtomicU64,
}

impl std::fmt::Debug for Markers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Markers")
            .field("position", &self.position())
            .field("generation", &self.generation.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Markers {
    /// No markers, in the order named `incarnation`: a number that no other process and no earlier run of this one shares.
    #[must_use]
    pub fn new(incarnation: u128) -> Self {
        Self::with_slots(incarnation, 1 << 18)
    }

    /// As [`new`](Self::new), with a table of another size: `slots` a row, rounded up to a power of two.
    #[must_use]
    pub fn with_slots(incarnation: u128, slots: usize) -> Self {
        let slots = slots.next_power_of_two();
        Self {
            position: RwLock::new(Fence { incarnation, seq: 0 }),
            generation: AtomicU64::new(1),
            slots: std::iter::repeat_with(Slot::default).take(slots * ROWS).collect(),
            mask: slots as u64 - 1,
        }
    }

    fn position(&self) -> Fence {
        *self.position.read().expect("no code panics while it holds the position")
    }

    /// The start of a fill. Take it before anything inward is called.
    #[must_use]
    pub fn start(&self) -> Start {
        Start { fence: self.position(), promoted: false }
    }

    /// Purges `tags`: one marker each, numbered above every earlier one. Returns its number.
    pub fn purge(&self, kind: PurgeKind, tags: &[TagHash], now: Timestamp) -> u64 {
        let mut position = self.position.write().expect("no code panics while it holds the position");
        let micros = u64::try_from(now.as_millis()).unwrap_or(0).saturating_mul(1000);
        let seq = micros.max(position.seq + 1);
        // Table, then generation, then position: a reader that still sees the old generation began before the purge
        // returned, and a fill that takes the new position began after the markers stood.
        self.raise(kind, tags, seq);
        position.seq = seq;
        seq
    }

    fn raise(&self, kind: PurgeKind, tags: &[TagHash], seq: u64) {
        for tag in tags {
            for slot in self.slots_of(*tag) {
                let cell = match kind {
                    PurgeKind::Soft => &slot.soft,
                    PurgeKind::Hard => &slot.hard,
                };
                cell.fetch_max(seq, Ordering::AcqRel);
            }
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn slots_of(&self, tag: TagHash) -> [&Slot; ROWS] {
        let bits = tag.bits();
        let row = self.slots.len() / ROWS;
        let at = |hash: u64| usize::try_from(hash & self.mask).expect("the mask is below the table's length");
        // The second row takes the upper bits, so tags that collide in one row rarely do in the other.
        [&self.slots[at(bits)], &self.slots[row + at(bits >> 32)]]
    }

    fn highest(&self, tag: TagHash) -> (u64, u64) {
        let [one, two] = self.slots_of(tag);
        let lower = |a: &AtomicU64, b: &AtomicU64| a.load(Ordering::Acquire).min(b.load(Ordering::Acquire));
        (lower(&one.hard, &two.hard), lower(&one.soft, &two.soft))
    }

    /// The one test of every read: memory hits, inner tiers' copies, flights and waiters.
    ///
    /// One atomic load each for the generation and the entry's memo, unless a purge happened since the entry was last read.
    #[must_use]
    pub fn judge(&self, entry: &Entry) -> Verdict {
        let generation = self.generation.load(Ordering::Acquire);
        if entry.checked() == generation {
            return Verdict::Live;
        }
        let head = entry.head();
        let verdict = self.judge_tags(&head.fence, head.tags.as_slice());
        if verdict == Verdict::Live {
            entry.set_checked(generation);
        }
        verdict
    }

    /// [`judge`](Self::judge) for something that has no entry yet.
    #[must_use]
    pub fn judge_tags(&self, fence: &Fence, tags: &[TagHash]) -> Verdict {
        if fence.incarnation != self.position().incarnation {
            return Verdict::Gone;
        }
        let mut verdict = Verdict::Live;
        for tag in tags {
            let (hard, soft) = self.highest(*tag);
            if hard > fence.seq {
                return Verdict::Gone;
            }
            if soft > fence.seq {
                verdict = Verdict::Soft;
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use bytes::Bytes;
    use http::StatusCode;

    use super::*;
    use crate::{Freshness, Head, Kind, PackedHeaders, TagSet};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn entry(markers: &Markers, tags: &[&str]) -> Entry {
        let start = markers.start();
        let head = Head {
            kind: Kind::Response,
            status: StatusCode::OK,
            headers: PackedHeaders::default(),
            freshness: Freshness {
                born: NOW,
                stored: NOW,
                fresh_until: NOW,
                revalidate_until: NOW,
                error_until: NOW,
                stale_allowed: true,
            },
            fence: start.fence,
            tags: TagSet::from_hashes(tags.iter().map(|tag| TagHash::user(tag)).collect()),
            fill_millis: 0,
        };
        Entry::new(Arc::new(head), Bytes::new(), start)
    }

    #[test]
    fn a_purge_kills_what_began_before_it_and_nothing_else() {
        let markers = Markers::new(7);
        let (old, other) = (entry(&markers, &["a", "b"]), entry(&markers, &["c"]));
        assert_eq!(markers.judge(&old), Verdict::Live);
        markers.purge(PurgeKind::Soft, &[TagHash::user("b")], NOW);
        assert_eq!(markers.judge(&old), Verdict::Soft);
        assert_eq!(markers.judge(&other), Verdict::Live);
        assert_eq!(markers.judge(&entry(&markers, &["a", "b"])), Verdict::Live);
        markers.purge(PurgeKind::Hard, &[TagHash::user("a")], NOW);
        assert_eq!(markers.judge(&old), Verdict::Gone);
    }

    #[test]
    fn numbers_rise_even_when_the_clock_does_not() {
        let markers = Markers::new(7);
        let seqs: Vec<_> = [NOW, NOW, Timestamp::EPOCH]
            .into_iter()
            .map(|now| markers.purge(PurgeKind::Soft, &[TagHash::all()], now))
            .collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    }

    #[test]
    fn another_incarnation_is_dead() {
        let (mine, other) = (Markers::new(7), Markers::new(8));
        assert_eq!(mine.judge(&entry(&other, &["a"])), Verdict::Gone);
    }

    #[test]
    fn a_collision_only_kills_more() {
        let markers = Markers::with_slots(7, 1);
        let old = entry(&markers, &["a"]);
        markers.purge(PurgeKind::Soft, &[TagHash::user("unrelated")], NOW);
        assert_eq!(markers.judge(&old), Verdict::Soft);
    }

    #[test]
    fn a_purge_that_returned_is_seen_by_every_thread() {
        let markers = Markers::new(7);
        for round in 0..200 {
            let tag = format!("round-{round}");
            let old = entry(&markers, &[&tag]);
            thread::scope(|scope| {
                let purger = scope.spawn(|| markers.purge(PurgeKind::Hard, &[TagHash::user(&tag)], NOW));
                scope.spawn(|| while markers.judge(&old) == Verdict::Live {});
                purger.join().unwrap();
                assert_eq!(markers.judge(&old), Verdict::Gone);
            });
        }
    }
}
