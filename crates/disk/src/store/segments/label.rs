//! What a table says of its segment.

use edge_cache_core::Timestamp;

/// Where a table keeps its label: before every digest, and of another length.
pub(super) const KEY: [u8; 1] = [0];

const FIELD: usize = 8;

/// The first value of every table; of a segment's tables the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// Of the segment: higher in a younger one.
    pub(super) age: u64,
    /// The highest number that the order's file was known to hold when the table was written.
    pub(super) seq: u64,
    /// When the segment was written last.
    pub(super) written: Timestamp,
}

impl Label {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Self { age, seq, written } = self;
        [age.to_le_bytes(), seq.to_le_bytes(), written.as_millis().to_le_bytes()].concat()
    }

    /// `None` for bytes that are no label.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (fields, []) = bytes.as_chunks::<FIELD>() else { return None };
        let [age, seq, written] = *fields else { return None };
        let written = Timestamp::from_millis(i64::from_le_bytes(written));
        Some(Self { age: u64::from_le_bytes(age), seq: u64::from_le_bytes(seq), written })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_from_their_bytes() {
        let label = Label { age: 3, seq: u64::MAX, written: Timestamp::from_millis(-5) };
        assert_eq!(Label::from_bytes(&label.to_bytes()), Some(label));
        for len in [0, 8, 23, 25, 32] {
            assert_eq!(Label::from_bytes(&vec![1; len]), None, "{len} bytes");
        }
    }
}
