//! What a backplane says, and what is said of it.

use super::{Fence, Guard, PurgeKind};
use crate::TagHash;

/// Everything that a backplane knows above what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The order they are numbered in.
    pub incarnation: u128,
    /// The first number of this order.
    pub base: u64,
    /// The highest number given.
    pub seq: u64,
    /// Entries with a lower fence are dead.
    pub floor: u64,
    /// Markers above what was asked for: how far, tag, number.
    pub markers: Vec<(PurgeKind, TagHash, u64)>,
    /// Whether every node of the cluster acknowledges strictly.
    pub strict: bool,
}

/// Where a node stands in the order of purges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The order it follows, and the highest number it knows to have been given.
    pub fence: Fence,
    /// The number up to which it knows every marker: what it can confirm.
    pub synced: u64,
    /// When that was, on [the clock of leases](super::Markers::monotonic).
    pub at: u64,
}

/// A purge as a backplane announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The order it is numbered in.
    pub incarnation: u128,
    /// The number of the purge before it: who has not applied that one has missed something.
    pub prev: u64,
    /// Its number.
    pub seq: u64,
    /// How far it goes.
    pub kind: PurgeKind,
    /// What it purges.
    pub tags: Vec<TagHash>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was known already.
    Nothing,
    /// It is the next one: this node can confirm it.
    Applied,
    /// It counts here, but something before it is missing, or the order is another one: ask for news.
    Gap,
}

/// What a backplane tells of a purge that it numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The order it is numbered in.
    pub incarnation: u128,
    /// Its number.
    pub seq: u64,
    /// Whether there was a guard, and nothing that it names was purged between its start and this purge, on any node.
    pub guard_holds: bool,
}

impl Guard {
    /// The start of an answer that is as new as the purge with the number `fence`.
    #[must_use]
    pub const fn renewed(&self, fence: Fence) -> super::Start {
        super::Start { fence, ..self.start }
    }
}
