//! The folder: whose it is, and what lies in it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::DiskError;

/// Says that the folder is ours, and which version of the format it is.
const VERSION_FILE: &str = "edge-cache-disk.version";
/// Raise it when something in the folder changes its meaning: other versions are begun anew.
const VERSION: &str = "2\n";
const LOCK_FILE: &str = "edge-cache-disk.lock";
const ENTRIES: &str = "entries";
const ORDER: &str = "order";
const RESERVE: &str = "reserve";

/// The folder of one cache, held by this process for as long as this lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked; the system lets go of it when the process ends, however that is.
    _lock: File,
}

impl Folder {
    /// Takes the folder at `path`, and makes it if it is not there, for nobody else to look into. What it holds of another version is removed.
    pub(crate) fn take(path: &Path) -> Result<Self, DiskError> {
        let fail = |source| DiskError::Io { path: path.to_owned(), source };
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(fail)?;
        }
        // What is cached may be meant for few. The access to a folder that is there already is its owner's choice.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?;
        if let Some(found) = foreign(path).map_err(fail)? {
            return Err(DiskError::Foreign { path: path.to_owned(), found });
        }
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK_FILE)).map_err(fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DiskError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.check_version().map_err(fail)?;
        Ok(folder)
    }

    fn check_version(&self) -> io::Result<()> {
        let file = self.path.join(VERSION_FILE);
        match fs::read(&file) {
            Ok(version) if version == VERSION.as_bytes() => return Ok(()),
            Ok(_) => {
                tracing::warn!(folder = %self.path.display(), "disk tier begun anew: its files are of another version");
                self.empty()?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut written = File::create(&file)?;
        written.write_all(VERSION.as_bytes())?;
        written.sync_all()?;
        sync_folder(&self.path)
    }

    /// Removes entries and order, and nothing else.
    ///
    /// Entries first: if this is cut short, the order of before still judges what is left of them.
    pub(crate) fn empty(&self) -> io::Result<()> {
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(fs::remove_dir_all(self.entries()))?;
        gone(fs::remove_file(self.order()))?;
        sync_folder(&self.path)
    }

    /// Where the entries are.
    pub(crate) fn entries(&self) -> PathBuf {
        self.path.join(ENTRIES)
    }

    /// Room for the moment when there is none.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.path.join(RESERVE)
    }

    /// The file that keeps the order of purges.
    pub(crate) fn order(&self) -> PathBuf {
        self.path.join(ORDER)
    }
}

/// A file that the cache did not put into a folder that does not say it is ours.
fn foreign(path: &Path) -> io::Result<Option<PathBuf>> {
    if path.join(VERSION_FILE).try_exists()? {
        return Ok(None);
    }
    for found in fs::read_dir(path)? {
        let name = found?.file_name();
        // The lock is taken before the version is written.
        if name != LOCK_FILE {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

/// Makes names in the folder as durable as the files.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/on/the/way");
        let taken = Folder::take(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o077;
        assert_eq!(mode(&path), 0);
        let refused = Folder::take(&path).unwrap_err();
        assert!(matches!(refused, DiskError::InUse { .. }));
        assert!(refused.to_string().contains("made/on/the/way"), "{refused}");
        drop(taken);
        Folder::take(&path).unwrap();
    }

    #[test]
    fn a_folder_of_others_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "years").unwrap();
        let refused = Folder::take(dir.path()).unwrap_err();
        assert!(matches!(&refused, DiskError::Foreign { found, .. } if found.as_os_str() == "thesis.txt"), "{refused}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was added");
    }

    #[test]
    fn another_version_is_begun_anew_and_strangers_stay() {
        let dir = tempfile::tempdir().unwrap();
        drop(Folder::take(dir.path()).unwrap());
        fs::create_dir(dir.path().join(ENTRIES)).unwrap();
        fs::write(dir.path().join(ORDER), "of before").unwrap();
        fs::write(dir.path().join("thesis.txt"), "years").unwrap();
        drop(Folder::take(dir.path()).unwrap());
        assert!(dir.path().join(ORDER).exists(), "the same version stays");
        fs::write(dir.path().join(VERSION_FILE), "1\n").unwrap();
        let folder = Folder::take(dir.path()).unwrap();
        assert!(!folder.order().exists() && !folder.entries().exists());
        assert!(dir.path().join("thesis.txt").exists());
        assert_eq!(fs::read(dir.path().join(VERSION_FILE)).unwrap(), VERSION.as_bytes());
    }
}
