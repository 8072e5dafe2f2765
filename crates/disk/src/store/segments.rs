//! Entries on the disk, in segments: keyspaces of the engine, filled one after the other in a ring. Room is made by dropping the tables of
//! the oldest, which costs nothing but the removal of their files.
//!
//! Nothing goes through the engine's journal: tables are written whole and sorted, and are there or not. The ring is made once, because
//! the engine never forgets a keyspace that was made and deleted.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, LsmError, SeqNo, compaction::Leveled};
use parking_lot::{Mutex, RwLock};

use crate::DiskConfig;

/// Of the engine: index blocks, filters and what was read last.
const BLOCK_CACHE_BYTES: u64 = 4 << 20;
const OPEN_FILES_MAX: usize = 64;
/// Tables of a segment that are not merged yet, at which they are.
const TABLES_UNMERGED: u8 = 6;

/// Where a table tells the age of its segment: before every digest, and of another length.
const AGE: [u8; 1] = [0];

/// A segment that holds something.
#[derive(Clone)]
struct Segment {
    /// Higher in a younger one.
    age: u64,
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
    /// Opens what lies in `path`, or begins there.
    pub(crate) fn open(path: &Path, capacity_bytes: u64) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(BLOCK_CACHE_BYTES)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .worker_threads(1)
            .open()?;
        let (mut ring, mut filled) = (Vec::new(), Vec::new());
        for place in 0..DiskConfig::SEGMENTS {
            let keyspace = database.keyspace(&format!("segment-{place}"), options)?;
            match keyspace.get(AGE)?.and_then(|age| Some(u64::from_le_bytes(age[..].try_into().ok()?))) {
                Some(age) => filled.push(Segment { age, keyspace: keyspace.clone() }),
                // None but ours are written, and each says its age.
                None => clear(&keyspace)?,
            }
            ring.push(keyspace);
        }
        filled.sort_unstable_by_key(|segment| segment.age);
        let segment_bytes = capacity_bytes / DiskConfig::SEGMENTS;
        let budget_bytes = capacity_bytes - 3 * segment_bytes;
        let (filled, writer) = (RwLock::new(Arc::new(filled)), Mutex::new(()));
        Ok(Self { _database: database, ring, filled, writer, segment_bytes, budget_bytes })
    }

    /// The youngest value of `digest`.
    pub(super) fn get(&self, digest: u128) -> Result<Option<Bytes>, ReadError> {
        let filled = Arc::clone(&self.filled.read());
        for Segment { age, keyspace } in filled.iter().rev() {
            match keyspace.get(digest.to_be_bytes()) {
                Ok(Some(value)) => return Ok(Some(Bytes::copy_from_slice(&value))),
                Ok(None) => {}
                Err(source) if is_damage(&source) => return Err(ReadError::Damaged { age: *age, source }),
                Err(source) => return Err(ReadError::Refused(source)),
            }
        }
        Ok(None)
    }

    /// Writes `values`, in the order of their digests. They are on the disk when it returns. Returns how many others went because there
    /// was no segment free.
    pub(super) fn write(&self, values: impl IntoIterator<Item = (u128, Vec<u8>)>) -> fjall::Result<u64> {
        let _writing = self.writer.lock();
        let (segment, went) = self.current()?;
        let mut table = segment.keyspace.start_ingestion()?;
        table.write(AGE, segment.age.to_le_bytes())?;
        for (digest, value) in values {
            table.write(digest.to_be_bytes(), value)?;
        }
        table.finish()?;
        self.change(|filled| {
            if filled.last().is_none_or(|youngest| youngest.age < segment.age) {
                filled.push(segment);
            }
        });
        self.ring.iter().try_for_each(let_go)?;
        Ok(went)
    }

    /// The segment that is being filled, and how many values went for it.
    fn current(&self) -> fjall::Result<(Segment, u64)> {
        let youngest = self.filled.read().last().cloned();
        if let Some(youngest) = &youngest
            && youngest.keyspace.disk_space() < self.segment_bytes
        {
            return Ok((youngest.clone(), 0));
        }
        let free = |filled: &[Segment]| {
            let is_free = |keyspace: &&Keyspace| !filled.iter().any(|segment| segment.keyspace == **keyspace);
            self.ring.iter().find(is_free).cloned()
        };
        let age = youngest.map_or(0, |youngest| youngest.age + 1);
        let filled = Arc::clone(&self.filled.read());
        match (free(&filled), filled.first()) {
            (Some(keyspace), _) => Ok((Segment { age, keyspace }, 0)),
            (None, Some(oldest)) => Ok((Segment { age, keyspace: oldest.keyspace.clone() }, self.remove(oldest)?)),
            (None, None) => Err(fjall::Error::Unrecoverable),
        }
    }

    /// Drops the oldest segments until the rest keeps to the budget. Returns how many values went.
    pub(super) fn evict(&self) -> fjall::Result<u64> {
        let _writing = self.writer.lock();
        let mut went = 0;
        while self.used_bytes() > self.budget_bytes {
            let filled = Arc::clone(&self.filled.read());
            // The one that is being filled stays.
            let [oldest, _, ..] = &filled[..] else { break };
            went += self.remove(oldest)?;
        }
        Ok(went)
    }

    /// Drops the oldest segment, for a disk that is full. Returns how many values went.
    pub(super) fn give_way(&self) -> fjall::Result<u64> {
        let _writing = self.writer.lock();
        let oldest = self.filled.read().first().cloned();
        oldest.map_or(Ok(0), |oldest| self.remove(&oldest))
    }

    /// Drops a segment that is damaged.
    pub(super) fn discard(&self, age: u64) -> fjall::Result<()> {
        let _writing = self.writer.lock();
        let found = self.filled.read().iter().find(|segment| segment.age == age).cloned();
        found.map_or(Ok(()), |segment| self.remove(&segment).map(drop))
    }

    fn remove(&self, segment: &Segment) -> fjall::Result<u64> {
        let values = values(&segment.keyspace);
        self.change(|filled| filled.retain(|kept| kept.age != segment.age));
        clear(&segment.keyspace)?;
        Ok(values)
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
    // Each table holds its segment's age too.
    keyspace.approximate_len().saturating_sub(keyspace.table_count()) as u64
}

/// Drops all tables. Not by the engine's own `clear`, which goes through the journal, and is done again when that is read.
fn clear(keyspace: &Keyspace) -> fjall::Result<()> {
    keyspace.tree.drop_range::<&[u8], _>(..)?;
    let_go(keyspace)
}

/// Removes the files of tables that were merged into others, or dropped. Readers keep what they read: a file goes when the last is done.
///
/// The engine does so for all keyspaces when it rotates a journal, and for one when its tables are merged the next time. There is no
/// journal here, and a segment that is full is not merged again.
fn let_go(keyspace: &Keyspace) -> fjall::Result<()> {
    Ok(keyspace.tree.get_version_history_lock().maintenance(keyspace.path(), SeqNo::MAX)?)
}

fn options() -> KeyspaceCreateOptions {
    // A segment is small: its tables are merged into one run, which is all that a look-up has to ask of an older one.
    let strategy = Leveled::default().with_l0_threshold(TABLES_UNMERGED);
    KeyspaceCreateOptions::default().compaction_strategy(Arc::new(strategy))
}

/// Whether the bytes are wrong, and not the disk away.
fn is_damage(error: &fjall::Error) -> bool {
    use std::io::ErrorKind;
    match error {
        fjall::Error::Io(io) | fjall::Error::Storage(LsmError::Io(io)) => {
            matches!(io.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::NotFound)
        }
        fjall::Error::Poisoned | fjall::Error::Locked | fjall::Error::KeyspaceDeleted => false,
        _ => true,
    }
}

/// Whether there is no room on the disk.
pub(super) fn is_full(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Io(io) | fjall::Error::Storage(LsmError::Io(io)) => {
            matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}
