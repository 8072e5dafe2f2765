//! What a later run finds.

use edge_cache_disk::DiskError;

use super::*;

#[tokio::test]
async fn entries_and_purges_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (incarnation, last) = {
        let (store, order) = open(dir.path());
        let start = order.markers().start();
        for tag in ["soft", "hard", "live"] {
            store.put(key(tag), filled(start, &[tag], Bytes::from_static(b"body")), LONG).await.unwrap();
        }
        store.flush().await.unwrap();
        purge(&order, PurgeKind::Soft, &["soft", "other"], None).await;
        let Published { incarnation, seq, .. } = purge(&order, PurgeKind::Hard, &["hard"], None).await;
        (incarnation, seq)
    };
    let (store, order) = open(dir.path());
    let markers = order.markers();
    assert_eq!(markers.position().fence, Fence { incarnation, seq: last });
    for (tag, want) in [("soft", Verdict::Soft), ("hard", Verdict::Gone), ("live", Verdict::Live)] {
        let found = store.get(&key(tag)).await.unwrap().unwrap();
        assert_eq!((found.body(), verdict(&markers, &found)), (&Bytes::from_static(b"body"), want), "{tag}");
    }
    assert!(purge(&order, PurgeKind::Soft, &["a"], None).await.seq > last);
}

#[tokio::test]
async fn a_later_run_begins_above_every_fence_that_an_entry_bears() {
    let dir = tempfile::tempdir().unwrap();
    let far = Timestamp::from_secs(4_000_000_000).as_millis() as u64 * 1000;
    {
        let (store, order) = open(dir.path());
        let incarnation = order.markers().position().fence.incarnation;
        let start = Start::promoted(Fence { incarnation, seq: far });
        store.put(key("/a"), filled(start, &["a"], Bytes::new()), LONG).await.unwrap();
        store.flush().await.unwrap();
    }
    let (store, order) = open(dir.path());
    assert_eq!(order.markers().position().fence.seq, far);
    let found = store.get(&key("/a")).await.unwrap().unwrap();
    assert_eq!(verdict(&order.markers(), &found), Verdict::Live);
    assert!(purge(&order, PurgeKind::Hard, &["a"], None).await.seq > far);
    assert_eq!(verdict(&order.markers(), &found), Verdict::Gone);
}

#[tokio::test]
async fn what_waited_is_lost_unless_it_is_flushed() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (store, _order) = open(dir.path());
        store.put(key("/kept"), contract::entry(Kind::Response, Bytes::new()), LONG).await.unwrap();
        store.flush().await.unwrap();
        store.put(key("/lost"), contract::entry(Kind::Response, Bytes::new()), LONG).await.unwrap();
    }
    let (store, _order) = open(dir.path());
    assert!(store.get(&key("/kept")).await.unwrap().is_some());
    assert!(store.get(&key("/lost")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_folder_has_one_owner_and_must_be_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (store, order) = open(dir.path());
    let again = || edge_cache_disk::open(config(dir.path()), Arc::new(SystemClock));
    let refused = again().unwrap_err();
    assert!(matches!(refused, DiskError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains(dir.path().to_str().unwrap()), "{refused}");
    drop(store);
    assert!(again().is_err(), "the order still holds it");
    drop(order);
    drop(again().unwrap());
    let theirs = tempfile::tempdir().unwrap();
    std::fs::write(theirs.path().join("thesis.txt"), "years").unwrap();
    let refused = edge_cache_disk::open(config(theirs.path()), Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(refused, DiskError::Foreign { .. }), "{refused}");
    assert!(theirs.path().join("thesis.txt").exists());
    let wrong = DiskConfig { capacity_bytes: 1, ..config(theirs.path()) };
    let refused = edge_cache_disk::open(wrong, Arc::new(SystemClock)).unwrap_err();
    assert_eq!(refused.to_string(), "disk.capacity_bytes = 1: must be at least 16777216 (16 MiB)");
}

#[tokio::test]
async fn another_version_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let (store, order) = open(dir.path());
        store.put(key("/a"), contract::entry(Kind::Response, Bytes::new()), LONG).await.unwrap();
        store.flush().await.unwrap();
        order.markers().position().fence.incarnation
    };
    std::fs::write(dir.path().join("edge-cache-disk.version"), "99\n").unwrap();
    let (store, order) = open(dir.path());
    assert_ne!({ order.markers().position().fence.incarnation }, before);
    assert!(store.get(&key("/a")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_that_come_together_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut seqs: Vec<u64> = {
        let (_store, order) = open(dir.path());
        let publishing: Vec<_> = (0..300)
            .map(|n| {
                let order = order.clone();
                tokio::spawn(async move { purge(&order, PurgeKind::Soft, &[&format!("tag-{n}")], None).await.seq })
            })
            .collect();
        let mut seqs = Vec::new();
        for published in publishing {
            seqs.push(published.await.unwrap());
        }
        seqs
    };
    let (_store, order) = open(dir.path());
    let markers = order.markers();
    for (n, seq) in seqs.iter().enumerate() {
        let fence = |seq| Start::promoted(Fence { seq, ..markers.position().fence });
        let tag = format!("tag-{n}");
        assert_eq!(verdict(&markers, &filled(fence(seq - 1), &[&tag], Bytes::new())), Verdict::Soft);
        assert_eq!(verdict(&markers, &filled(fence(*seq), &[&tag], Bytes::new())), Verdict::Live);
    }
    seqs.sort_unstable();
    assert!(seqs.is_sorted_by(|a, b| a < b), "no number twice");
}
