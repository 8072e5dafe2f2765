//! The file behind an access log.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    format::{AccessFormat, Clock},
    line::Line,
};

/// Bytes of words that are written at once: to write costs as much as a few lines do, and more than this is not in the core's cache any more.
const AT_ONCE: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    format: AccessFormat,
    clock: Clock,
    /// Lines in words, and how many.
    words: Vec<u8>,
    count: u64,
    /// Memory for the lines that are taken next.
    pub(super) spare: Vec<u8>,
    /// Whether the last try failed: what it began may end within a line.
    fails: bool,
}

#[derive(Debug)]
enum Place {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Writer {
    pub(super) fn open(path: &Path, format: AccessFormat) -> io::Result<Self> {
        let place = match path.as_os_str() == "-" {
            true => Place::Stdout,
            false => Place::File { path: path.to_owned(), file: append_to(path)? },
        };
        let (clock, words, spare) = (Clock::default(), Vec::new(), Vec::new());
        Ok(Self { place, format, clock, words, count: 0, spare, fails: false })
    }

    /// Writes the lines that wait, and tells how many of them were lost.
    pub(super) fn write(&mut self, mut waiting: &[u8]) -> u64 {
        let mut lost = 0;
        while let Some(line) = Line::take(&mut waiting) {
            self.format.line(&mut self.words, &mut self.clock, &line);
            self.count += 1;
            if self.words.len() >= AT_ONCE {
                lost += self.put_out();
            }
        }
        debug_assert!(waiting.is_empty(), "what was noted is read as it was");
        lost + self.put_out()
    }

    fn put_out(&mut self) -> u64 {
        if self.words.is_empty() {
            return 0;
        }
        let written = self.place.write(if self.fails { b"\n" } else { b"" }, &self.words);
        self.words.clear();
        let count = std::mem::take(&mut self.count);
        match written {
            Ok(()) => {
                if std::mem::take(&mut self.fails) {
                    tracing::info!("the access log is written again");
                }
                0
            }
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!(%error, "the access log cannot be written: lines are lost until it can");
                }
                count
            }
        }
    }
}

impl Place {
    fn write(&mut self, begin: &[u8], words: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(begin)?;
                out.write_all(words)
            }
            Self::File { path, file } => {
                if !is_still_there(path, file) {
                    *file = append_to(path)?;
                }
                file.write_all(begin)?;
                file.write_all(words)
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Whether the path still names the file, and not another one or none: log rotation moves it away.
fn is_still_there(path: &Path, file: &File) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}
