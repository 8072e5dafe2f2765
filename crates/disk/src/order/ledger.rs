//! The order of purges in memory: numbers, markers and the floor.

use std::collections::HashMap;

use edge_cache_core::{
    TagHash, Timestamp,
    marker::{Guard, News, PurgeKind},
};

use super::record::{Damaged, Marks, Record};

/// Markers of a record of them.
const MARKS_AT_ONCE: usize = 4096;

/// Everything that the order's file says.
#[derive(Debug)]
pub(super) struct Ledger {
    incarnation: u128,
    /// The highest number given.
    last: u64,
    /// Entries with a lower fence are dead: markers as old as that were dropped.
    floor: u64,
    marks: HashMap<TagHash, Marks>,
    marks_max: usize,
}

impl Ledger {
    /// An order without a purge.
    pub(super) fn new(incarnation: u128, marks_max: usize) -> Self {
        Self { incarnation, last: 0, floor: 0, marks: HashMap::new(), marks_max }
    }

    /// The order that `bytes` tells, and how many of them are whole records: the last one may have been cut off. If it was by a crash, it
    /// was never acknowledged.
    pub(super) fn read(bytes: &[u8], marks_max: usize) -> Result<(Self, usize), Damaged> {
        let mut rest = bytes;
        let Some(Record::Begin { incarnation, last, floor }) = Record::take(&mut rest)? else { return Err(Damaged) };
        if incarnation == 0 {
            return Err(Damaged);
        }
        let mut ledger = Self { last, floor, ..Self::new(incarnation, marks_max) };
        while let Some(record) = Record::take(&mut rest)? {
            ledger.follow(record)?;
        }
        Ok((ledger, bytes.len() - rest.len()))
    }

    fn follow(&mut self, record: Record) -> Result<(), Damaged> {
        match record {
            Record::Begin { .. } => return Err(Damaged),
            Record::Number(seq) => self.last = self.last.max(seq),
            Record::Purge { kind, seq, tags } => self.raise(kind, &tags, seq),
            Record::Marks(marks) => self.marks.extend(marks),
        }
        Ok(())
    }

    pub(super) const fn incarnation(&self) -> u128 {
        self.incarnation
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }

    /// The number of a purge that is made `now`: above every earlier one.
    pub(super) fn next(&self, now: Timestamp) -> u64 {
        let micros = u64::try_from(now.as_millis()).unwrap_or(0).saturating_mul(1000);
        micros.max(self.last.saturating_add(1))
    }

    /// Raises the markers of `tags` to `seq`, and with them the last number.
    pub(super) fn raise(&mut self, kind: PurgeKind, tags: &[TagHash], seq: u64) {
        self.last = self.last.max(seq);
        for tag in tags {
            let marks = self.marks.entry(*tag).or_default();
            match kind {
                PurgeKind::Soft => marks.soft = marks.soft.max(seq),
                PurgeKind::Hard => marks.hard = marks.hard.max(seq),
            }
        }
    }

    /// Says that `seq` was given; whether that was news.
    pub(super) fn given(&mut self, seq: u64) -> bool {
        let is_new = seq > self.last;
        self.last = self.last.max(seq);
        is_new
    }

    /// Whether nothing that `guard` names was purged since.
    pub(super) fn holds(&self, guard: &Guard) -> bool {
        let fence = guard.start.fence;
        let marked = |tag| self.marks.get(tag).is_some_and(|marks: &Marks| marks.highest() > fence.seq);
        fence.incarnation == self.incarnation && fence.seq >= self.floor && !guard.tags.iter().any(marked)
    }

    /// Drops the older half of the markers when there are too many, and raises the floor to the highest of them: what they would have
    /// killed is dead by that. Whether it did.
    pub(super) fn trim(&mut self) -> bool {
        if self.marks.len() <= self.marks_max {
            return false;
        }
        let mut numbers: Vec<_> = self.marks.values().map(|marks| marks.highest()).collect();
        let middle = numbers.len() / 2;
        let (_, floor, _) = numbers.select_nth_unstable(middle);
        let floor = *floor;
        self.floor = self.floor.max(floor);
        self.marks.retain(|_, marks| marks.highest() > floor);
        true
    }

    /// The file of this order, made new.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.marks.len() * 25);
        Record::Begin { incarnation: self.incarnation, last: self.last, floor: self.floor }.put(&mut out);
        let all: Vec<_> = self.marks.iter().map(|(tag, marks)| (*tag, *marks)).collect();
        for some in all.chunks(MARKS_AT_ONCE) {
            Record::Marks(some.to_vec()).put(&mut out);
        }
        out
    }

    /// As a node takes it that begins with this order.
    pub(super) fn news(&self) -> News {
        let each = |(tag, marks): (&TagHash, &Marks)| {
            [(PurgeKind::Hard, *tag, marks.hard), (PurgeKind::Soft, *tag, marks.soft)]
        };
        let markers = self.marks.iter().flat_map(each).filter(|(_, _, seq)| *seq > 0).collect();
        let Self { incarnation, last, floor, .. } = *self;
        News { incarnation, base: 0, seq: last, floor, markers, strict: true }
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::marker::{Fence, Start};

    use super::*;

    fn tag(n: u64) -> TagHash {
        TagHash::from_bits(n)
    }

    fn guard(incarnation: u128, seq: u64, tags: &[u64]) -> Guard {
        let tags = tags.iter().copied().map(tag).collect();
        Guard { start: Start::promoted(Fence { incarnation, seq }), tags }
    }

    #[test]
    fn numbers_rise_even_when_the_clock_does_not() {
        let mut ledger = Ledger::new(7, 10);
        let now = Timestamp::from_millis(5);
        assert_eq!(ledger.next(now), 5000);
        ledger.raise(PurgeKind::Soft, &[], 9000);
        assert_eq!(ledger.next(now), 9001);
        assert_eq!(ledger.next(Timestamp::from_millis(-1)), 9001);
    }

    #[test]
    fn a_snapshot_says_the_same() {
        let mut ledger = Ledger::new(7, 100_000);
        (1..10_000).for_each(|n| ledger.raise(PurgeKind::Soft, &[tag(n), tag(n / 3)], n));
        ledger.raise(PurgeKind::Hard, &[tag(4)], 20_000);
        let (read, len) = Ledger::read(&ledger.snapshot(), 100_000).unwrap();
        assert_eq!(len, ledger.snapshot().len());
        assert_eq!((read.marks.clone(), read.last, read.floor), (ledger.marks.clone(), 20_000, 0));
        assert_eq!(read.marks[&tag(4)], Marks { hard: 20_000, soft: 14 });
    }

    #[test]
    fn a_file_without_a_beginning_is_no_order() {
        let mut bytes = Vec::new();
        Record::Number(1).put(&mut bytes);
        assert!(Ledger::read(&bytes, 1).is_err());
        assert!(Ledger::read(&[], 1).is_err());
    }

    #[test]
    fn dropped_markers_raise_the_floor_above_what_they_killed() {
        let mut ledger = Ledger::new(7, 10);
        (1..=11).for_each(|n| ledger.raise(PurgeKind::Soft, &[tag(n)], 100 + n));
        assert!(ledger.trim());
        assert!(ledger.marks() <= 5);
        let news = ledger.news();
        for seq in 101..=111 {
            let dropped = !news.markers.iter().any(|(_, _, kept)| *kept == seq);
            assert!(!dropped || news.floor >= seq, "what began before {seq} must be dead");
        }
        assert!(!ledger.trim());
        let (read, _) = Ledger::read(&ledger.snapshot(), 10).unwrap();
        assert_eq!(read.floor, news.floor);
    }

    #[test]
    fn a_guard_holds_if_nothing_of_it_was_purged_since() {
        let mut ledger = Ledger::new(7, 10);
        ledger.raise(PurgeKind::Soft, &[tag(1)], 100);
        ledger.raise(PurgeKind::Hard, &[tag(2)], 110);
        assert!(ledger.holds(&guard(7, 110, &[1, 2, 3])));
        assert!(ledger.holds(&guard(7, 100, &[1, 3])));
        assert!(!ledger.holds(&guard(7, 99, &[1])), "soft");
        assert!(!ledger.holds(&guard(7, 109, &[3, 2])), "hard");
        assert!(!ledger.holds(&guard(6, 110, &[])), "of another order");
        ledger.floor = 50;
        assert!(!ledger.holds(&guard(7, 49, &[3])), "its markers may have been dropped");
    }
}
