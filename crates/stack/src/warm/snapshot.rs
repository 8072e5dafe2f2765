//! What memory held, as a file between two runs.
//!
//! Little endian: magic `ECSNAP`, version `u16`; then for each entry its hits `u32`, the length of its frame `u32` and the frame (the wire
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
const HEAD: usize = MAGIC.len() + 2;
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
    #[error("it has {0} bytes, more than warm.snapshot_bytes_max allows")]
    TooLarge(u64),
}

/// Writes `entries` to `path`, as many as fit `bytes_max`, in place of what is there. Tells how many, and their bytes.
///
/// # Errors
/// The file cannot be written, or is not ours to replace; what was there is left then.
pub(super) fn write(
    path: &Path,
    entries: impl IntoIterator<Item = Kept>,
    bytes_max: u64,
) -> io::Result<(usize, usize)> {
    if path.exists() && !is_ours(&mut File::open(path)?) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no snapshot"));
    }
    let mut out = BytesMut::new();
    out.put_slice(MAGIC);
    out.put_u16_le(VERSION);
    let mut count = 0_u32;
    for Kept { key, entry, hits } in entries {
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
    // Aside and then in one step: whoever is killed meanwhile leaves no half of it.
    let aside = aside(path);
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true);
    // What was stored for everybody on this service is still nobody else's on this machine.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(&out)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    Ok((count as usize, out.len()))
}

/// Reads `path` and removes it: nobody knows what is purged from here on, so it is good for one start. `None` where there is none.
///
/// # Errors
/// See [`SnapshotError`].
pub(super) fn take(path: &Path, bytes_max: u64) -> Result<Option<Vec<Kept>>, SnapshotError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let len = file.metadata()?.len();
    if !is_ours(&mut file) {
        // Somebody else's file is left where it is.
        return Err(SnapshotError::Foreign);
    }
    fs::remove_file(path)?;
    if len > bytes_max {
        return Err(SnapshotError::TooLarge(len));
    }
    let mut all = MAGIC.to_vec();
    file.take(bytes_max).read_to_end(&mut all)?;
    if all.get(MAGIC.len()..HEAD).is_some_and(|version| version != VERSION.to_le_bytes()) {
        return Err(SnapshotError::Foreign);
    }
    read(&all.into(), bytes_max).map(Some).ok_or(SnapshotError::Damaged)
}

/// Reads the magic.
fn is_ours(file: &mut File) -> bool {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).is_ok() && magic == *MAGIC
}

fn read(all: &Bytes, bytes_max: u64) -> Option<Vec<Kept>> {
    let signed = all.len().checked_sub(8)?;
    if xxh3_64(&all[..signed]) != u64::from_le_bytes(all[signed..].try_into().ok()?) {
        return None;
    }
    let mut rest = all.slice(HEAD.min(signed)..signed);
    let mut kept = Vec::new();
    loop {
        let hits = rest.try_get_u32_le().ok()?;
        let len = rest.try_get_u32_le().ok()? as usize;
        if hits == END {
            return (rest.is_empty() && len == kept.len()).then_some(kept);
        }
        if len > rest.len() {
            return None;
        }
        // Out of the one large block, which a single entry would else keep alive.
        let frame = Bytes::copy_from_slice(&rest.split_to(len));
        let (key, entry) = decode_keyed(&frame, bytes_max).ok()?;
        kept.push(Kept { key, entry, hits });
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

#[cfg(test)]
mod tests {
    use edge_cache_core::{
        Freshness, Head, KeyParts, Kind, PackedHeaders, TagHash, TagSet, Timestamp,
        marker::{Fence, Start},
    };

    use super::*;

    const MAX: u64 = 1 << 20;

    fn kept(path: &str, body: &str) -> Kept {
        let at = Timestamp::from_secs(1_700_000_000);
        let fence = Fence { incarnation: 7, seq: 8 };
        let head = Head {
            kind: Kind::Response,
            status: http::StatusCode::OK,
            headers: PackedHeaders::default(),
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
        Kept { key, entry: Entry::new(head.into(), Bytes::from(body.to_owned()), Start::promoted(fence)), hits: 5 }
    }

    fn all() -> Vec<Kept> {
        vec![kept("/a", "body"), kept("/b", &"long ".repeat(1_000)), kept("/c", "")]
    }

    #[test]
    fn what_is_written_comes_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        assert!(take(&path, MAX).unwrap().is_none());
        assert_eq!(write(&path, all(), MAX).unwrap().0, 3);
        let back = take(&path, MAX).unwrap().unwrap();
        let same = |(a, b): (&Kept, &Kept)| {
            a.key == b.key && a.entry.head() == b.entry.head() && a.entry.body() == b.entry.body() && a.hits == b.hits
        };
        assert!(back.len() == 3 && back.iter().zip(&all()).all(same));
        assert!(take(&path, MAX).unwrap().is_none(), "it is good for one start");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left lying about");
    }

    #[test]
    fn it_is_bounded_and_the_hottest_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        let one = write(&path, [kept("/a", "body")], MAX).unwrap().1 as u64;
        assert_eq!(write(&path, all(), one).unwrap().0, 1);
        let back = take(&path, one).unwrap().unwrap();
        assert_eq!(back[0].key.parts().path, "/a");
        write(&path, all(), MAX).unwrap();
        assert!(matches!(take(&path, one), Err(SnapshotError::TooLarge(_))));
    }

    #[test]
    fn whatever_is_damaged_is_ignored_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        write(&path, all(), MAX).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in (HEAD..whole.len()).step_by(7) {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(take(&path, MAX), Err(SnapshotError::Damaged)), "cut at {cut}");
        }
        for at in (HEAD..whole.len()).step_by(5) {
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
