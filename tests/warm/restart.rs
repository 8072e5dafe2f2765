//! What memory held comes back, as old as it is.

use edge_cache_tests::{Gate, Origin, Reply, eventually};
use serde_json::json;
use tempfile::TempDir;

use crate::{ask, counting, node, stop, until};

/// A node that held `/a` has stopped: its folder, the setting of its snapshot, and its origin.
async fn stopped_with_a() -> (TempDir, String, Origin) {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = format!("snapshot = \"{}\"", folder.path().join("snapshot").display());
    let origin = counting("max-age=1000").await;
    let first = node(&origin, &snapshot, "").start().await;
    ask(&first, "/a").await;
    stop(first).await;
    (folder, snapshot, origin)
}

#[tokio::test]
async fn a_restart_holds_what_was_held_with_its_remaining_time() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = format!("snapshot = \"{}\"", folder.path().join("snapshot").display());
    let origin = Origin::start(|request| async move {
        let coding = request.seen.header("accept-encoding").to_owned();
        let reply = Reply::cached("max-age=1000", format!("answer {} {coding}", request.earlier)).header("age", "500");
        if request.seen.target == "/varied" { reply.header("vary", "accept-encoding") } else { reply }
    })
    .await;
    let first = node(&origin, &snapshot, "").start().await;
    let codings = ["gzip", "br"];
    let varied = async |node: &edge_cache_tests::Proxy, coding: &str| {
        node.client().get("/varied").header("host", "shop.example").header("accept-encoding", coding).send().await
    };
    ask(&first, "/plain").await;
    for coding in codings {
        varied(&first, coding).await;
    }
    let before = origin.seen().len();
    stop(first).await;

    let second = node(&origin, &snapshot, "").start().await;
    until(&second, "warm").await;
    let plain = ask(&second, "/plain").await;
    assert!(plain.is_hit_of("memory"), "{plain:?}");
    assert!(plain.header("age").parse::<u64>().unwrap() >= 500, "{plain:?}");
    assert!(plain.ttl_of("memory").unwrap() <= 500, "nothing turns fresh by a restart: {plain:?}");
    for coding in codings {
        let answer = varied(&second, coding).await;
        assert!(answer.is_hit_of("memory") && answer.text().ends_with(coding), "{answer:?}");
    }
    assert_eq!(origin.seen().len(), before, "the origin was not asked again");
    assert_eq!(second.metrics().await.sum("edge_cache_warm_restored_total", &[]), 4.0, "with the index of variants");
}

#[tokio::test]
async fn what_was_purged_stays_purged() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = format!("snapshot = \"{}\"", folder.path().join("snapshot").display());
    let origin = counting("max-age=1000").await;
    let first = node(&origin, &snapshot, "").start().await;
    for target in ["/soft", "/hard", "/kept"] {
        ask(&first, target).await;
    }
    first.purge(json!({"tags": ["soft"]})).await;
    first.purge(json!({"tags": ["hard"], "hard": true})).await;
    stop(first).await;
    let second = node(&origin, &snapshot, "").start().await;
    until(&second, "warm").await;
    assert!(ask(&second, "/kept").await.is_hit_of("memory"));
    second.purge(json!({"tags": ["kept"]})).await;
    for target in ["/soft", "/hard", "/kept"] {
        let answer = ask(&second, target).await;
        assert_eq!(answer.text(), "answer 1", "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn a_snapshot_is_good_for_one_start_and_one_that_was_killed_leaves_none() {
    let (_folder, snapshot, origin) = stopped_with_a().await;
    let second = node(&origin, &snapshot, "").start().await;
    until(&second, "warm").await;
    assert!(ask(&second, "/a").await.is_hit_of("memory"));
    // Dropped, it is killed: what it purged by then nobody has written down.
    second.purge(json!({"tags": ["a"], "hard": true})).await;
    drop(second);
    let third = node(&origin, &snapshot, "").start().await;
    until(&third, "warm").await;
    assert_eq!(ask(&third, "/a").await.text(), "answer 1");
}

#[tokio::test]
async fn a_damaged_or_foreign_snapshot_is_ignored_with_one_line() {
    let (folder, snapshot, origin) = stopped_with_a().await;
    let file = folder.path().join("snapshot");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    for bytes in [bytes, b"what somebody else keeps here".to_vec()] {
        std::fs::write(&file, bytes).unwrap();
        let again = node(&origin, &snapshot, "").start().await;
        until(&again, "warm").await;
        assert!(!ask(&again, "/a").await.is_hit_of("memory"));
        drop(again.logged("the snapshot is ignored").await);
        let logged = stop(again).await;
        assert_eq!(logged.lines().filter(|line| line.contains("snapshot is ignored")).count(), 1, "{logged}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"what somebody else keeps here", "nobody's file is written over");
}

#[tokio::test]
async fn a_run_that_does_not_use_the_snapshot_removes_it() {
    let (folder, snapshot, origin) = stopped_with_a().await;
    let file = folder.path().join("snapshot");
    assert!(file.exists());
    let off = node(&origin, &format!("{snapshot}\nenabled = false"), "").start().await;
    off.purge(json!({"tags": ["a"], "hard": true})).await;
    stop(off).await;
    let third = node(&origin, &snapshot, "").start().await;
    until(&third, "warm").await;
    assert_eq!(ask(&third, "/a").await.text(), "answer 1", "it was purged while it lay there");
}

#[tokio::test]
async fn a_second_process_does_not_take_the_snapshot_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = format!("snapshot = \"{}\"", folder.path().join("snapshot").display());
    let origin = counting("max-age=1000").await;
    let old = node(&origin, &snapshot, "").start().await;
    ask(&old, "/a").await;
    // The next version starts before this one stops.
    let new = node(&origin, &snapshot, "").start().await;
    new.logged("another process has it").await;
    stop(old).await;
    eventually("what the old one left is gone", async || (!folder.path().join("snapshot").exists()).then_some(()))
        .await;
    ask(&new, "/b").await;
    stop(new).await;
    let next = node(&origin, &snapshot, "").start().await;
    until(&next, "warm").await;
    assert!(ask(&next, "/b").await.is_hit_of("memory"));
    assert!(!ask(&next, "/a").await.is_hit_of("memory"));
}

#[tokio::test]
async fn a_node_that_is_stopped_at_once_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot");
    let gate = Gate::new();
    let origin = Origin::start({
        let gate = gate.clone();
        move |request| {
            let gate = gate.clone();
            async move {
                if request.seen.method == "POST" {
                    gate.passed().await;
                }
                Reply::cached("max-age=1000", "x")
            }
        }
    })
    .await;
    let node = node(&origin, &format!("snapshot = \"{}\"", file.display()), "").start().await;
    ask(&node, "/a").await;
    let client = node.client();
    let writing = tokio::spawn(async move { client.ask("POST", "/a").try_send().await });
    origin.arrived("/a", 2).await;
    node.terminate();
    node.logged("stopping").await;
    node.terminate();
    let ended = node.ended().await;
    assert!(ended.stderr.contains("not everything has ended"), "{}", ended.stderr);
    assert!(!file.exists(), "the write may have made it stale");
    gate.open();
    writing.abort();
}
