use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{Fence, table::Table};

/// One order of purges and how far this node has followed it. Swapped whole when the order changes, so that a reader never sees the
/// numbers of one order beside the markers of another.
pub(super) struct Order {
    /// 0 while none is known.
    pub(super) incarnation: u128,
    /// Counts the times that this node had to give up what it held. Entries of an earlier era are dead.
    pub(super) era: u64,
    pub(super) table: Arc<Table>,
    /// Entries with a lower fence are dead: markers as old as that were forgotten.
    floor: AtomicU64,
    /// The highest number known to have been given: the fence of what is read from now on.
    seq: AtomicU64,
    /// The number up to which *every* marker is applied; own purges, and what was heard after a gap, may lie above it.
    synced: AtomicU64,
    /// Whether purges of this order are acknowledged strictly, by every node.
    strict: AtomicBool,
}

impl Order {
    /// The order that a node begins with.
    pub(super) fn first(incarnation: u128, slots: usize) -> Self {
        Self::new(incarnation, 1, Arc::new(Table::new(slots)), 0)
    }

    /// The next order of the same era: what is held stays comparable, so the markers and the floor go on.
    pub(super) fn next(&self, incarnation: u128) -> Self {
        Self::new(incarnation, self.era, Arc::clone(&self.table), self.floor())
    }

    /// The first order of the next era: nothing that is held can be compared with it.
    pub(super) fn afresh(&self, incarnation: u128, slots: usize) -> Self {
        Self::new(incarnation, self.era + 1, Arc::new(Table::new(slots)), 0)
    }

    const fn new(incarnation: u128, era: u64, table: Arc<Table>, floor: u64) -> Self {
        let [floor, seq, synced] = [AtomicU64::new(floor), AtomicU64::new(0), AtomicU64::new(0)];
        Self { incarnation, era, table, floor, seq, synced, strict: AtomicBool::new(true) }
    }

    pub(super) fn fence(&self) -> Fence {
        Fence { incarnation: self.incarnation, seq: self.seq.load(Ordering::Acquire) }
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq.load(Ordering::Acquire)
    }

    pub(super) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    pub(super) fn raise_seq(&self, seq: u64) {
        self.seq.fetch_max(seq, Ordering::AcqRel);
    }

    pub(super) fn raise_synced(&self, seq: u64) {
        self.synced.fetch_max(seq, Ordering::AcqRel);
    }

    pub(super) fn strict(&self) -> bool {
        self.strict.load(Ordering::Acquire)
    }

    /// Once it was not, it never is again.
    pub(super) fn set_strict(&self, strict: bool) {
        self.strict.fetch_and(strict, Ordering::AcqRel);
    }

    pub(super) fn raise_floor(&self, floor: u64) -> bool {
        self.floor.fetch_max(floor, Ordering::AcqRel) < floor
    }
}
