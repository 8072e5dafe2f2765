use std::{io, path::PathBuf};

use edge_cache_core::BoxError;

use crate::DiskConfigError;

/// Why the folder cannot be used, or a purge not be written down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// A setting breaks its rule: mend it.
    #[error(transparent)]
    Config(#[from] DiskConfigError),
    /// Another process uses the folder: give each its own.
    #[error("the folder {} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds what the cache did not put there: name an empty one.
    #[error("the folder {} holds other files ({}) and is no cache of ours: name an empty one", path.display(), found.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One of the files.
        found: PathBuf,
    },
    /// The system refused.
    #[error("the folder {} cannot be used", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The storage engine was refused what it needs, or refuses even an empty folder.
    #[error("the folder {} cannot hold entries", path.display())]
    Engine {
        /// The folder.
        path: PathBuf,
        /// What it said.
        source: BoxError,
    },
    /// A purge was not written down in time, or cannot be: it is not to be acknowledged.
    #[error("the purge is not on the disk")]
    NotKept {
        /// Why not.
        source: BoxError,
    },
}
