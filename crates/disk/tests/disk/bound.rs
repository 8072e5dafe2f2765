//! The bound in bytes.

use std::{os::unix::fs::MetadataExt, path::Path};

use super::*;

/// Bytes that the folder occupies on the disk. Not the lengths of its files: the engine makes one that is long and empty.
fn occupied(path: &Path) -> u64 {
    let mut bytes = 0;
    for found in std::fs::read_dir(path).into_iter().flatten().flatten() {
        // What goes away meanwhile occupies nothing.
        let Ok(meta) = found.metadata() else { continue };
        bytes += if meta.is_dir() { occupied(&found.path()) } else { meta.blocks() * 512 };
    }
    bytes
}

async fn put(store: &DiskStore, n: u64) {
    let body = noise(n, 1 + (n.wrapping_mul(7919) % 65_536) as usize);
    store.put(key(&format!("/{n}")), contract::entry(Kind::Response, body), LONG).await.unwrap();
}

#[tokio::test]
async fn the_folder_stays_within_its_capacity_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let capacity_bytes = 32 << 20;
    let config = DiskConfig { capacity_bytes, ..config(dir.path()) };
    let (store, _order) = edge_cache_disk::open(config, Arc::new(SystemClock)).unwrap();
    let (mut most, mut written, mut n) = (0, 0, 0);
    while written < 5 * capacity_bytes {
        put(&store, n).await;
        written += 1 + n.wrapping_mul(7919) % 65_536;
        n += 1;
        if n % 16 == 0 {
            most = most.max(occupied(dir.path()));
        }
    }
    store.flush().await.unwrap();
    most = most.max(occupied(dir.path()));
    println!("capacity {capacity_bytes}, written {written}, at most {most}, used {}", store.used_bytes());
    assert!(most <= capacity_bytes, "the folder grew to {most} of {capacity_bytes}");
    assert!(most > capacity_bytes * 3 / 4, "and it is used");
    let mut there = Vec::new();
    for n in 0..n {
        there.push(store.get(&key(&format!("/{n}"))).await.unwrap().is_some());
    }
    assert!(there.is_sorted(), "what is there is the newest");
    let kept = there.iter().filter(|there| **there).count() as u64;
    let (entries, evicted) = (store.entries(), store.evicted(Eviction::Size));
    assert!(entries.abs_diff(kept) < kept / 20, "{entries} of {kept}");
    assert!(evicted.abs_diff(n - kept) < n / 20, "{evicted} of {}", n - kept);
}

#[tokio::test]
async fn one_key_that_is_written_again_and_again_does_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let capacity_bytes = 16 << 20;
    let config = DiskConfig { capacity_bytes, ..config(dir.path()) };
    let (store, _order) = edge_cache_disk::open(config, Arc::new(SystemClock)).unwrap();
    for n in 0..200 {
        let entry = contract::entry(Kind::Response, noise(n, 200_000));
        store.put(key("/same"), entry, LONG).await.unwrap();
        store.flush().await.unwrap();
        assert!(occupied(dir.path()) <= capacity_bytes);
    }
    assert_eq!(store.get(&key("/same")).await.unwrap().unwrap().body(), &noise(199, 200_000));
}
