//! Markers and fences: how a purge is made final without looking anything up.
//!
//! A purge raises a numbered *marker* on each of its tags. Every fill carries a *fence*: the highest number this node had applied
//! before the origin was read. An entry is dead if a marker of one of its tags is higher than its fence. The test is made when an
//! entry is *read*, in every tier and for every waiter, so no store has to race a purge and nothing is deleted: a purge is O(1)
//! whatever it covers.
//!
//! A node that shares a tier with others takes its numbers from there (a backplane). Until a purge has its number it is *pending*:
//! it counts against everything whose fill began before it on this node.
//!
//! ```
//! use edge_cache_core::{TagHash, marker::{Markers, PurgeKind}, Timestamp};
//!
//! let markers = Markers::alone(1);
//! let before = markers.start();
//! let seq = markers.purge(PurgeKind::Soft, &[TagHash::user("pitch-12")], Timestamp::from_secs(1_700_000_000));
//! assert!(before.fence.seq < seq, "what was read before the purge is dead");
//! assert!(markers.start().fence.seq >= seq, "what is read from now on is not");
//! ```

mod backplane;
mod markers;
mod order;
mod pending;
mod table;

pub use self::{
    backplane::{Heard, News, Position, Published, Record},
    markers::{Markers, Standing},
    pending::Ticket,
};
use crate::TagHash;

/// How far a purge goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
// Packed, because every entry has one: a `u128` would be followed by eight bytes of nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(Rust, packed(8))]
pub struct Fence {
    /// The order that `seq` belongs to; 0 while the node does not know it.
    pub incarnation: u128,
    /// The highest purge applied. Only its order matters; it starts near the wall clock in microseconds.
    pub seq: u64,
}

/// A node's position when a fill began. Taken before anything inward is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Goes into the entry, and with it into every tier.
    pub fence: Fence,
    /// Counts the purges that this node began, numbered or not.
    local: u64,
    /// Counts the times that this node lost its order and could not keep what it held.
    era: u64,
    /// When the origin was read, in [`monotonic_millis`](crate::monotonic_millis); `None` for what was found in another tier: nobody here
    /// knows how old it is.
    read_at: Option<u64>,
}

impl Start {
    /// The era of what no node has taken in yet.
    const UNKNOWN: u64 = 0;

    /// Whether the node learned of no purge between the two, in either order, and kept what it held.
    #[must_use]
    pub fn is_beside(&self, other: &Self) -> bool {
        (self.fence, self.local, self.era) == (other.fence, other.local, other.era)
    }

    pub(crate) fn since(self) -> Since {
        let Self { fence: _, local, era, read_at } = self;
        Since { local, era, read_at: read_at.unwrap_or(Since::NOT_READ) }
    }

    /// The start of an entry found in another tier: its own fence, never this node's of today. Until a node
    /// [admits](Markers::admit) it, only the order that it names tells whether it can be judged.
    #[must_use]
    pub const fn promoted(fence: Fence) -> Self {
        Self { fence, local: 0, era: Self::UNKNOWN, read_at: None }
    }
}

/// A [`Start`] without its fence, as an entry has it beside a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Since {
    local: u64,
    era: u64,
    /// [`NOT_READ`](Self::NOT_READ) for none.
    read_at: u64,
}

impl Since {
    const NOT_READ: u64 = u64::MAX;

    pub(crate) fn at(self, fence: Fence) -> Start {
        let Self { local, era, read_at } = self;
        Start { fence, local, era, read_at: (read_at != Self::NOT_READ).then_some(read_at) }
    }
}

/// What a purge looks back for: whether something of `tags` was purged since `start`.
///
/// The answer to a write may stand for reads that come later (RFC 9110 §9.3.3), although the write itself purges what was stored. It is as
/// new as that purge, but only if no other came between its start and that purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Where the node stood before the write was sent on.
    pub start: Start,
    /// What the answer would be tagged with.
    pub tags: Vec<TagHash>,
}

/// Whether an entry may be used, as far as purges go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// No purge since its fill began.
    Live,
    /// Purged softly: good for its validators, and to serve if the origin fails in this request.
    Soft,
    /// This node cannot know whether it was purged: good for its validators only.
    CutOff,
    /// Purged: not to be used at all.
    Gone,
}

impl Verdict {
    fn of(kind: PurgeKind) -> Self {
        match kind {
            PurgeKind::Soft => Self::Soft,
            PurgeKind::Hard => Self::Gone,
        }
    }
}

#[cfg(test)]
mod tests;
