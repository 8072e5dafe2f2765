//! What memory held, as a file between two runs.
//!
//! Little endian: magic `ECSNAP`, version `u16`, `u8` 1 if the node was alone; then for each entry its hits `u32`, the length of its frame `u32` and the frame (the wire
//! format, with key, instants, fence and a checksum of its own), the hottest first; then 4 bytes of ones, the number of entries `u32`, and
//! xxh3-64 of all before. What does not end so was cut off, and is ignored as a whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use edge_cache_core::{CacheKey, Entry};
use edge_cache_wire::{decode_keyed, encode};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 6] = b"ECSNAP";
const VERSION: u16 = 1;
/// In place of hits: the end.
const END: u32 = u32::MAX;
/// Frames of at least this are compressed.
const COMPRESS_BYTES_MIN: u64 = 1024;
const HEAD: usize = MAGIC.len() + 3;
const TRAILER: usize = 4 + 4 + 8;

/// An entry, and how hot it is.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) key: CacheKey,
    pub(super) entry: Entry,
    pub(super) hits: u32,
}

/// Why a file is no snapshot to begin with.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    #[error("it is no snapshot, or of another version")]
    Foreign,
    #[error("it is damaged, or ends early")]
    Damaged,
    #[error("another process has it: give each its own")]
    InUse,
    #[error("it has {0} bytes, more than warm.snapshot_bytes_max allows")]
    TooLarge(u64),
}

/// A snapshot's place. While this process has it, no other reads or writes it.
#[derive(Debug)]
pub(super) struct Snapshot {
    path: PathBuf,
    bytes_max: u64,
    /// Most that what is read may weigh in memory.
    room: u64,
    /// Locked; `None` while another process has it.
    lock: Option<File>,
}

/// What was found there.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Whether it was written by a node alone: one that nobody's purges could have reached but its own.
    pub(super) is_alone: bool,
    /// The hottest first, behind what leads to variants.
    pub(super) kept: Vec<Kept>,
}

impl Snapshot {
    /// Takes the place, and what is in it: whatever is there is removed before anything is served, because nobody notes in it what is purged
    /// from here on.
    pub(super) fn take(path: PathBuf, bytes_max: u64, room: u64) -> (Self, Result<Contents, SnapshotError>) {
        let mut this = Self { path, bytes_max, room, lock: None };
        let contents =
            this.claim().and_then(|is_ours| if is_ours { this.contents() } else { Err(SnapshotError::InUse) });
        (this, contents)
    }

    /// Takes the place over once the process that had it has ended, and removes what that left: it has not seen this one's purges.
    pub(super) fn take_over(&mut self) {
        if self.lock.is_none()
            && self.claim().unwrap_or(false)
            && File::open(&self.path).is_ok_and(|mut file| is_ours(&mut file))
        {
            drop(fs::remove_file(&self.path));
        }
    }

    fn claim(&mut self) -> Result<bool, SnapshotError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let file = options.open(beside(&self.path, ".lock"))?;
        let is_ours = file.try_lock().is_ok();
        self.lock = is_ours.then_some(file);
        Ok(is_ours)
    }

    fn contents(&self) -> Result<Contents, SnapshotError> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
            file => file?,
        };
        let len = file.metadata()?.len();
        if !is_ours(&mut file) {
            // Somebody else's file is left where it is.
            return Err(SnapshotError::Foreign);
        }
        fs::remove_file(&self.path)?;
        if len > self.bytes_max {
            return Err(SnapshotError::TooLarge(len));
        }
        let mut all = MAGIC.to_vec();
        file.take(self.bytes_max).read_to_end(&mut all)?;
        read(&all.into(), self.room)
    }

    /// Writes `contents` beside the place, as many entries as fit.
    ///
    /// # Errors
    /// The file cannot be written, or another process or somebody else's file has the place.
    pub(super) fn write(&self, contents: Contents) -> io::Result<Written> {
        if self.lock.is_none() {
            let file = beside(&self.path, ".lock");
            let why = match File::open(&file) {
                Ok(_) => "another process has it".to_owned(),
                Err(error) => format!("{}: {error}", file.display()),
            };
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
        }
        if self.path.exists() && !is_ours(&mut File::open(&self.path)?) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no snapshot"));
        }
        let (out, count) = written(contents, self.bytes_max);
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        // What was stored for everybody on this service is still nobody else's on this machine.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = Written {
            aside: beside(&self.path, ".part"),
            path: self.path.clone(),
            entries: count as usize,
            bytes: out.len(),
        };
        let mut file = options.open(&written.aside)?;
        file.write_all(&out)?;
        file.sync_all()?;
        Ok(written)
    }
}

/// A snapshot that lies beside its place; dropped, it is gone.
#[derive(Debug)]
pub(super) struct Written {
    aside: PathBuf,
    path: PathBuf,
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

impl Written {
    /// Puts it in its place, in one step.
    ///
    /// # Errors
    /// It cannot be moved.
    pub(super) fn commit(self) -> io::Result<()> {
        fs::rename(&self.aside, &self.path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // After a commit there is nothing left.
        drop(fs::remove_file(&self.aside));
    }
}

/// Reads the magic.
fn is_ours(file: &mut File) -> bool {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).is_ok() && magic == *MAGIC
}

/// What a snapshot holds of it: as many entries as fit into `bytes_max`, and how many these are.
pub(super) fn written(contents: Contents, bytes_max: u64) -> (BytesMut, u32) {
    let Contents { is_alone, kept } = contents;
    let mut out = BytesMut::new();
    out.put_slice(MAGIC);
    out.put_u16_le(VERSION);
    out.put_u8(u8::from(is_alone));
    let mut count = 0_u32;
    for Kept { key, entry, hits } in kept {
        let frame = encode(&key, &entry, COMPRESS_BYTES_MIN);
        if (out.len() + 8 + frame.len() + TRAILER) as u64 > bytes_max {
            break;
        }
        out.put_u32_le(hits.min(END - 1));
        out.put_u32_le(u32::try_from(frame.len()).expect("a frame is far below 4 GiB"));
        out.put_slice(&frame);
        count += 1;
    }
    out.put_u32_le(END);
    out.put_u32_le(count);
    let checksum = xxh3_64(&out);
    out.put_u64_le(checksum);
    (out, count)
}

/// Reads what begins with the magic. What weighs more than `room` bytes together is left out, from the first entry on that does not fit:
/// a small file of compressed frames could else fill the machine's memory.
pub(super) fn read(all: &Bytes, room: u64) -> Result<Contents, SnapshotError> {
    if all.get(MAGIC.len()..MAGIC.len() + 2).is_some_and(|version| version != VERSION.to_le_bytes()) {
        return Err(SnapshotError::Foreign);
    }
    entries(all, room).ok_or(SnapshotError::Damaged)
}

fn entries(all: &Bytes, room: u64) -> Option<Contents> {
    let signed = all.len().checked_sub(8).filter(|signed| *signed >= HEAD)?;
    if xxh3_64(&all[..signed]) != u64::from_le_bytes(all[signed..].try_into().ok()?) {
        return None;
    }
    let mut rest = all.slice(HEAD - 1..signed);
    let is_alone = rest.try_get_u8().ok()? == 1;
    let (mut kept, mut count, mut left) = (Vec::new(), 0, room);
    loop {
        let hits = rest.try_get_u32_le().ok()?;
        let len = rest.try_get_u32_le().ok()? as usize;
        if hits == END {
            return (rest.is_empty() && len == count).then_some(Contents { is_alone, kept });
        }
        if len > rest.len() {
            return None;
        }
        let frame = rest.split_to(len);
        count += 1;
        if left == 0 {
            continue;
        }
        // Out of the one large block, which a single entry would else keep alive.
        let (key, entry) = decode_keyed(&Bytes::copy_from_slice(&frame), room).ok()?;
        left = left.saturating_sub(entry.weight_bytes(key.weight_bytes()) as u64);
        if left > 0 {
            kept.push(Kept { key, entry, hits });
        }
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use edge_cache_core::{
        Freshness, Head, KeyParts, Kind, PackedHeaders, TagHash, TagSet, Timestamp,
        marker::{Fence, Start},
    };
    use http::HeaderMap;

    use super::*;

    const MAX: u64 = 1 << 20;

    fn kept(path: &str, body: &str) -> Kept {
        let at = Timestamp::from_secs(1_700_000_000);
        let fence = Fence { incarnation: 7, seq: 8 };
        let text = (http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
        let head = Head {
            kind: Kind::Response,
            status: http::StatusCode::OK,
            headers: PackedHeaders::pack(&HeaderMap::from_iter([text])),
            freshness: Freshness {
                born: at,
                stored: at,
                fresh_until: at,
                revalidate_until: at,
                error_until: at,
                stale_allowed: true,
            },
            fence,
            tags: TagSet::from_hashes(vec![TagHash::all()]),
            fill_millis: 3,
        };
        let key = CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path, query: "" });
        Kept { key, entry: Entry::new(head, Bytes::from(body.to_owned()), Start::promoted(fence)), hits: 5 }
    }

    fn all() -> Contents {
        Contents { is_alone: true, kept: vec![kept("/a", "body"), kept("/b", &"long ".repeat(1_000)), kept("/c", "")] }
    }

    fn one() -> Contents {
        Contents { is_alone: false, kept: vec![kept("/a", "body")] }
    }

    fn write(path: &Path, contents: Contents, bytes_max: u64) -> io::Result<(usize, usize)> {
        let (place, _) = Snapshot::take(path.to_owned(), bytes_max, MAX);
        let written = place.write(contents)?;
        let what = (written.entries, written.bytes);
        written.commit()?;
        Ok(what)
    }

    fn take(path: &Path, bytes_max: u64) -> Result<Contents, SnapshotError> {
        Snapshot::take(path.to_owned(), bytes_max, MAX).1
    }

    #[test]
    fn what_is_written_comes_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        assert!(take(&path, MAX).unwrap().kept.is_empty());
        assert_eq!(write(&path, all(), MAX).unwrap().0, 3);
        let Contents { is_alone, kept: back } = take(&path, MAX).unwrap();
        let same = |(a, b): (&Kept, &Kept)| {
            a.key == b.key && a.entry.head() == b.entry.head() && a.entry.body() == b.entry.body() && a.hits == b.hits
        };
        assert!(is_alone && back.len() == 3 && back.iter().zip(&all().kept).all(same));
        assert!(take(&path, MAX).unwrap().kept.is_empty(), "it is good for one start");
        write(&path, one(), MAX).unwrap();
        assert!(!take(&path, MAX).unwrap().is_alone);
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["snapshot.lock"], "nothing else is left lying about");
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let (place, _) = Snapshot::take(path.clone(), MAX, MAX);
        drop(place.write(all()).unwrap());
        assert!(!path.exists() && !beside(&path, ".part").exists());
    }

    #[test]
    fn one_process_has_it_and_the_next_forgets_what_that_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let (old, _) = Snapshot::take(path.clone(), MAX, MAX);
        let (mut new, found) = Snapshot::take(path.clone(), MAX, MAX);
        assert!(matches!(found, Err(SnapshotError::InUse)) && new.write(all()).is_err());
        new.take_over();
        old.write(all()).unwrap().commit().unwrap();
        drop(old);
        new.take_over();
        assert!(!path.exists(), "it does not know what the new one purged");
        new.write(one()).unwrap().commit().unwrap();
        drop(new);
        assert_eq!(take(&path, MAX).unwrap().kept.len(), 1);
    }

    #[test]
    fn it_is_bounded_and_the_hottest_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let len = write(&path, one(), MAX).unwrap().1 as u64;
        assert_eq!(write(&path, all(), len).unwrap().0, 1);
        assert_eq!(take(&path, len).unwrap().kept[0].key.parts().path, "/a");
        write(&path, all(), MAX).unwrap();
        assert!(matches!(take(&path, len), Err(SnapshotError::TooLarge(_))));
    }

    #[test]
    fn what_is_read_is_bounded_by_what_memory_takes() {
        let large = || kept("/b", &"long ".repeat(1_000));
        let contents = || Contents { is_alone: true, kept: vec![kept("/a", "body"), large(), large(), kept("/c", "")] };
        let all = written(contents(), MAX).0.freeze();
        let weight = |kept: &Kept| kept.entry.weight_bytes(kept.key.weight_bytes()) as u64;
        let room: u64 = contents().kept[..2].iter().map(weight).sum::<u64>() + 1;
        assert!((all.len() as u64) < room, "compressed, all of it is smaller than two of its entries are");
        let paths = |contents: &Contents| -> Vec<_> {
            contents.kept.iter().map(|kept| kept.key.parts().path.to_owned()).collect()
        };
        assert_eq!(paths(&read(&all, room).unwrap()), ["/a", "/b"]);
        assert_eq!(paths(&read(&all, MAX).unwrap()), ["/a", "/b", "/b", "/c"]);
        assert!(read(&all, 0).unwrap().kept.is_empty());
    }

    #[test]
    fn whatever_is_damaged_is_ignored_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        write(&path, all(), MAX).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in (HEAD - 1..whole.len()).step_by(7) {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(take(&path, MAX), Err(SnapshotError::Damaged)), "cut at {cut}");
        }
        for at in (HEAD - 1..whole.len()).step_by(5) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert!(matches!(take(&path, MAX), Err(SnapshotError::Damaged)), "a bit of byte {at}");
        }
    }

    #[test]
    fn somebody_else_s_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        for text in ["", "short", "not a snapshot at all"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(take(&path, MAX), Err(SnapshotError::Foreign)));
            assert!(write(&path, all(), MAX).is_err(), "nor is it replaced");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        write(&path, all(), MAX).unwrap();
        let mut newer = fs::read(&path).unwrap();
        newer[6] = 2;
        fs::write(&path, newer).unwrap();
        assert!(matches!(take(&path, MAX), Err(SnapshotError::Foreign)), "of another version");
    }
}
