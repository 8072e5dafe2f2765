//! Entries on their way to the disk.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use edge_cache_core::{Timestamp, marker::Fence};

/// What a map needs to hold a value.
const VALUE_OVERHEAD: usize = 96;
/// Of a value on the disk: until when it is kept.
const UNTIL: usize = 8;

/// A value as the store keeps it: an entry's frame and until when it is kept, or the word that there is none.
///
/// On the disk: the milliseconds since the epoch, little endian, then the frame; no byte at all for the word that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Kept {
        until: Timestamp,
        frame: Bytes,
    },
    /// Hides what older tables hold.
    Removed,
}

impl Value {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Kept { until, frame } => [&until.as_millis().to_le_bytes()[..], frame].concat(),
            Self::Removed => Vec::new(),
        }
    }

    /// `None` for bytes that are no value.
    pub(super) fn from_bytes(mut bytes: Bytes) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::Removed);
        }
        if bytes.len() < UNTIL {
            return None;
        }
        let frame = bytes.split_off(UNTIL);
        let until = Timestamp::from_millis(i64::from_le_bytes(bytes[..].try_into().ok()?));
        Some(Self::Kept { until, frame })
    }

    fn weight_bytes(&self) -> usize {
        let frame = match self {
            Self::Kept { frame, .. } => frame.len(),
            Self::Removed => 0,
        };
        VALUE_OVERHEAD + frame
    }
}

/// Values that are not on the disk yet, by digest.
pub(super) type Values = HashMap<u128, Value>;

/// What waits, and what is being written.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    waiting: Values,
    waiting_bytes: usize,
    /// The highest fence that a waiting entry of each order bears; there is one order, and sometimes what is left of another.
    fences: Vec<Fence>,
    writing: Option<Arc<Values>>,
    /// Counts batches that were taken to be written.
    taken: u64,
}

/// What the buffer says of a digest.
#[derive(Debug)]
pub(super) enum Look {
    Found(Value),
    /// Ask the disk; the number is for [`Buffer::forget`].
    NotHere(u64),
}

/// A batch to be written.
pub(super) struct Batch {
    pub(super) values: Arc<Values>,
    /// The highest fence that its entries of each order bear.
    pub(super) fences: Vec<Fence>,
}

impl Buffer {
    pub(super) fn look(&self, digest: u128) -> Look {
        let writing = || self.writing.as_ref()?.get(&digest);
        self.waiting.get(&digest).or_else(writing).cloned().map_or(Look::NotHere(self.taken), Look::Found)
    }

    /// Takes a value, instead of the one before; `fence` is its entry's. Returns how many bytes wait now.
    pub(super) fn put(&mut self, digest: u128, value: Value, fence: Option<Fence>) -> usize {
        if let Some(fence) = fence {
            match self.fences.iter_mut().find(|known| known.incarnation == fence.incarnation) {
                Some(known) => known.seq = known.seq.max(fence.seq),
                None => self.fences.push(fence),
            }
        }
        self.waiting_bytes += value.weight_bytes();
        if let Some(before) = self.waiting.insert(digest, value) {
            self.waiting_bytes -= before.weight_bytes();
        }
        self.waiting_bytes
    }

    /// Forgets what was found on the disk after a look that said [`Look::NotHere`], unless something newer may have come since, or `most`
    /// bytes wait already.
    pub(super) fn forget(&mut self, digest: u128, taken: u64, most: usize) {
        if self.waiting_bytes < most && self.taken == taken && matches!(self.look(digest), Look::NotHere(_)) {
            self.put(digest, Value::Removed, None);
        }
    }

    /// Takes what waits, to be written; [`written`](Self::written) or [`lost`](Self::lost) ends it. `None` if nothing waits, or something is being written.
    pub(super) fn take(&mut self) -> Option<Batch> {
        if self.waiting.is_empty() || self.writing.is_some() {
            return None;
        }
        let values = Arc::new(std::mem::take(&mut self.waiting));
        self.waiting_bytes = 0;
        self.taken += 1;
        self.writing = Some(Arc::clone(&values));
        Some(Batch { values, fences: std::mem::take(&mut self.fences) })
    }

    /// What was taken is on the disk.
    pub(super) fn written(&mut self) {
        self.writing = None;
    }

    /// What was taken is lost. Nor is there anything else by these digests: what the disk holds is older.
    pub(super) fn lost(&mut self) {
        let Some(lost) = self.writing.take() else { return };
        for digest in lost.keys() {
            if !self.waiting.contains_key(digest) {
                self.put(*digest, Value::Removed, None);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Entries that wait or are being written.
    pub(super) fn entries(&self) -> usize {
        self.waiting.len() + self.writing.as_ref().map_or(0, |writing| writing.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(n: i64) -> Value {
        Value::Kept { until: Timestamp::from_millis(n), frame: Bytes::from_static(b"frame") }
    }

    fn fence(seq: u64) -> Option<Fence> {
        Some(Fence { incarnation: 7, seq })
    }

    fn found(buffer: &Buffer, digest: u128) -> Option<Value> {
        match buffer.look(digest) {
            Look::Found(value) => Some(value),
            Look::NotHere(_) => None,
        }
    }

    #[test]
    fn values_come_back_from_their_bytes() {
        for value in [value(-1), value(1 << 50), Value::Removed] {
            assert_eq!(Value::from_bytes(value.to_bytes().into()), Some(value));
        }
        assert_eq!(Value::from_bytes(Bytes::from_static(b"seven b")), None);
    }

    #[test]
    fn what_is_being_written_is_still_found_and_the_newest_first() {
        let mut buffer = Buffer::default();
        buffer.put(1, value(1), fence(30));
        buffer.put(2, value(2), fence(20));
        let batch = buffer.take().unwrap();
        assert_eq!((batch.values.len(), &batch.fences[..], buffer.bytes()), (2, fence(30).as_slice(), 0));
        buffer.put(1, value(3), fence(10));
        assert_eq!((found(&buffer, 1), found(&buffer, 2)), (Some(value(3)), Some(value(2))));
        assert!(buffer.take().is_none(), "one batch at a time");
        buffer.written();
        assert_eq!((found(&buffer, 1), found(&buffer, 2)), (Some(value(3)), None));
        assert_eq!(buffer.take().unwrap().fences, fence(10).as_slice());
    }

    #[test]
    fn bytes_are_those_of_what_waits() {
        let mut buffer = Buffer::default();
        let one = buffer.put(1, value(1), None);
        assert_eq!(buffer.put(1, value(2), None), one);
        assert_eq!(buffer.put(2, value(2), None), 2 * one);
    }

    #[test]
    fn forgetting_leaves_what_is_newer_alone() {
        let mut buffer = Buffer::default();
        let Look::NotHere(taken) = buffer.look(1) else { panic!("nothing is there") };
        buffer.put(1, value(1), None);
        buffer.forget(1, taken, usize::MAX);
        assert_eq!(found(&buffer, 1), Some(value(1)));
        buffer.take().unwrap();
        buffer.written();
        buffer.forget(1, taken, usize::MAX);
        assert_eq!(found(&buffer, 1), None, "it went to the disk meanwhile, and must not be hidden there");
        let Look::NotHere(taken) = buffer.look(1) else { panic!("nothing is there") };
        buffer.forget(1, taken, usize::MAX);
        assert_eq!(found(&buffer, 1), Some(Value::Removed));
    }

    #[test]
    fn forgetting_keeps_to_the_limit() {
        let mut buffer = Buffer::default();
        for digest in 0..100 {
            buffer.forget(digest, 0, 3 * VALUE_OVERHEAD);
        }
        assert_eq!((buffer.bytes(), buffer.entries()), (3 * VALUE_OVERHEAD, 3));
    }

    #[test]
    fn what_is_lost_hides_what_is_older_and_nothing_newer() {
        let mut buffer = Buffer::default();
        buffer.put(1, value(1), None);
        buffer.put(2, value(1), None);
        buffer.take().unwrap();
        buffer.put(2, value(2), None);
        buffer.lost();
        assert_eq!((found(&buffer, 1), found(&buffer, 2)), (Some(Value::Removed), Some(value(2))));
        assert_eq!(buffer.take().unwrap().values.len(), 2, "the next batch may be taken");
    }
}
