use std::io;

/// Longest line that is read, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 64 << 10;

/// The lines of a file, each in bounded memory.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    line: Vec<u8>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Line(&'a [u8]),
    TooLong,
    End,
}

impl<R: io::BufRead> Lines<R> {
    pub(super) const fn new(from: R) -> Self {
        Self { from, line: Vec::new() }
    }

    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        self.line.clear();
        let (mut any, mut too_long) = (false, false);
        loop {
            let piece = match self.from.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if piece.is_empty() {
                break;
            }
            any = true;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let content = &piece[..end.unwrap_or(piece.len())];
            too_long |= self.line.len() + content.len() > LINE_BYTES_MAX;
            if !too_long {
                self.line.extend_from_slice(content);
            }
            let taken = end.map_or(piece.len(), |end| end + 1);
            self.from.consume(taken);
            if end.is_some() {
                break;
            }
        }
        Ok(match (any, too_long) {
            (false, _) => Next::End,
            (true, true) => Next::TooLong,
            (true, false) => Next::Line(&self.line),
        })
    }
}
