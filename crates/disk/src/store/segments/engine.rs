//! What is done to the engine's tables from outside, by its insides: so its version is pinned.

use std::{
    error::Error,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use fjall::{Keyspace, SeqNo};
use lsm_tree::{AbstractTree, Error as LsmError, compaction::Leveled};

/// Tables of a segment that are not merged yet, at which they are.
const TABLES_UNMERGED: u8 = 6;

/// Drops all tables. Not by the keyspace's own `clear`, which goes through the journal, and is done again when that is read.
///
/// # Errors
/// What the disk says: a full one too, because a shorter list of tables is a new file. The tables are then still there.
pub(super) fn clear(keyspace: &Keyspace) -> fjall::Result<()> {
    keyspace.tree.drop_range::<&[u8], _>(..)?;
    if keyspace.table_count() > 0 {
        // Hidden for ever, by a merge that panicked.
        let first = keyspace.tree.current_version().iter_tables().map(lsm_tree::Table::id).min().unwrap_or(0);
        keyspace.tree.clear()?;
        sweep(keyspace, first);
    }
    let_go(keyspace)
}

/// Removes the files of tables that were merged into others, or dropped. Readers keep what they read: a file goes when the last is done.
///
/// The engine does so for all keyspaces when it rotates a journal, and for one when its tables are merged the next time. There is no
/// journal here, and a segment that is full is not merged again.
pub(super) fn let_go(keyspace: &Keyspace) -> fjall::Result<()> {
    Ok(keyspace.tree.get_version_history_lock().maintenance(keyspace.path(), SeqNo::MAX)?)
}

/// Writes one table of `pairs`, which must rise.
pub(super) fn ingest(keyspace: &Keyspace, pairs: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> fjall::Result<()> {
    let first = keyspace.tree.next_table_id();
    let write = || {
        let mut table = keyspace.start_ingestion()?;
        pairs.into_iter().try_for_each(|(key, value)| table.write(key, value))?;
        table.finish()
    };
    write().inspect_err(|_| sweep(keyspace, first))
}

/// Merges tables if there are enough of them. Not by the engine's worker: that one ends for good at its first error, and tells nobody.
pub(super) fn merge(keyspace: &Keyspace) -> fjall::Result<()> {
    let first = keyspace.tree.next_table_id();
    // A segment is small: its tables are merged into one run, which is all that a look-up has to ask of an older one.
    let strategy = Arc::new(Leveled::default().with_l0_threshold(TABLES_UNMERGED));
    // The engine panics at some kinds of damage.
    let merged = catch_unwind(AssertUnwindSafe(|| keyspace.tree.compact(strategy, SeqNo::MAX)));
    match merged {
        Ok(merged) => merged.map_err(fjall::Error::from).inspect_err(|_| sweep(keyspace, first)),
        Err(_) => Err(fjall::Error::Unrecoverable),
    }
}

/// Removes the files of tables from `first` on that no version names: what a failure leaves, and the engine forgets until it is opened
/// again. Only who holds the lock on writing may call it, or it takes what another just makes.
fn sweep(keyspace: &Keyspace, first: u64) {
    let version = keyspace.tree.current_version();
    for id in first..keyspace.tree.next_table_id() {
        if version.iter_tables().all(|table| table.id() != id) {
            let path = keyspace.path().join("tables").join(id.to_string());
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(file = %path.display(), %error, "what a failed write left cannot be removed");
            }
        }
    }
}

/// Whether the bytes are wrong, and not the disk away.
pub(crate) fn is_damage(error: &fjall::Error) -> bool {
    use io::ErrorKind;
    match error {
        fjall::Error::Io(io) | fjall::Error::Storage(LsmError::Io(io)) => {
            // Already there: what names it is gone. An invalid argument: a place before the beginning of a file.
            matches!(
                io.kind(),
                ErrorKind::UnexpectedEof
                    | ErrorKind::InvalidData
                    | ErrorKind::InvalidInput
                    | ErrorKind::NotFound
                    | ErrorKind::AlreadyExists
            )
        }
        fjall::Error::Poisoned | fjall::Error::Locked | fjall::Error::KeyspaceDeleted => false,
        _ => true,
    }
}

/// Whether there is no room on the disk.
pub(crate) fn is_full(error: &(dyn Error + 'static)) -> bool {
    let is_full = |io: &io::Error| matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(is_full) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use edge_cache_core::BoxError;

    use super::*;

    #[test]
    fn what_the_system_lacks_is_no_damage() {
        let io = |kind| fjall::Error::Storage(LsmError::Io(io::Error::from(kind)));
        assert!(is_damage(&fjall::Error::Unrecoverable));
        assert!(is_damage(&io(io::ErrorKind::UnexpectedEof)));
        for kind in [io::ErrorKind::OutOfMemory, io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied] {
            assert!(!is_damage(&io(kind)), "{kind}");
        }
        // EMFILE and EIO have no kind of their own.
        for code in [24, 5] {
            assert!(!is_damage(&fjall::Error::Io(io::Error::from_raw_os_error(code))));
        }
    }

    #[test]
    fn a_full_disk_is_seen_through_every_wrap() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let wrapped: [BoxError; 3] =
            [full().into(), fjall::Error::Io(full()).into(), fjall::Error::Storage(LsmError::Io(full())).into()];
        assert!(wrapped.iter().all(|error| is_full(&**error)));
        assert!(!is_full(&fjall::Error::Unrecoverable));
    }
}
