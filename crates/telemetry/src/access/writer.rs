//! The file behind an access log.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(super) struct Writer {
    place: Place,
    /// Memory for the lines that are taken next.
    pub(super) spare: Vec<u8>,
    /// Whether the last try failed: what it began may end within a line.
    pub(super) fails: bool,
}

#[derive(Debug)]
enum Place {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Writer {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let place = match path.as_os_str() == "-" {
            true => Place::Stdout,
            false => Place::File { path: path.to_owned(), file: append_to(path)? },
        };
        Ok(Self { place, spare: Vec::new(), fails: false })
    }

    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let begin: &[u8] = if self.fails { b"\n" } else { b"" };
        match &mut self.place {
            Place::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(begin)?;
                out.write_all(lines)
            }
            Place::File { path, file } => {
                if !is_still_there(path, file) {
                    *file = append_to(path)?;
                }
                file.write_all(begin)?;
                file.write_all(lines)
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
