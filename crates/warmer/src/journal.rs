//! What a run has done, in a file, so that the same run goes on where it was interrupted.
//!
//! The file begins with a line that names the run, and has a line for each job that was done, with its time. Each line is handed to the
//! system before the next job ends, so it survives the death of the process (not that of the machine, after which a cache in memory is
//! empty anyway). A last line that was torn is nobody's. What was done too long ago is not taken for done: it may not be warm any more.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use edge_cache_core::{SharedClock, Timestamp};

use crate::replay::digest_of;

/// First word of the file; raise the number when the format changes.
const MAGIC: &str = "edge-cache-warm-journal-1";
/// A hundred thousand lines and more; whatever is longer is no journal.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// An open journal. Only one process has it.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    done: HashMap<u128, Timestamp>,
    clock: SharedClock,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum JournalError {
    #[error("journal {}: cannot be opened", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("journal {}: the same run is going on in another process", path.display())]
    Busy { path: PathBuf },
    #[error("journal {}: is another file", path.display())]
    Foreign { path: PathBuf },
}

/// The digest that names a run: of everything that makes it this run and no other, in order.
#[must_use]
pub fn run_digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> u128 {
    digest_of(parts.into_iter().map(str::as_bytes))
}

impl Journal {
    /// Opens the journal at `path` of the run that `run` names, or begins it; folders are made. What was done longer ago than `keep`, or by another
    /// run, is forgotten.
    ///
    /// # Errors
    /// See [`JournalError`]. A file that does not begin as a journal does is left alone.
    pub fn open(path: &Path, run: u128, keep: Duration, clock: SharedClock) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Open { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut this = Self { path: path.to_owned(), file, done: HashMap::new(), clock };
        match this.read(run, keep).map_err(failed)? {
            Some(end) => {
                // What was torn is cut off, so that the next line is whole.
                this.file.set_len(end).map_err(failed)?;
                this.file.seek(SeekFrom::Start(end)).map_err(failed)?;
            }
            None => return Err(JournalError::Foreign { path: path.to_owned() }),
        }
        if this.file.stream_position().map_err(failed)? == 0 {
            this.file.write_all(format!("{MAGIC} {run:032x}\n").as_bytes()).map_err(failed)?;
        }
        Ok(this)
    }

    /// Reads what is of use, and says where it ends; `None` for a file that is no journal.
    fn read(&mut self, run: u128, keep: Duration) -> io::Result<Option<u64>> {
        let now = self.clock.now();
        let mut lines = BufReader::new((&self.file).take(FILE_BYTES_MAX));
        let mut line = Vec::new();
        let mut end = 0;
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line)?;
            let text = std::str::from_utf8(&line).unwrap_or_default();
            let Some(text) = text.strip_suffix('\n') else {
                // The end, or a line that was torn. One that was torn in the first line is still told from another file.
                let ours = end > 0 || header(run).as_bytes().starts_with(&line) || MAGIC.as_bytes().starts_with(&line);
                return Ok(ours.then_some(end));
            };
            if end == 0 {
                match text.strip_prefix(MAGIC) {
                    Some(_) if text == header(run) => {}
                    // Another run's, or of another version.
                    Some(_) => return Ok(Some(0)),
                    None => return Ok(None),
                }
            } else if let Some((digest, at)) = entry(text)
                && now.since(at).max(at.since(now)) <= keep
            {
                self.done.insert(digest, at);
            }
            end += read as u64;
        }
    }

    /// Whether this job was done lately.
    #[must_use]
    pub fn is_done(&self, digest: u128) -> bool {
        self.done.contains_key(&digest)
    }

    /// How many jobs were done lately.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done.len()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that a job is done.
    ///
    /// # Errors
    /// When it cannot be written: then this job will be asked for again.
    pub fn add(&mut self, digest: u128) -> io::Result<()> {
        let at = self.clock.now().as_millis();
        // One write without a buffer: whole or torn, and out of this process when it returns.
        self.file.write_all(format!("{digest:032x} {at}\n").as_bytes())
    }

    /// Removes the file: the run has come to its end.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn header(run: u128) -> String {
    format!("{MAGIC} {run:032x}")
}

fn entry(line: &str) -> Option<(u128, Timestamp)> {
    let (digest, at) = line.split_once(' ')?;
    let digest = u128::from_str_radix(digest, 16).ok().filter(|_| digest.len() == 32)?;
    Some((digest, Timestamp::from_millis(at.parse().ok()?)))
}

#[cfg(test)]
mod tests;
