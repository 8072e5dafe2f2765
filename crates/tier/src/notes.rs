//! Short-lived notes about keys, in fixed memory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use edge_cache_core::{CacheKey, Timestamp};

/// Remembers for a while that something is so of a key: that its answers cannot be stored (hit-for-miss), or that its origin just
/// failed. At most `SLOTS` keys; a newer note displaces an older one that falls on its slot, which costs only efficiency.
#[derive(Debug)]
pub(crate) struct Notes {
    slots: Box<[Slot]>,
    lasts: Duration,
}

#[derive(Debug, Default)]
struct Slot {
    key: AtomicU64,
    until: AtomicU64,
}

const SLOTS: usize = 1 << 14;

impl Notes {
    pub(crate) fn new(lasts: Duration) -> Self {
        Self { slots: std::iter::repeat_with(Slot::default).take(SLOTS).collect(), lasts }
    }

    // Two halves of a uniform digest: one places, one identifies.
    fn slot(&self, key: &CacheKey) -> (&Slot, u64) {
        (&self.slots[key.digest() as usize % SLOTS], (key.digest() >> 64) as u64)
    }

    pub(crate) fn add(&self, key: &CacheKey, now: Timestamp) {
        let (slot, id) = self.slot(key);
        slot.until.store(0, Ordering::Release);
        slot.key.store(id, Ordering::Release);
        slot.until.store(millis(now + self.lasts), Ordering::Release);
    }

    pub(crate) fn clear(&self, key: &CacheKey) {
        let (slot, id) = self.slot(key);
        if slot.key.load(Ordering::Acquire) == id {
            slot.until.store(0, Ordering::Release);
        }
    }

    pub(crate) fn has(&self, key: &CacheKey, now: Timestamp) -> bool {
        let (slot, id) = self.slot(key);
        slot.until.load(Ordering::Acquire) > millis(now) && slot.key.load(Ordering::Acquire) == id
    }
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use edge_cache_core::KeyParts;

    use super::*;

    #[test]
    fn a_note_lasts_and_ends() {
        let key = |path| CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path, query: "" });
        let notes = Notes::new(Duration::from_secs(10));
        let at = Timestamp::from_secs;
        assert!(!notes.has(&key("/a"), at(0)));
        notes.add(&key("/a"), at(100));
        assert!(notes.has(&key("/a"), at(109)) && !notes.has(&key("/b"), at(109)));
        assert!(!notes.has(&key("/a"), at(110)));
        notes.add(&key("/a"), at(200));
        notes.clear(&key("/a"));
        assert!(!notes.has(&key("/a"), at(200)));
    }
}
