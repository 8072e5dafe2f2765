//! Room that is kept for the moment when there is none.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
};

/// Dropping tables writes a list of those that stay: some KiB, and what the file system needs for itself.
const BYTES: usize = 1 << 20;

/// A file that is given up before tables are dropped on a full disk, and made again when there is room.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// The one at `path`, made if there is room.
    pub(crate) fn at(path: PathBuf) -> Self {
        let reserve = Self { path };
        reserve.restore();
        reserve
    }

    /// Makes the file again, if it is not whole. On a disk that is full there is none.
    pub(crate) fn restore(&self) {
        if fs::metadata(&self.path).is_ok_and(|found| found.len() == BYTES as u64) {
            return;
        }
        if let Err(error) = self.write() {
            tracing::debug!(%error, "no room for the disk tier's reserve");
            self.release();
        }
    }

    fn write(&self) -> io::Result<()> {
        // Bytes that no file system keeps in less room than they take.
        let mut bytes = vec![0; BYTES];
        rand::fill(&mut bytes[..]);
        let mut file = File::create(&self.path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    }

    /// Gives its room back.
    pub(crate) fn release(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the disk tier's reserve cannot be given up");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_occupies_what_it_promises_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let occupied = || fs::metadata(&path).map_or(0, |found| found.blocks() * 512);
        let reserve = Reserve::at(path.clone());
        assert!(occupied() >= BYTES as u64, "{}", occupied());
        reserve.release();
        reserve.release();
        assert_eq!(occupied(), 0);
        fs::write(&path, "cut off").unwrap();
        reserve.restore();
        assert!(occupied() >= BYTES as u64);
    }
}
