//! Short-lived notes about keys, in fixed memory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use edge_cache_core::{CacheKey, Timestamp};

/// Remembers for a while that something is so of a key, and why: that its answers cannot be stored (hit-for-miss), or that its origin
/// just failed. At most `SLOTS` keys; a newer note displaces an older one that falls on its slot, which costs only efficiency.
#[derive(Debug)]
pub(crate) struct Notes<W: 'static> {
    slots: Box<[Slot]>,
    lasts: Duration,
    /// The reasons that there are, by number.
    reasons: &'static [W],
}

#[derive(Debug, Default)]
struct Slot {
    key: AtomicU64,
    until: AtomicU64,
    reason: AtomicU64,
}

const SLOTS: usize = 1 << 14;

impl<W: Copy + PartialEq> Notes<W> {
    pub(crate) fn new(lasts: Duration, reasons: &'static [W]) -> Self {
        Self { slots: std::iter::repeat_with(Slot::default).take(SLOTS).collect(), lasts, reasons }
    }

    // Two halves of a uniform digest: one places, one identifies.
    fn slot(&self, key: &CacheKey) -> (&Slot, u64) {
        (&self.slots[key.digest() as usize % SLOTS], (key.digest() >> 64) as u64)
    }

    pub(crate) fn add(&self, key: &CacheKey, why: W, now: Timestamp) {
        let (slot, id) = self.slot(key);
        let reason = self.reasons.iter().position(|reason| *reason == why).unwrap_or(0);
        slot.until.store(0, Ordering::Release);
        slot.key.store(id, Ordering::Release);
        slot.reason.store(reason as u64, Ordering::Release);
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

    pub(crate) fn why(&self, key: &CacheKey, now: Timestamp) -> Option<W> {
        let reason = self.slot(key).0.reason.load(Ordering::Acquire);
        self.has(key, now).then(|| self.reasons.get(usize::try_from(reason).ok()?).copied()).flatten()
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
        let notes = Notes::new(Duration::from_secs(10), &["one", "other"]);
        let at = Timestamp::from_secs;
        assert!(!notes.has(&key("/a"), at(0)));
        notes.add(&key("/a"), "other", at(100));
        assert!(notes.has(&key("/a"), at(109)) && !notes.has(&key("/b"), at(109)));
        assert_eq!(notes.why(&key("/a"), at(109)), Some("other"));
        assert!(!notes.has(&key("/a"), at(110)) && notes.why(&key("/a"), at(110)).is_none());
        notes.add(&key("/a"), "one", at(200));
        notes.clear(&key("/a"));
        assert!(!notes.has(&key("/a"), at(200)));
    }
}
