use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes repeat with this period: a prime, so that a body shifted by any power of two shows.
const PERIOD: u64 = 251;
/// Whole periods, so that every chunk starts alike; about as much as a server writes at once.
const CHUNK: u64 = PERIOD * 256;

/// The byte at `offset` of the big body.
#[must_use]
pub const fn byte_at(offset: u64) -> u8 {
    (offset % PERIOD) as u8
}

/// A body as long as wanted that is never held as a whole.
#[derive(Clone, Debug)]
pub struct Big {
    chunk: Bytes,
}

impl Default for Big {
    fn default() -> Self {
        Self { chunk: (0..CHUNK).map(byte_at).collect() }
    }
}

impl Big {
    /// `length` bytes from `offset` on.
    #[must_use]
    pub fn span(&self, offset: u64, length: u64) -> Span {
        Span { chunk: self.chunk.clone(), offset, left: length }
    }
}

/// A part of the big body.
#[derive(Debug)]
pub struct Span {
    chunk: Bytes,
    offset: u64,
    left: u64,
}

impl Body for Span {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let start = self.offset % CHUNK;
        let end = (start + self.left).min(CHUNK);
        self.offset += end - start;
        self.left -= end - start;
        // Both are at most a chunk's length.
        Poll::Ready(Some(Ok(Frame::data(self.chunk.slice(start as usize..end as usize)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
