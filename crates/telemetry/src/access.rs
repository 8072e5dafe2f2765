//! The access log: a line for each answered request.

mod format;
mod line;
mod put;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

pub use self::format::AccessFormat;
pub(crate) use self::line::Noted;
use self::{
    line::{End, Line},
    writer::Writer,
};
use crate::{
    finished::Finished,
    shard::{Lane, Sharded},
};

/// Bytes of a thread's lines that wait to be written at most; what comes beyond is dropped and counted.
const WAITING_MAX: usize = 4 << 20;
/// From this many on they are written at once: each write wakes two threads, and more than this would push what hits need out of the core's cache.
const ENOUGH: usize = 64 << 10;
/// Longest time that a line waits.
const PAUSE: Duration = Duration::from_millis(250);

/// The access log of a process. Clones write to the same file. Somebody must [run](Self::run) it.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Each thread's [lines](Line), as they wait.
    waiting: Sharded<Mutex<Vec<u8>>>,
    enough: Notify,
    dropped: AtomicU64,
    writer: Mutex<Writer>,
}

impl AccessLog {
    /// Opens `path` to append to it; `-` for standard output. Where the file is moved away, as log rotation does, a new one is begun.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(path: &Path, format: AccessFormat) -> std::io::Result<Self> {
        let writer = Mutex::new(Writer::open(path, format)?);
        let (waiting, enough, dropped) = (Sharded::new(Mutex::default), Notify::new(), AtomicU64::new(0));
        Ok(Self(Arc::new(Shared { waiting, enough, dropped, writer })))
    }

    /// Lines that were lost because they were written too slowly.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// What is to be written of a request, but for how it ends: what is told in time is in the core's cache, and need not be kept for it.
    pub(crate) fn note(request: &Finished<'_>) -> Noted {
        Line::of(request).note()
    }

    pub(crate) fn write(&self, request: &Finished<'_>) {
        self.ended(&Self::note(request), request.took, request.body_bytes);
    }

    /// Writes what was noted of a request that has ended.
    pub(crate) fn ended(&self, noted: &Noted, took: Duration, body_bytes: u64) {
        let mut waiting = self.0.waiting.at(Lane::mine()).lock();
        let before = waiting.len();
        if before >= WAITING_MAX {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        noted.ended(End { took, body_bytes }, &mut waiting);
        let is_enough = before < ENOUGH && waiting.len() >= ENOUGH;
        drop(waiting);
        if is_enough {
            self.0.enough.notify_one();
        }
    }

    /// Writes what waits, without end: spawn it, and drop it to stop.
    pub async fn run(&self) {
        loop {
            drop(tokio::time::timeout(PAUSE, self.0.enough.notified()).await);
            self.flush().await;
        }
    }

    /// Writes what waits now.
    pub async fn flush(&self) {
        if self.0.waiting.all().all(|waiting| waiting.lock().is_empty()) {
            return;
        }
        let shared = Arc::clone(&self.0);
        // The file may be on a disk that stands still.
        let written = tokio::task::spawn_blocking(move || {
            // One at a time, so that the lines of a thread stay in their order.
            let mut writer = shared.writer.lock();
            let mut lines = std::mem::take(&mut writer.spare);
            for waiting in shared.waiting.all() {
                std::mem::swap(&mut *waiting.lock(), &mut lines);
                let lost = writer.write(&lines);
                shared.dropped.fetch_add(lost, Ordering::Relaxed);
                // Its memory serves the next one.
                lines.clear();
            }
            writer.spare = lines;
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "the access log's writer ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::finished;

    #[tokio::test]
    async fn lines_are_written_in_order_and_a_file_that_was_moved_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let log = AccessLog::open(&path, AccessFormat::Combined).unwrap();
        log.write(&finished(1, "/first"));
        log.write(&finished(2, "/second"));
        log.flush().await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.find("/first").unwrap() < text.find("/second").unwrap(), "{text}");
        std::fs::rename(&path, &moved).unwrap();
        log.write(&finished(3, "/third"));
        log.flush().await;
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), text);
        assert!(std::fs::read_to_string(&path).unwrap().contains("/third"));
    }

    #[tokio::test]
    async fn what_is_too_much_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let log = AccessLog::open(&folder.path().join("access.log"), AccessFormat::Json).unwrap();
        let long = format!("/{}", "x".repeat(60_000));
        for id in 0..100 {
            log.write(&finished(id, &long));
        }
        assert!(log.dropped() > 0);
        let lost = log.dropped();
        log.flush().await;
        log.write(&finished(7, "/"));
        assert_eq!(log.dropped(), lost);
    }
}
