//! Server-sent events (WHATWG HTML, 9.2.6), as far as the feed needs them.

use bytes::{Buf, BytesMut};

use super::Loss;

/// Longest line. A day of history is a tenth of it.
pub(super) const LINE_BYTES_MAX: usize = 8 << 20;
/// Longest document, which may be of several lines.
pub(super) const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) event: String,
    pub(super) data: Vec<u8>,
}

/// Takes bytes as they come, and gives events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    bytes: BytesMut,
    /// So many of `bytes` hold no end of a line.
    searched: usize,
    message: Message,
    has_data: bool,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole event, or `None` until more is pushed.
    ///
    /// # Errors
    /// [`Loss::TooLarge`].
    pub(super) fn next(&mut self) -> Result<Option<Message>, Loss> {
        while let Some(end) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + end;
            if end > LINE_BYTES_MAX {
                return Err(Loss::TooLarge(LINE_BYTES_MAX));
            }
            let mut line = self.bytes.split_to(end);
            self.bytes.advance(1);
            self.searched = 0;
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if let Some(message) = self.line(&line)? {
                return Ok(Some(message));
            }
        }
        self.searched = self.bytes.len();
        if self.searched > LINE_BYTES_MAX {
            return Err(Loss::TooLarge(LINE_BYTES_MAX));
        }
        Ok(None)
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Message>, Loss> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return Ok(std::mem::take(&mut self.has_data).then_some(message));
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => self.message.event = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                if self.message.data.len() + value.len() >= DOCUMENT_BYTES_MAX {
                    return Err(Loss::TooLarge(DOCUMENT_BYTES_MAX));
                }
                if self.has_data {
                    self.message.data.push(b'\n');
                }
                self.message.data.extend_from_slice(value);
                self.has_data = true;
            }
            // A comment, which keeps the connection open, or what a later version says.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for piece in pieces {
            parser.push(piece);
            while let Some(message) = parser.next().unwrap() {
                found.push((message.event, String::from_utf8(message.data).unwrap()));
            }
        }
        found
    }

    #[test]
    fn events_are_found_wherever_the_bytes_are_cut() {
        let text = b": hello\nevent: a\ndata: {\"x\":1}\n\nid: 7\r\nevent:b\r\ndata: 1\r\ndata: 2\r\n\r\nevent: none\n\ndata\n\ndata: cut";
        let expected = [("a", "{\"x\":1}"), ("b", "1\n2"), ("", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(all(&[text]), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(all(&bytes), expected);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        parser.push(b"data: ");
        let piece = vec![b'x'; 1 << 20];
        let pushed = (0..).find(|_| {
            parser.push(&piece);
            parser.next().is_err()
        });
        assert_eq!(pushed, Some(LINE_BYTES_MAX / piece.len() - 1));
    }

    #[test]
    fn a_document_without_end_is_refused() {
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &vec![b'x'; 1 << 20], b"\n"].concat();
        let pushed = (0..).find(|_| {
            parser.push(&line);
            parser.next().is_err()
        });
        assert_eq!(pushed, Some(DOCUMENT_BYTES_MAX / (1 << 20) - 1));
    }
}
