/// SplitMix64: small, and the same everywhere for good, which the generators of library crates do not promise.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    /// A generator for one row of one table, so that rows do not depend on each other.
    pub(super) fn new(seed: u64, table: u64, row: u64) -> Self {
        let mut rng = Self(seed ^ table.rotate_left(48) ^ row.rotate_left(16));
        rng.next();
        rng
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1. The bias of the remainder is far too small to matter here.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An id from 1 to `last`.
    pub(super) fn id(&mut self, last: i64) -> i64 {
        let last = u64::try_from(last).unwrap_or(1).max(1);
        i64::try_from(self.below(last)).unwrap_or(0) + 1
    }

    /// True `percent` times in a hundred.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        let end = u64::try_from(items.len()).unwrap_or(u64::MAX);
        items[usize::try_from(self.below(end)).unwrap_or(0)]
    }
}
