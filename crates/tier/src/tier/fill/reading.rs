//! A body as it comes in.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;

/// Single chunks up to this size are copied.
const COPIED_BYTES_MAX: u64 = 64 << 10;

/// What was read of a body and is not yet passed on.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) chunks: Vec<Bytes>,
    pub(super) len: u64,
    pub(super) max: u64,
    /// `Content-Length`, where the answer has one.
    pub(super) said: Option<u64>,
    pub(super) passing: bool,
    pub(super) end: Option<bool>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Reading {
    pub(super) fn take<E>(&mut self, frame: Option<Result<Frame<Bytes>, E>>, is_end: bool) {
        match frame {
            None => self.end = Some(true),
            Some(Err(_)) => self.end = Some(false),
            Some(Ok(frame)) => {
                match frame.into_data() {
                    Ok(data) => {
                        self.len += data.len() as u64;
                        self.chunks.push(data);
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                }
                if is_end {
                    self.end = Some(true);
                }
            }
        }
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
