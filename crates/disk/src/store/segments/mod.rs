//! Entries on the disk, in segments: keyspaces of the engine, filled one after the other in a ring. Room is made by dropping the tables of
//! the oldest, which costs nothing but the removal of their files.
//!
//! Segments go from the oldest on, always, and one whose tables could not be dropped stays listed: else a value would come back that a
//! younger one had replaced.
//!
//! Nothing goes through the engine's journal: tables are written whole and sorted, and are there or not. The ring is made once, because
//! the engine never forgets a keyspace that was made and deleted.

mod engine;
mod label;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_core::Timestamp;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use parking_lot::{Mutex, RwLock};

pub(crate) use self::engine::{is_damage, is_full};
use self::{
    engine::{clear, ingest, let_go, merge},
    label::Label,
};
use crate::DiskConfig;

/// Of the engine: index blocks, filters and what was read last.
const BLOCK_CACHE_BYTES: u64 = 4 << 20;
const OPEN_FILES_MAX: usize = 64;
/// Tables of a segment, at which no more come: many mean that it could not be merged.
const TABLES_MAX: usize = 12;
/// What a clock may be behind the one that a table was written by.
const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(60);

/// A segment that holds something.
#[derive(Clone)]
struct Segment {
    /// Of its newest table.
    label: Label,
    keyspace: Keyspace,
}

/// All segments.
pub(crate) struct Segments {
    _database: Database,
    ring: Vec<Keyspace>,
    /// Those that hold something, the oldest first.
    filled: RwLock<Arc<Vec<Segment>>>,
    /// Who changes the list, or writes into the youngest.
    writer: Mutex<()>,
    segment_bytes: u64,
    /// What the tables may occupy together. The rest of the capacity is for a segment that is being merged, and for what was merged or
    /// dropped and is not let go of yet.
    budget_bytes: u64,
}

/// Why a segment gave no answer.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The disk, or the system, refused.
    Refused(fjall::Error),
    /// This segment holds what the engine did not write.
    Damaged { age: u64, source: fjall::Error },
}

impl Segments {
    /// Opens what lies in `path`, or begins there. What was written after `now` goes, and what is older than that: by a clock that was set
    /// back, entries whose time is over would be fresh once more.
    pub(crate) fn open(path: &Path, capacity_bytes: u64, now: Timestamp) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_cached_files(Some(OPEN_FILES_MAX))
            // Nothing is left to it, see `merge`.
            .worker_threads_unchecked(0)
            .open()?;
        let (mut ring, mut filled) = (Vec::new(), Vec::new());
        for place in 0..DiskConfig::SEGMENTS {
            let keyspace = database.keyspace(&format!("segment-{place}"), KeyspaceCreateOptions::default)?;
            match keyspace.get(label::KEY)?.and_then(|bytes| Label::from_bytes(&bytes)) {
                Some(label) => filled.push(Segment { label, keyspace: keyspace.clone() }),
                // None but ours are written, and each says its age.
                None => make_empty(&keyspace)?,
            }
            ring.push(keyspace);
        }
        filled.sort_unstable_by_key(|segment| segment.label.age);
        let segment_bytes = capacity_bytes / DiskConfig::SEGMENTS;
        let budget_bytes = capacity_bytes - 3 * segment_bytes;
        let (filled, writer) = (RwLock::new(Arc::new(filled)), Mutex::new(()));
        let segments = Self { _database: database, ring, filled, writer, segment_bytes, budget_bytes };
        segments.drop_later_than(now + CLOCK_BEHIND_MAX)?;
        Ok(segments)
    }

    fn drop_later_than(&self, latest: Timestamp) -> fjall::Result<()> {
        let filled = Arc::clone(&self.filled.read());
        let Some(last) = filled.iter().rfind(|segment| segment.label.written > latest) else { return Ok(()) };
        tracing::warn!(
            segment = last.label.age,
            "the clock was set back: what the disk tier holds from after now goes"
        );
        self.remove_up_to(last.label.age).map(drop)
    }

    /// The highest number that the order's file held, by what the tables know.
    pub(crate) fn seq(&self) -> u64 {
        self.filled.read().iter().map(|segment| segment.label.seq).max().unwrap_or(0)
    }

    /// The youngest value of `digest`.
    pub(super) fn get(&self, digest: u128) -> Result<Option<Bytes>, ReadError> {
        let filled = Arc::clone(&self.filled.read());
        for Segment { label, keyspace } in filled.iter().rev() {
            match keyspace.get(digest.to_be_bytes()) {
                Ok(Some(value)) => return Ok(Some(Bytes::copy_from_slice(&value))),
                Ok(None) => {}
                Err(source) if is_damage(&source) => return Err(ReadError::Damaged { age: label.age, source }),
                Err(source) => return Err(ReadError::Refused(source)),
            }
        }
        Ok(None)
    }

    /// Writes `values`, in the order of their digests, and `seq`, which the order's file holds. They are on the disk when it returns.
    /// Returns how many others went because there was no segment free.
    ///
    /// # Errors
    /// What the disk says: nothing of them is kept then.
    pub(super) fn write(
        &self,
        values: impl IntoIterator<Item = (u128, Vec<u8>)>,
        seq: u64,
        now: Timestamp,
    ) -> fjall::Result<u64> {
        let _writing = self.writer.lock();
        let (mut segment, went) = self.current()?;
        let Label { age, seq: before, written } = segment.label;
        segment.label = Label { age, seq: seq.max(before), written: now.max(written) };
        let values = values.into_iter().map(|(digest, value)| (digest.to_be_bytes().to_vec(), value));
        let label = (label::KEY.to_vec(), segment.label.to_bytes());
        ingest(&segment.keyspace, std::iter::once(label).chain(values))?;
        self.change(|filled| {
            filled.retain(|kept| kept.label.age != age);
            filled.push(segment);
        });
        Ok(went)
    }

    /// The segment that is being filled, and how many values went for it.
    fn current(&self) -> fjall::Result<(Segment, u64)> {
        let filled = Arc::clone(&self.filled.read());
        let youngest = filled.last();
        if let Some(youngest) = youngest
            && youngest.keyspace.disk_space() < self.segment_bytes
            && youngest.keyspace.table_count() < TABLES_MAX
        {
            return Ok((youngest.clone(), 0));
        }
        let age = youngest.map_or(0, |youngest| youngest.label.age + 1);
        let label = Label { age, seq: 0, written: Timestamp::from_millis(i64::MIN) };
        let is_free = |keyspace: &&Keyspace| !filled.iter().any(|segment| segment.keyspace == **keyspace);
        match (self.ring.iter().find(is_free), filled.first()) {
            (Some(keyspace), _) => {
                make_empty(keyspace)?;
                Ok((Segment { label, keyspace: keyspace.clone() }, 0))
            }
            (None, Some(oldest)) => {
                let went = self.remove_up_to(oldest.label.age)?;
                Ok((Segment { label, keyspace: oldest.keyspace.clone() }, went))
            }
            (None, None) => Err(fjall::Error::Unrecoverable),
        }
    }

    /// Merges the tables of the segment that is being filled if there are many, and lets go of those that were merged. One that is damaged
    /// goes instead; returns whether it did.
    ///
    /// # Errors
    /// What the disk says: the tables stay as they are.
    pub(super) fn merge(&self) -> fjall::Result<bool> {
        let _writing = self.writer.lock();
        let Some(youngest) = self.filled.read().last().cloned() else { return Ok(false) };
        let is_damaged = match merge(&youngest.keyspace) {
            Ok(()) => false,
            Err(error) if is_damage(&error) => {
                tracing::warn!(segment = youngest.label.age, %error, "part of the disk tier is damaged and goes");
                self.remove_up_to(youngest.label.age)?;
                true
            }
            Err(error) => return Err(error),
        };
        self.ring.iter().try_for_each(let_go)?;
        Ok(is_damaged)
    }

    /// Drops the oldest segments until the rest keeps to the budget. Returns how many values went.
    ///
    /// # Errors
    /// What the disk says: what is there stays.
    pub(super) fn evict(&self) -> fjall::Result<u64> {
        let _writing = self.writer.lock();
        let mut went = 0;
        while self.used_bytes() > self.budget_bytes {
            let filled = Arc::clone(&self.filled.read());
            // The one that is being filled stays.
            let [oldest, _, ..] = &filled[..] else { break };
            went += self.remove_up_to(oldest.label.age)?;
        }
        Ok(went)
    }

    /// Drops the oldest segment, for a disk that is full. Returns how many values went.
    ///
    /// # Errors
    /// What the disk says: even this needs a little room.
    pub(super) fn give_way(&self) -> fjall::Result<u64> {
        let _writing = self.writer.lock();
        let oldest = self.filled.read().first().map(|oldest| oldest.label.age);
        oldest.map_or(Ok(0), |oldest| self.remove_up_to(oldest))
    }

    /// Drops a segment that is damaged, and those before it.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn discard(&self, age: u64) -> fjall::Result<()> {
        let _writing = self.writer.lock();
        self.remove_up_to(age).map(drop)
    }

    /// Drops the oldest segments, up to the one of `age`. Returns how many values went.
    fn remove_up_to(&self, age: u64) -> fjall::Result<u64> {
        let mut went = 0;
        let filled = Arc::clone(&self.filled.read());
        for Segment { label, keyspace } in filled.iter().filter(|segment| segment.label.age <= age) {
            let values = values(keyspace);
            // Before it leaves the list: a keyspace that is not listed is filled anew, over what is left in it.
            clear(keyspace)?;
            self.change(|filled| filled.retain(|kept| kept.label.age != label.age));
            went += values;
        }
        Ok(went)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Segment>)) {
        let mut filled = Vec::clone(&self.filled.read());
        change(&mut filled);
        *self.filled.write() = Arc::new(filled);
    }

    /// Values kept, those that a younger one replaced among them until their segment is merged or goes.
    pub(super) fn values(&self) -> u64 {
        self.ring.iter().map(values).sum()
    }

    /// Bytes of all tables.
    pub(super) fn used_bytes(&self) -> u64 {
        self.ring.iter().map(|keyspace| keyspace.disk_space()).sum()
    }
}

fn values(keyspace: &Keyspace) -> u64 {
    // Each table holds its segment's label too.
    keyspace.approximate_len().saturating_sub(keyspace.table_count()) as u64
}

/// Drops what is in a keyspace that no segment names.
fn make_empty(keyspace: &Keyspace) -> fjall::Result<()> {
    // Not if there is nothing: it writes, which a full disk refuses.
    if keyspace.table_count() == 0 { Ok(()) } else { clear(keyspace) }
}
