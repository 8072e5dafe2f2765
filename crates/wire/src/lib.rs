//! Entries as bytes outside the process: in Redis, on a disk, in a snapshot.
//!
//! Little endian throughout. Versions 1 and 2:
//!
//! | bytes | what |
//! |---|---|
//! | 2 | magic `EC` |
//! | 1 | version |
//! | 1 | flags: bit 0, the body is zstd-compressed |
//! | 8 | xxh3-64 of all that follows |
//! | 4 + n | the key's fields: compared, so that a digest collision is a miss |
//! | 1, 2 | kind (0 response, 1 variant index; 2 part, in version 2 only), status |
//! | 5 × 8, 1 | born, stored, fresh until, revalidate until, error until (ms since the epoch), stale allowed |
//! | 16, 8 | incarnation and number of the fence |
//! | 4 | milliseconds the fill took |
//! | 2 + 8 n | tags |
//! | 4 + n | packed headers |
//! | 4 | length of the body before compression |
//! | rest | body |
//!
//! Only a part says that it is of version 2, so that nodes of before read the rest of what newer ones keep.
//!
//! A version that is not known, and anything damaged, is a [`WireError`] and so a miss. A new field needs a new version, and the
//! old one's decoder stays, with its test.
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::cell::RefCell;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use edge_cache_core::{
    CacheKey, Entry, Freshness, Head, Kind, PackedHeaders, TagHash, TagSet, Timestamp,
    marker::{Fence, Start},
};
use http::{StatusCode, header};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 2] = *b"EC";
const VERSION: u8 = 1;
/// That of a [`Kind::Partial`].
const VERSION_PART: u8 = 2;
const COMPRESSED: u8 = 1;
const PREAMBLE: usize = 12;
const ZSTD_LEVEL: i32 = 1;
/// A body is kept compressed if that takes one part in so many away: each hit pays for it, a whole body costs little to carry.
const GAIN: usize = 8;

/// Why a value is no entry of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It does not begin as one.
    #[error("not an entry")]
    Foreign,
    /// It is of a version this build does not know.
    #[error("entry of unknown version {0}")]
    Version(u8),
    /// Its bytes changed on the way.
    #[error("checksum does not match")]
    Checksum,
    /// It ends early or a field holds what it cannot.
    #[error("field `{0}` is malformed")]
    Field(&'static str),
}

/// Encodes an entry; bodies of at least `compress_bytes_min` bytes are compressed where they gain by it (0 for never).
#[must_use]
pub fn encode(key: &CacheKey, entry: &Entry, compress_bytes_min: u64) -> Bytes {
    let (head, body) = (entry.head(), entry.body());
    let wanted = compress_bytes_min > 0 && body.len() as u64 >= compress_bytes_min && is_compressible(head);
    let compressed =
        wanted.then(|| compress(body)).flatten().filter(|small| small.len() <= body.len() - body.len() / GAIN);
    let sent = compressed.as_deref().unwrap_or(body);

    let tags = head.tags.as_slice();
    let headers_len = head.headers.block_len();
    let mut out =
        BytesMut::with_capacity(PREAMBLE + 128 + key.fields().len() + 8 * tags.len() + headers_len + sent.len());
    out.put_slice(&MAGIC);
    out.put_u8(if head.kind == Kind::Partial { VERSION_PART } else { VERSION });
    out.put_u8(if compressed.is_some() { COMPRESSED } else { 0 });
    out.put_u64_le(0);
    put_length(&mut out, key.fields().len());
    out.put_slice(key.fields());
    out.put_u8(match head.kind {
        Kind::Response => 0,
        Kind::VariantIndex => 1,
        Kind::Partial => 2,
    });
    out.put_u16_le(head.status.as_u16());
    let Freshness { born, stored, fresh_until, revalidate_until, error_until, stale_allowed } = head.freshness;
    for instant in [born, stored, fresh_until, revalidate_until, error_until] {
        out.put_i64_le(instant.as_millis());
    }
    out.put_u8(u8::from(stale_allowed));
    let Fence { incarnation, seq } = head.fence;
    out.put_u128_le(incarnation);
    out.put_u64_le(seq);
    out.put_u32_le(head.fill_millis);
    out.put_u16_le(u16::try_from(tags.len()).expect("the policy caps tags far below 65 536"));
    tags.iter().for_each(|tag| out.put_u64_le(tag.bits()));
    put_length(&mut out, headers_len);
    head.headers.put_block(&mut out);
    out.put_u32_le(u32::try_from(body.len()).expect("a tier caps bodies far below 4 GiB"));
    out.put_slice(sent);
    let checksum = xxh3_64(&out[PREAMBLE..]);
    out[4..PREAMBLE].copy_from_slice(&checksum.to_le_bytes());
    out.freeze()
}

/// Decodes what [`encode`] made. `Ok(None)` is another key's entry under the same digest: a miss. The body is a slice of `frame`
/// unless it was compressed.
///
/// # Errors
/// Whatever is wrong with the bytes; treat it as a miss.
pub fn decode(frame: &Bytes, key: &CacheKey, body_bytes_max: u64) -> Result<Option<Entry>, WireError> {
    let opened = Frame::open(frame)?;
    if opened.fields != key.fields() {
        return Ok(None);
    }
    opened.entry(frame, body_bytes_max).map(Some)
}

/// Decodes what [`encode`] made, where nothing else says under which key it belongs.
///
/// # Errors
/// As [`decode`].
pub fn decode_keyed(frame: &Bytes, body_bytes_max: u64) -> Result<(CacheKey, Entry), WireError> {
    let opened = Frame::open(frame)?;
    let key = CacheKey::from_fields(opened.fields).ok_or(WireError::Field("key"))?;
    Ok((key, opened.entry(frame, body_bytes_max)?))
}

/// A frame whose checksum is right. Borrowed, and only the body becomes a slice that counts: each count costs on every hit.
struct Frame<'a> {
    version: u8,
    is_compressed: bool,
    fields: &'a [u8],
    /// All behind the key.
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    fn open(frame: &'a [u8]) -> Result<Self, WireError> {
        if frame.len() < PREAMBLE || frame[..2] != MAGIC {
            return Err(WireError::Foreign);
        }
        let version = frame[2];
        if !(VERSION..=VERSION_PART).contains(&version) {
            return Err(WireError::Version(version));
        }
        let checksum = u64::from_le_bytes(frame[4..PREAMBLE].try_into().expect("eight bytes"));
        let mut rest = &frame[PREAMBLE..];
        if xxh3_64(rest) != checksum {
            return Err(WireError::Checksum);
        }
        let fields = take_block(&mut rest, "key")?;
        Ok(Self { version, is_compressed: frame[3] & COMPRESSED != 0, fields, rest })
    }

    /// The entry; `frame` is what this was opened from.
    fn entry(self, frame: &Bytes, body_bytes_max: u64) -> Result<Entry, WireError> {
        let Self { version, is_compressed, mut rest, .. } = self;
        let head = take_head(&mut rest, version)?;
        let len = u64::from(rest.try_get_u32_le().map_err(|_| WireError::Field("body length"))?);
        let body = if is_compressed {
            // The length is checked before anything is allocated for it.
            let capacity = usize::try_from(len.min(body_bytes_max)).unwrap_or(0);
            decompress(rest, capacity).ok_or(WireError::Field("body"))?
        } else {
            frame.slice_ref(rest)
        };
        if body.len() as u64 != len {
            return Err(WireError::Field("body"));
        }
        let start = Start::promoted(head.fence);
        Ok(Entry::new(head, body, start))
    }
}

fn take_head(rest: &mut &[u8], version: u8) -> Result<Head, WireError> {
    /// kind, status, instants, flag, fence, fill time, number of tags
    const FIXED: usize = 1 + 2 + 40 + 1 + 24 + 4 + 2;
    if rest.len() < FIXED {
        return Err(WireError::Field("head"));
    }
    let kind = match rest.get_u8() {
        0 => Kind::Response,
        1 => Kind::VariantIndex,
        2 if version == VERSION_PART => Kind::Partial,
        _ => return Err(WireError::Field("kind")),
    };
    let status = StatusCode::from_u16(rest.get_u16_le()).map_err(|_| WireError::Field("status"))?;
    let mut instant = || Timestamp::from_millis(rest.get_i64_le());
    let (born, stored, fresh_until) = (instant(), instant(), instant());
    let (revalidate_until, error_until) = (instant(), instant());
    let stale_allowed = rest.get_u8() == 1;
    let fence = Fence { incarnation: rest.get_u128_le(), seq: rest.get_u64_le() };
    let fill_millis = rest.get_u32_le();
    let tags = 8 * usize::from(rest.get_u16_le());
    let (tags, behind) = rest.split_at_checked(tags).ok_or(WireError::Field("tags"))?;
    // Of a length that is known, so that it is made in its place.
    let tags = tags.as_chunks().0.iter().map(|tag| TagHash::from_bits(u64::from_le_bytes(*tag))).collect();
    *rest = behind;
    let headers = PackedHeaders::from_block(take_block(rest, "headers")?).map_err(|_| WireError::Field("headers"))?;
    let freshness = Freshness { born, stored, fresh_until, revalidate_until, error_until, stale_allowed };
    Ok(Head { kind, status, headers, freshness, fence, tags: TagSet::from_hashes(tags), fill_millis })
}

fn put_length(out: &mut BytesMut, len: usize) {
    out.put_u32_le(u32::try_from(len).expect("keys and header blocks are far below 4 GiB"));
}

fn take_block<'a>(rest: &mut &'a [u8], field: &'static str) -> Result<&'a [u8], WireError> {
    let len = rest.try_get_u32_le().map_err(|_| WireError::Field(field))? as usize;
    let (block, behind) = rest.split_at_checked(len).ok_or(WireError::Field(field))?;
    *rest = behind;
    Ok(block)
}

/// Text gains by compression; images, archives and what is already coded do not.
fn is_compressible(head: &Head) -> bool {
    if head.headers.get(&header::CONTENT_ENCODING).is_some() {
        return false;
    }
    let kind = head.headers.get(&header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let any = |needle: &[u8]| kind.windows(needle.len()).any(|window| window == needle);
    kind.starts_with(b"text/") || any(b"json") || any(b"xml") || any(b"javascript")
}

thread_local! {
    // A context costs more to make than a small body to compress.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(body: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let context = match slot {
            Some(context) => context,
            None => slot.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL).ok()?),
        };
        context.compress(body).ok()
    })
}

fn decompress(body: &[u8], capacity: usize) -> Option<Bytes> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let context = match slot {
            Some(context) => context,
            None => slot.insert(zstd::bulk::Decompressor::new().ok()?),
        };
        context.decompress(body, capacity).ok().map(Bytes::from)
    })
}

#[cfg(test)]
mod tests;
