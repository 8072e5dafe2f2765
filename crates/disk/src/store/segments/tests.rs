use std::fs;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Every write fills a segment of its own.
fn tiny(path: &Path) -> Segments {
    Segments::open(path, DiskConfig::SEGMENTS, NOW).unwrap()
}

fn put(segments: &Segments, digest: u128, value: u8) -> fjall::Result<u64> {
    segments.write([(digest, vec![value])], 0, NOW)
}

fn get(segments: &Segments, digest: u128) -> Option<Bytes> {
    segments.get(digest).unwrap()
}

/// Tables of all segments together.
fn tables(segments: &Segments) -> usize {
    segments.ring.iter().map(|keyspace| keyspace.table_count()).sum()
}

/// Puts a folder where the keyspace writes its next list of tables; removing it mends the keyspace.
fn block(keyspace: &Keyspace) -> std::path::PathBuf {
    use lsm_tree::AbstractTree;
    let next = keyspace.path().join(format!("v{}", keyspace.tree.current_version().id() + 1));
    fs::create_dir(&next).unwrap();
    next
}

#[test]
fn a_segment_that_cannot_be_dropped_stays_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let segments = tiny(dir.path());
    put(&segments, 1, 1).unwrap();
    put(&segments, 1, 2).unwrap();
    put(&segments, 3, 3).unwrap();
    let oldest = segments.filled.read()[0].keyspace.clone();
    let blocked = block(&oldest);
    segments.give_way().unwrap_err();
    assert_eq!(segments.filled.read().len(), 3, "it is still listed");
    assert_eq!(get(&segments, 1).as_deref(), Some(&[2][..]));
    fs::remove_dir(blocked).unwrap();
    // Through the whole ring, and every place in it.
    for n in 0..2 * DiskConfig::SEGMENTS {
        put(&segments, 100 + u128::from(n), 0).unwrap();
        let found = get(&segments, 1);
        assert!(found.as_deref().is_none_or(|found| found == [2]), "an older value is back: {found:?}");
    }
    assert_eq!(get(&segments, 1), None);
}

#[test]
fn a_keyspace_that_is_free_and_not_empty_is_emptied_first() {
    let dir = tempfile::tempdir().unwrap();
    let segments = tiny(dir.path());
    put(&segments, 1, 1).unwrap();
    segments.change(|filled| filled.clear());
    put(&segments, 2, 2).unwrap();
    assert_eq!((get(&segments, 1), get(&segments, 2).as_deref()), (None, Some(&[2][..])));
}

#[test]
fn a_write_that_fails_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let segments = Segments::open(dir.path(), 16 << 20, NOW).unwrap();
    put(&segments, 1, 1).unwrap();
    let keyspace = segments.filled.read()[0].keyspace.clone();
    let files = || fs::read_dir(keyspace.path().join("tables")).unwrap().count();
    assert_eq!(files(), 1);
    let blocked = block(&keyspace);
    for _ in 0..3 {
        put(&segments, 1, 2).unwrap_err();
        assert_eq!(files(), 1);
    }
    fs::remove_dir(blocked).unwrap();
    put(&segments, 1, 3).unwrap();
    assert_eq!((files(), get(&segments, 1).as_deref()), (2, Some(&[3][..])));
}

#[test]
fn a_merge_that_meets_damage_drops_the_segment_and_tables_stay_few() {
    let dir = tempfile::tempdir().unwrap();
    let segments = Segments::open(dir.path(), 16 << 20, NOW).unwrap();
    let mut damaged = 0;
    let mut step = |segments: &Segments, n: u8| {
        put(segments, 1, n).unwrap();
        put(segments, 2 + u128::from(n), n).unwrap();
        damaged += u32::from(segments.merge().unwrap());
        assert!(tables(segments) <= TABLES_MAX, "{} tables", tables(segments));
        damaged
    };
    for n in 0..10 {
        step(&segments, n);
    }
    // The largest is the one that was merged.
    let keyspace = segments.filled.read()[0].keyspace.clone();
    let all = fs::read_dir(keyspace.path().join("tables")).unwrap().map(|file| file.unwrap().path());
    let merged = all.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap();
    let mut bytes = fs::read(&merged).unwrap();
    bytes[30] ^= 0x55;
    fs::write(&merged, bytes).unwrap();
    let mut went = 0;
    for n in 10..60 {
        went = step(&segments, n);
        for digest in [1, 2 + u128::from(n)] {
            // From before the damage something may be in the block cache; nothing older may come back.
            if let Ok(Some(found)) = segments.get(digest) {
                assert_eq!(found[..], [n]);
            }
        }
    }
    assert_eq!(went, 1, "the damage was met, once");
    let newest = get(&segments, 1);
    assert_eq!(newest.as_deref(), Some(&[59][..]));
}

#[test]
fn a_segment_that_cannot_be_merged_is_filled_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let segments = Segments::open(dir.path(), 16 << 20, NOW).unwrap();
    for n in 0..250 {
        put(&segments, 1, n).unwrap();
    }
    let most = usize::try_from(DiskConfig::SEGMENTS).unwrap() * TABLES_MAX;
    assert!(tables(&segments) <= most, "{} tables", tables(&segments));
    assert_eq!(get(&segments, 1).as_deref(), Some(&[249][..]));
}

#[test]
fn damage_takes_what_is_older_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let segments = tiny(dir.path());
    for value in [1, 2, 3] {
        put(&segments, 1, value).unwrap();
    }
    put(&segments, 2, 4).unwrap();
    segments.discard(2).unwrap();
    assert_eq!((get(&segments, 1), get(&segments, 2).as_deref()), (None, Some(&[4][..])));
}

#[test]
fn what_was_written_after_now_goes_with_all_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |secs: i64| Timestamp::from_secs(1_700_000_000 + secs);
    let open = |now| Segments::open(dir.path(), DiskConfig::SEGMENTS, now).unwrap();
    {
        let segments = open(at(0));
        for (digest, secs) in [(1, 0), (1, 500), (2, 30)] {
            segments.write([(digest, vec![1])], 0, at(secs)).unwrap();
        }
    }
    assert!(get(&open(at(440)), 1).is_some(), "a minute is nothing");
    let segments = open(at(400));
    assert_eq!((get(&segments, 1), get(&segments, 2).is_some()), (None, true));
}

#[test]
fn the_highest_number_of_the_order_is_known_from_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Segments::open(dir.path(), 16 << 20, NOW).unwrap();
    {
        let segments = open();
        assert_eq!(segments.seq(), 0);
        for seq in [7, 9] {
            segments.write([(1, vec![1])], seq, NOW).unwrap();
        }
        assert_eq!(segments.seq(), 9);
    }
    assert_eq!(open().seq(), 9);
}
