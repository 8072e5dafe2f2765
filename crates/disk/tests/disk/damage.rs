//! Files that were changed behind the store's back.

use std::{fs, path::PathBuf};

use edge_cache_disk::DiskError;

use super::*;

const ENTRIES: u64 = 200;

fn body(n: u64) -> Bytes {
    noise(n, 1 + (n as usize * 131) % 8192)
}

/// A folder of some tables and purges, and what it is judged by.
async fn prepared() -> (tempfile::TempDir, u128) {
    let dir = tempfile::tempdir().unwrap();
    let small = DiskConfig { capacity_bytes: 16 << 20, ..config(dir.path()) };
    let (store, order) = edge_cache_disk::open(small, Arc::new(SystemClock)).unwrap();
    let start = order.markers().start();
    for n in 0..ENTRIES {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        store.put(key(&format!("/{n}")), filled(start, &[tag], body(n)), LONG).await.unwrap();
        if n % 50 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
    purge(&order, PurgeKind::Soft, &["unrelated"], None).await;
    purge(&order, PurgeKind::Hard, &["even"], None).await;
    purge(&order, PurgeKind::Soft, &["other"], None).await;
    let incarnation = order.markers().position().fence.incarnation;
    (dir, incarnation)
}

/// The engine's folders of its own keyspace, of the segment that is filled, and of one that is empty; the others are like the last.
const LOOKED_AT: [&str; 3] = ["0", "1", "2"];

/// All files but those of the other segments.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for found in fs::read_dir(path).unwrap() {
        let found = found.unwrap().path();
        let name = found.file_name().unwrap().to_str().unwrap();
        let is_segment = path.ends_with("keyspaces");
        if !found.is_dir() {
            all.push(found);
        } else if !is_segment || LOOKED_AT.contains(&name) {
            all.extend(files(&found));
        }
    }
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let to = to.join(found.file_name());
        if found.path().is_dir() {
            copy(&found.path(), &to);
        } else if found.file_name().to_string_lossy().ends_with(".jnl") {
            // Long and empty: not to be copied byte by byte.
            let journal = fs::File::create(to).unwrap();
            journal.set_len(found.metadata().unwrap().len()).unwrap();
        } else {
            fs::copy(found.path(), to).unwrap();
        }
    }
}

/// Opens what is left, and looks at every entry: a miss, an error that counts as one, or what was put; and what was purged is dead.
/// Returns how many can be served.
async fn look(path: &Path, incarnation: u128, what: &str) -> u64 {
    let (store, order) = edge_cache_disk::open(config(path), Arc::new(SystemClock)).unwrap();
    let markers = order.markers();
    let is_old = markers.position().fence.incarnation == incarnation;
    let mut live = 0;
    for n in 0..ENTRIES {
        let found = match store.get(&key(&format!("/{n}"))).await {
            Ok(Some(found)) => found,
            // Damage is told as such: anything else is a fault of the disk, or a panic of the engine.
            Ok(None) | Err(StoreError::Corrupt { .. }) => continue,
            Err(error) => panic!("{what}: {error:?}"),
        };
        assert!(is_old, "{what}: a new order, and entries of before");
        assert!(found.body() == &body(n), "{what}: another body");
        let want = if n % 2 == 0 { Verdict::Gone } else { Verdict::Live };
        assert_eq!(verdict(&markers, &found), want, "{what}: entry {n}");
        live += u64::from(want == Verdict::Live);
    }
    // And it works.
    let entry = filled(markers.start(), &["new"], body(1));
    store.put(key("/new"), entry, LONG).await.unwrap();
    store.flush().await.unwrap();
    assert!(store.get(&key("/new")).await.unwrap().is_some(), "{what}");
    purge(&order, PurgeKind::Hard, &["new"], None).await;
    live
}

#[tokio::test]
async fn without_damage_all_of_it_is_there() {
    let (dir, incarnation) = prepared().await;
    assert_eq!(look(dir.path(), incarnation, "as it was").await, ENTRIES / 2);
}

#[tokio::test]
async fn flipped_bytes_are_misses_or_a_fresh_start() {
    let (dir, incarnation) = prepared().await;
    let mut spared = 0;
    for file in files(dir.path()) {
        let len = fs::metadata(&file).unwrap().len();
        let name = file.strip_prefix(dir.path()).unwrap();
        for at in [3, len / 2, len.saturating_sub(60)] {
            if at >= len {
                continue;
            }
            let damaged = tempfile::tempdir().unwrap();
            copy(dir.path(), damaged.path());
            let mut bytes = fs::read(damaged.path().join(name)).unwrap();
            bytes[at as usize] ^= 0x55;
            fs::write(damaged.path().join(name), bytes).unwrap();
            spared += look(damaged.path(), incarnation, &format!("byte {at} of {len} of {}", name.display())).await;
        }
    }
    assert!(spared > 0, "some damage costs only a part");
}

#[tokio::test]
async fn entries_that_are_cut_off_or_gone_are_misses_or_a_fresh_start() {
    let (dir, incarnation) = prepared().await;
    for file in files(&dir.path().join("entries")) {
        let len = fs::metadata(&file).unwrap().len();
        let name = file.strip_prefix(dir.path()).unwrap();
        for left in [0, len / 2] {
            let damaged = tempfile::tempdir().unwrap();
            copy(dir.path(), damaged.path());
            let cut = fs::File::options().write(true).open(damaged.path().join(name)).unwrap();
            cut.set_len(left).unwrap();
            look(damaged.path(), incarnation, &format!("{left} of {len} of {}", name.display())).await;
        }
        let damaged = tempfile::tempdir().unwrap();
        copy(dir.path(), damaged.path());
        fs::remove_file(damaged.path().join(name)).unwrap();
        look(damaged.path(), incarnation, &format!("without {}", name.display())).await;
    }
}

#[tokio::test]
async fn what_the_system_refuses_to_open_is_left_alone() {
    let (dir, incarnation) = prepared().await;
    // Of the filled segment: the file that says which tables there are. A folder in its place cannot be read, as a file could not be whom
    // the system denies it.
    let current = dir.path().join("entries/keyspaces/1/current");
    let aside = dir.path().join("aside");
    fs::rename(&current, &aside).unwrap();
    fs::create_dir(&current).unwrap();
    let refused = edge_cache_disk::open(config(dir.path()), Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(refused, DiskError::Engine { .. }), "{refused}");
    fs::remove_dir(&current).unwrap();
    fs::rename(&aside, &current).unwrap();
    assert_eq!(look(dir.path(), incarnation, "nothing went").await, ENTRIES / 2);
}

#[tokio::test]
async fn an_order_that_ends_before_what_the_entries_know_is_begun_anew() {
    let (dir, incarnation) = prepared().await;
    let order = dir.path().join("order");
    // Entries after the last purge: their table bears its number.
    {
        let (store, order) = open(dir.path());
        store.put(key("/last"), filled(order.markers().start(), &["last"], Bytes::new()), LONG).await.unwrap();
        store.flush().await.unwrap();
    }
    let whole = fs::read(&order).unwrap();
    // The first record is of 16 and 33 bytes.
    for len in (49..whole.len()).step_by(5) {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        fs::write(copied.path().join("order"), &whole[..len]).unwrap();
        assert_eq!(look(copied.path(), incarnation, &format!("{len} of {}", whole.len())).await, 0);
    }
    assert_eq!(look(dir.path(), incarnation, "whole").await, ENTRIES / 2);
}

#[tokio::test]
async fn a_damaged_or_missing_order_takes_all_entries_with_it() {
    let (dir, incarnation) = prepared().await;
    let order = dir.path().join("order");
    let whole = fs::read(&order).unwrap();
    let damaged = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        Some(bytes)
    };
    for (what, bytes) in [
        ("its first record", damaged(20)),
        ("a length in the middle", damaged(whole.len() / 2)),
        ("its last byte", damaged(whole.len() - 1)),
        ("cut off in its first record", Some(whole[..10].to_vec())),
        ("empty", Some(Vec::new())),
        ("missing", None),
    ] {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        match bytes {
            Some(bytes) => fs::write(copied.path().join("order"), bytes).unwrap(),
            None => fs::remove_file(copied.path().join("order")).unwrap(),
        }
        assert_eq!(look(copied.path(), incarnation, what).await, 0, "{what}");
    }
}
