//! The file that keeps the order: grown record by record, and written anew when it has grown too far.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::folder::sync_folder;

/// An order's file, open at its end.
#[derive(Debug)]
pub(super) struct OrderFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl OrderFile {
    /// What the file at `path` holds; `None` if there is none.
    pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
        match File::open(path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Goes on at the end of the whole records in `path`.
    pub(super) fn resume(path: &Path, whole_bytes: usize) -> io::Result<Self> {
        let bytes = whole_bytes as u64;
        let file = File::options().append(true).open(path)?;
        if file.metadata()?.len() != bytes {
            file.set_len(bytes)?;
        }
        // What is gone on from must be there after a loss of power too.
        file.sync_all()?;
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    /// Puts a file that holds `contents` in the place of the one at `path`, if there is one: whoever opens it finds the one or the other.
    pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<Self> {
        let new = path.with_extension("new");
        // Appending from the start: it goes on under its final name.
        let mut file = File::options().create(true).append(true).open(&new)?;
        file.set_len(0)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(folder) = path.parent() {
            sync_folder(folder)?;
        }
        Ok(Self { path: path.to_owned(), file, bytes: contents.len() as u64 })
    }

    /// Appends `records`; they are on the disk when it returns. After an error nothing is known of the file: [`renew`](Self::renew) it.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.file.write_all(records)?;
        self.file.sync_data()?;
        self.bytes += records.len() as u64;
        Ok(())
    }

    /// Begins the file anew with `contents`.
    pub(super) fn renew(&mut self, contents: &[u8]) -> io::Result<()> {
        *self = Self::replace(&self.path, contents)?;
        Ok(())
    }

    /// One that cannot be appended to.
    #[cfg(test)]
    pub(super) fn read_only(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::open(path)?, bytes: 0 })
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}
