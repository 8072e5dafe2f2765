//! Everything of a stored response but its body.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{Freshness, TagSet, marker::Fence};

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A response that can be served.
    Response,
    /// Some bytes of a representation, as a 206 brought them; its `Content-Range` says which (RFC 9111 §3.3).
    Partial,
    /// The list of request headers that select a variant of the resource (RFC 9111 §4.1); its body holds the names and variants.
    VariantIndex,
}

/// Everything of a stored response but its body. Immutable and shared by every tier that keeps the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the entry stands for.
    pub kind: Kind,
    /// The response's status.
    pub status: StatusCode,
    /// The response's headers, hop-by-hop and tag headers taken off.
    pub headers: PackedHeaders,
    /// The instants of its life.
    pub freshness: Freshness,
    /// Where in the order of purges its origin read began.
    pub fence: Fence,
    /// The tags that purge it.
    pub tags: TagSet,
    /// Milliseconds that the origin took, for early refresh.
    pub fill_millis: u32,
}

impl Head {
    /// Bytes this head occupies.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.headers.as_bytes().len() + size_of_val(self.tags.as_slice())
    }
}

/// Why packed headers do not unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header block does not unpack at byte {at}")]
pub struct HeadError {
    at: usize,
}

/// Headers as one block of bytes, the form in which every tier keeps them.
///
/// A `HeaderMap` costs 1.85 × its payload at 1 KiB and may pin the buffer it was read from; this block is copied once and
/// costs six bytes a header. Layout, repeated: name length `u16`, value length `u32` (little endian), name, value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedHeaders(Bytes);

const LENGTHS: usize = 6;
/// More lines than any answer has. A `HeaderMap` panics at 24 577 different names.
const LINES_MAX: usize = 16_384;

impl PackedHeaders {
    /// Packs `headers`, keeping order and repeated lines.
    #[must_use]
    pub fn pack(headers: &HeaderMap) -> Self {
        let len = headers.iter().map(|(n, v)| LENGTHS + n.as_str().len() + v.len()).sum();
        let mut block = BytesMut::with_capacity(len);
        for (name, value) in headers {
            block.put_u16_le(u16::try_from(name.as_str().len()).expect("http caps a name at 64 KiB"));
            block.put_u32_le(u32::try_from(value.len()).expect("a header value is far below 4 GiB"));
            block.put_slice(name.as_str().as_bytes());
            block.put_slice(value.as_bytes());
        }
        Self(block.freeze())
    }

    /// Takes a block that another tier kept.
    ///
    /// # Errors
    /// When a name or value is cut short or holds bytes that no header may hold, or when there are more lines than a map takes.
    pub fn from_bytes(block: Bytes) -> Result<Self, HeadError> {
        let packed = Self(block);
        let (mut at, mut lines) = (0, 0);
        while at < packed.0.len() {
            lines += 1;
            if lines > LINES_MAX {
                return Err(HeadError { at });
            }
            at = packed.field(at).and_then(|(_, _, next)| packed.parse(at).map(|_| next)).ok_or(HeadError { at })?;
        }
        Ok(packed)
    }

    /// The block.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Ranges of name and value at `at`, and where the next header begins.
    fn field(&self, at: usize) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>, usize)> {
        let lengths = self.0.get(at..at + LENGTHS)?;
        let name = usize::from(u16::from_le_bytes([lengths[0], lengths[1]]));
        let value = u32::from_le_bytes([lengths[2], lengths[3], lengths[4], lengths[5]]) as usize;
        let start = at + LENGTHS;
        let (middle, end) = (start + name, (start + name).checked_add(value)?);
        (end <= self.0.len()).then_some((start..middle, middle..end, end))
    }

    fn parse(&self, at: usize) -> Option<(HeaderName, HeaderValue, usize)> {
        let (name, value, next) = self.field(at)?;
        let name = HeaderName::from_bytes(&self.0[name]).ok()?;
        // A slice of the block: no copy, and the block lives as long as the response needs it.
        let value = HeaderValue::from_maybe_shared(self.0.slice(value)).ok()?;
        Some((name, value, next))
    }

    /// Unpacks into `map`, appending.
    pub fn unpack_into(&self, map: &mut HeaderMap) {
        let mut at = 0;
        while let Some((name, value, next)) = self.parse(at) {
            map.append(name, value);
            at = next;
        }
    }

    /// Unpacks into a new map with room for a few headers more.
    #[must_use]
    pub fn unpack(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(12);
        self.unpack_into(&mut map);
        map
    }

    /// The first value of `name`, without unpacking the rest.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut at = 0;
        while let Some((found, value, next)) = self.field(at) {
            if self.0[found] == *name.as_str().as_bytes() {
                return Some(&self.0[value]);
            }
            at = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> HeaderMap {
        let mut map = HeaderMap::new();
        map.append("content-type", HeaderValue::from_static("application/json"));
        map.append("link", HeaderValue::from_static("<a>"));
        map.append("link", HeaderValue::from_static("<b>"));
        map.append("x-odd", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        map.append("x-empty", HeaderValue::from_static(""));
        map
    }

    #[test]
    fn packing_keeps_every_line_and_byte() {
        let packed = PackedHeaders::pack(&headers());
        assert_eq!(packed.unpack(), headers());
        assert_eq!(PackedHeaders::from_bytes(packed.as_bytes().clone()), Ok(packed.clone()));
        assert_eq!(packed.get(&http::header::LINK), Some(&b"<a>"[..]));
        assert_eq!(packed.get(&http::header::ETAG), None);
    }

    #[test]
    fn a_damaged_block_is_an_error_and_never_a_panic() {
        let block = PackedHeaders::pack(&headers()).0;
        for cut in 1..block.len() {
            let whole_headers = PackedHeaders::from_bytes(block.slice(..cut));
            if let Ok(packed) = whole_headers {
                assert!(packed.unpack().len() < headers().len(), "a cut at a header's end");
            }
        }
        assert!(PackedHeaders::from_bytes(Bytes::from_static(b"\x01\0\x01\0\0\0 x")).is_err(), "a space is no name");
        assert!(PackedHeaders::from_bytes(Bytes::from_static(b"\x01\0\xff\xff\xff\xffxy")).is_err());
    }

    #[test]
    fn a_block_of_more_lines_than_a_map_takes_is_an_error() {
        let block = |lines: usize| {
            let mut block = BytesMut::new();
            for n in 0..lines {
                let name = format!("x-{n}");
                block.put_u16_le(u16::try_from(name.len()).unwrap());
                block.put_u32_le(0);
                block.put_slice(name.as_bytes());
            }
            PackedHeaders::from_bytes(block.freeze())
        };
        assert_eq!(block(LINES_MAX).unwrap().unpack().len(), LINES_MAX);
        assert!(block(LINES_MAX + 1).is_err() && block(40_000).is_err());
    }
}
