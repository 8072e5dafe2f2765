//! Headers as they leave the process: in Redis, on a disk, in a snapshot.
//!
//! Layout, repeated: name length `u16`, value length `u32` (little endian), name, value.

use bytes::BufMut;
use http::HeaderName;

use super::{Line, PackedHeaders, names, put_line};

/// Why a block is none of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header block does not unpack at byte {at}")]
pub struct HeadError {
    at: usize,
}

const LENGTHS: usize = 6;
/// More lines than any answer has. A `HeaderMap` panics at 24 577 different names.
const LINES_MAX: usize = 16_384;

impl PackedHeaders {
    /// Takes a block that another tier kept.
    ///
    /// # Errors
    /// When a name or value is cut short or holds bytes that no header may hold, or when there are more lines than a map takes.
    pub fn from_block(block: &[u8]) -> Result<Self, HeadError> {
        let mut packed = Vec::with_capacity(block.len());
        let (mut at, mut lines) = (0, 0);
        while at < block.len() {
            lines += 1;
            at = take_line(block, at, &mut packed).filter(|_| lines <= LINES_MAX).ok_or(HeadError { at })?;
        }
        Ok(Self(packed.into()))
    }

    /// How long the block is that [`put_block`](Self::put_block) writes.
    #[must_use]
    pub fn block_len(&self) -> usize {
        self.lines().map(|Line { name, value }| LENGTHS + name.as_bytes().len() + value.len()).sum()
    }

    /// Writes the block.
    pub fn put_block(&self, out: &mut impl BufMut) {
        for Line { name, value } in self.lines() {
            let (name, value) = (name.as_bytes(), &self.0[value]);
            out.put_u16_le(u16::try_from(name.len()).expect("http caps a name at 64 KiB"));
            out.put_u32_le(u32::try_from(value.len()).expect("a header value is far below 4 GiB"));
            out.put_slice(name);
            out.put_slice(value);
        }
    }
}

/// Packs the line at `at`; gives where the next one begins.
fn take_line(block: &[u8], at: usize, packed: &mut Vec<u8>) -> Option<usize> {
    let lengths = block.get(at..at + LENGTHS)?;
    let name = usize::from(u16::from_le_bytes([lengths[0], lengths[1]]));
    let value = u32::from_le_bytes([lengths[2], lengths[3], lengths[4], lengths[5]]) as usize;
    let start = at + LENGTHS;
    let (middle, end) = (start + name, (start + name).checked_add(value)?);
    if end > block.len() {
        return None;
    }
    let (name, value) = (&block[start..middle], &block[middle..end]);
    let number = names::number(name);
    let is_name = || HeaderName::from_bytes(name).is_ok_and(|known| known.as_str().as_bytes() == name);
    let is_sound = (number.is_some() || is_name()) && may_be_value(value);
    is_sound.then(|| {
        put_line(packed, number, name, value);
        end
    })
}

/// The rule of [`HeaderValue`](http::HeaderValue), which would make a copy to tell.
fn may_be_value(text: &[u8]) -> bool {
    // No early end: then they are looked at many at a time.
    text.iter().fold(true, |sound, byte| sound & ((*byte >= b' ' && *byte != 0x7f) | (*byte == b'\t')))
}
