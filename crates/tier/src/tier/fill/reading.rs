//! A body as it comes in.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

/// Single chunks up to this size are copied.
const COPIED_BYTES_MAX: u64 = 64 << 10;

/// Pieces shorter than this are put together, and are copied where they are kept: each may be a slice of a read buffer of several times its length.
const PIECE_BYTES_MIN: usize = 4 << 10;

/// What was read of a body and is not yet passed on.
#[derive(Default)]
pub(super) struct Reading {
    chunks: Vec<Bytes>,
    /// Behind these, of short pieces.
    short: BytesMut,
    len: u64,
    max: u64,
    /// `Content-Length`, where the answer has one.
    said: Option<u64>,
    pub(super) passing: bool,
    pub(super) end: Option<bool>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Reading {
    /// Of a body that is kept up to `max` bytes, and has `said` how many it has.
    pub(super) fn of(max: u64, said: Option<u64>) -> Self {
        Self { max, said, ..Self::default() }
    }

    pub(super) fn take<E>(&mut self, frame: Option<Result<Frame<Bytes>, E>>, is_end: bool) {
        match frame {
            None => self.end = Some(true),
            Some(Err(_)) => self.end = Some(false),
            Some(Ok(frame)) => {
                match frame.into_data() {
                    Ok(data) => {
                        self.len += data.len() as u64;
                        self.add(data);
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                }
                if is_end {
                    self.end = Some(true);
                }
            }
        }
    }

    fn add(&mut self, data: Bytes) {
        let is_short = data.len() < PIECE_BYTES_MIN;
        // The first one is copied later, if at all: most bodies are whole with it.
        if is_short && !(self.chunks.is_empty() && self.short.is_empty()) {
            self.short.extend_from_slice(&data);
            return;
        }
        self.join_short();
        self.chunks.push(data);
    }

    fn join_short(&mut self) {
        if !self.short.is_empty() {
            self.chunks.push(Bytes::copy_from_slice(&self.short));
            self.short.clear();
        }
    }

    /// Takes what was read, in pieces that keep nothing alive but themselves.
    pub(super) fn pieces(&mut self) -> impl Iterator<Item = Bytes> + use<'_> {
        self.join_short();
        let own = |chunk: Bytes| match chunk.len() < PIECE_BYTES_MIN {
            true => Bytes::copy_from_slice(&chunk),
            false => chunk,
        };
        self.chunks.drain(..).map(own)
    }

    /// Bytes that were read.
    pub(super) fn waiting(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum::<usize>() + self.short.len()
    }

    /// The same, to be looked at.
    pub(super) fn read(&mut self) -> &[Bytes] {
        self.join_short();
        &self.chunks
    }

    pub(super) const fn ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the body came to its own end.
    pub(super) fn is_complete(&self) -> bool {
        self.end == Some(true) && self.said.is_none_or(|said| said == self.len)
    }

    pub(super) const fn over(&self) -> bool {
        self.len > self.max
    }

    pub(super) fn drain(&mut self) -> Bytes {
        self.join_short();
        match self.chunks.len() {
            0 => Bytes::new(),
            // A small chunk may be a slice of a far larger read buffer, which the entry must not keep alive.
            1 if self.len > COPIED_BYTES_MAX => self.chunks.remove(0),
            _ => {
                let mut all = BytesMut::new();
                self.chunks.drain(..).for_each(|chunk| all.extend_from_slice(&chunk));
                all.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&'static [u8]]) -> Reading {
        let mut reading = Reading::of(u64::MAX, None);
        for piece in pieces {
            reading.take::<()>(Some(Ok(Frame::data(Bytes::from_static(piece)))), false);
        }
        reading
    }

    #[test]
    fn short_pieces_are_put_together_in_their_order() {
        const LONG: &[u8] = &[7; PIECE_BYTES_MIN];
        let pieces: Vec<Bytes> = read(&[b"a", b"b", b"c", LONG, b"d", b"e"]).pieces().collect();
        assert_eq!(pieces, [&b"a"[..], b"bc", LONG, b"de"]);
        assert_eq!(read(&[b"a", b"b", LONG, b"c"]).drain(), [b"ab", LONG, b"c"].concat());
        assert_eq!(read(&[b"a", b"b"]).waiting(), 2);
    }

    #[test]
    fn what_is_passed_on_keeps_no_read_buffer_alive() {
        let buffer = Bytes::from(vec![1; 1 << 16]);
        let mut reading = Reading::of(u64::MAX, None);
        reading.take::<()>(Some(Ok(Frame::data(buffer.slice(..100)))), false);
        let pieces: Vec<Bytes> = reading.pieces().collect();
        drop(reading);
        assert!(buffer.is_unique() && pieces.len() == 1, "a piece of 100 bytes holds 100");
    }
}
