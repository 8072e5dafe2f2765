//! What the order's file holds, record by record. Little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the payload |
//! | 4 | low half of the xxh3-64 of those four bytes |
//! | 8 | xxh3-64 of the payload |
//! | n | payload: a kind, and its fields |
//!
//! The length has a checksum of its own, so that a damaged one is not taken for a record that was cut off.

use bytes::{Buf, BufMut};
use edge_cache_core::{TagHash, marker::PurgeKind};
use xxhash_rust::xxh3::xxh3_64;

const HEADER: usize = 16;
const BEGIN: u8 = 0;
const NUMBER: u8 = 1;
const SOFT: u8 = 2;
const HARD: u8 = 3;
const MARKS: u8 = 4;

/// The highest markers of a tag; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) hard: u64,
    pub(super) soft: u64,
}

impl Marks {
    pub(super) fn highest(self) -> u64 {
        self.hard.max(self.soft)
    }
}

/// One step of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The first of a file, and no other.
    Begin { incarnation: u128, last: u64, floor: u64 },
    /// This number was given, to what is not told here.
    Number(u64),
    /// A purge.
    Purge { kind: PurgeKind, seq: u64, tags: Vec<TagHash> },
    /// Markers of purges from before the file was begun.
    Marks(Vec<(TagHash, Marks)>),
}

/// The bytes are no order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the order of purges is damaged")]
pub(super) struct Damaged;

impl Record {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.put_bytes(0, HEADER);
        match self {
            Self::Begin { incarnation, last, floor } => {
                out.put_u8(BEGIN);
                out.put_u128_le(*incarnation);
                out.put_u64_le(*last);
                out.put_u64_le(*floor);
            }
            Self::Number(seq) => {
                out.put_u8(NUMBER);
                out.put_u64_le(*seq);
            }
            Self::Purge { kind, seq, tags } => {
                out.put_u8(match kind {
                    PurgeKind::Soft => SOFT,
                    PurgeKind::Hard => HARD,
                });
                out.put_u64_le(*seq);
                tags.iter().for_each(|tag| out.put_u64_le(tag.bits()));
            }
            Self::Marks(marks) => {
                out.put_u8(MARKS);
                for (tag, Marks { hard, soft }) in marks {
                    [tag.bits(), *hard, *soft].into_iter().for_each(|field| out.put_u64_le(field));
                }
            }
        }
        let payload = out.len() - at - HEADER;
        let len = u32::try_from(payload).expect("a record holds some thousand tags at most").to_le_bytes();
        let checksum = xxh3_64(&out[at + HEADER..]);
        let header = &mut out[at..at + HEADER];
        header[..4].copy_from_slice(&len);
        header[4..8].copy_from_slice(&check(len));
        header[8..].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The next record of `rest`. `None` at the end, which may cut a record off: `rest` is then what is left of it.
    pub(super) fn take(rest: &mut &[u8]) -> Result<Option<Self>, Damaged> {
        let Some((header, tail)) = rest.split_first_chunk::<HEADER>() else { return Ok(None) };
        let (len, sums) = header.split_first_chunk::<4>().ok_or(Damaged)?;
        if sums[..4] != check(*len) {
            return Err(Damaged);
        }
        let Some((payload, tail)) = tail.split_at_checked(u32::from_le_bytes(*len) as usize) else { return Ok(None) };
        if sums[4..] != xxh3_64(payload).to_le_bytes() {
            return Err(Damaged);
        }
        *rest = tail;
        Self::parse(payload).map(Some)
    }

    fn parse(mut payload: &[u8]) -> Result<Self, Damaged> {
        let mut bytes = |_| Damaged;
        let kind = payload.try_get_u8().map_err(&mut bytes)?;
        let record = match kind {
            BEGIN => Self::Begin {
                incarnation: payload.try_get_u128_le().map_err(&mut bytes)?,
                last: payload.try_get_u64_le().map_err(&mut bytes)?,
                floor: payload.try_get_u64_le().map_err(&mut bytes)?,
            },
            NUMBER => Self::Number(payload.try_get_u64_le().map_err(&mut bytes)?),
            SOFT | HARD => {
                let kind = if kind == SOFT { PurgeKind::Soft } else { PurgeKind::Hard };
                let seq = payload.try_get_u64_le().map_err(&mut bytes)?;
                let (tags, rest) = payload.as_chunks::<8>();
                payload = rest;
                let tags = tags.iter().map(|tag| TagHash::from_bits(u64::from_le_bytes(*tag))).collect();
                Self::Purge { kind, seq, tags }
            }
            MARKS => {
                let (marks, rest) = payload.as_chunks::<24>();
                payload = rest;
                let field = |mut field: &[u8]| field.get_u64_le();
                let mark = |mark: &[u8; 24]| {
                    let marks = Marks { hard: field(&mark[8..]), soft: field(&mark[16..]) };
                    (TagHash::from_bits(field(mark)), marks)
                };
                Self::Marks(marks.iter().map(mark).collect())
            }
            _ => return Err(Damaged),
        };
        payload.is_empty().then_some(record).ok_or(Damaged)
    }
}

fn check(len: [u8; 4]) -> [u8; 4] {
    let [a, b, c, d, ..] = xxh3_64(&len).to_le_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        vec![
            Record::Begin { incarnation: 7, last: 3, floor: 2 },
            Record::Purge { kind: PurgeKind::Soft, seq: 4, tags: vec![TagHash::user("a"), TagHash::user("b")] },
            Record::Purge { kind: PurgeKind::Hard, seq: 5, tags: vec![] },
            Record::Number(6),
            Record::Marks(vec![(TagHash::all(), Marks { hard: 1, soft: 2 })]),
        ]
    }

    fn read(mut bytes: &[u8]) -> Result<Vec<Record>, Damaged> {
        let mut found = Vec::new();
        while let Some(record) = Record::take(&mut bytes)? {
            found.push(record);
        }
        Ok(found)
    }

    #[test]
    fn records_come_back() {
        let mut bytes = Vec::new();
        records().iter().for_each(|record| record.put(&mut bytes));
        assert_eq!(read(&bytes).unwrap(), records());
    }

    #[test]
    fn what_is_cut_off_is_the_end_and_what_is_damaged_is_seen() {
        let mut bytes = Vec::new();
        records().iter().for_each(|record| record.put(&mut bytes));
        for len in 0..bytes.len() {
            let found = read(&bytes[..len]).unwrap();
            assert!(found.len() < records().len() && records().starts_with(&found));
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(read(&damaged), Err(Damaged), "byte {at}, bit {bit}");
            }
        }
    }
}
