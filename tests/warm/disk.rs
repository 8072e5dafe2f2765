//! A node with a disk and no Redis: what it held, and what was purged, outlives it however it ends.

use std::path::Path;

use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply, eventually, pooled_database};
use serde_json::json;

use crate::{ask, counting, node, stop, until};

fn disk(folder: &Path) -> String {
    // A machine that is busy with other tests is no slow disk.
    format!("[disk]\npath = \"{}\"\ntimeout = \"60s\"", folder.join("cache").display())
}

async fn over(origin: &Origin, folder: &Path) -> Proxy {
    node(origin, "", &disk(folder)).start().await
}

/// Waits until what was asked for, `fills` answers of the origin, is on the disk.
async fn is_written(node: &Proxy, fills: f64) {
    let kept = [("tier", "disk"), ("stored", "yes")];
    eventually("the disk tier has them all", async || {
        (node.metrics().await.sum("edge_cache_fills_total", &kept) >= fills).then_some(())
    })
    .await;
    // In this order: one that is yet to come waits nowhere.
    eventually("none of them waits", async || {
        (node.metrics().await.sum("edge_cache_disk_waiting_entries", &[]) == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_node_comes_back_with_what_was_written_and_as_old_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start(|request| async move {
        Reply::cached("max-age=1000", format!("answer {}", request.earlier)).header("age", "500")
    })
    .await;
    let first = over(&origin, folder.path()).await;
    let miss = ask(&first, "/a").await;
    assert!(miss.said_by("disk").contains("fwd=uri-miss") && miss.said_by("disk").contains("stored"), "{miss:?}");
    is_written(&first, 1.0).await;
    // Dropped, it is killed.
    drop(first);
    let second = over(&origin, folder.path()).await;
    let found = ask(&second, "/a").await;
    assert!(found.is_hit_of("disk"), "{found:?}");
    assert!(found.header("age").parse::<u64>().unwrap() >= 500 && found.ttl_of("disk").unwrap() <= 500, "{found:?}");
    assert!(ask(&second, "/a").await.is_hit_of("memory"));
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn a_purge_that_was_acknowledged_is_known_to_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let origin = counting("max-age=1000").await;
    let first = over(&origin, folder.path()).await;
    for target in ["/soft", "/hard", "/kept"] {
        ask(&first, target).await;
    }
    is_written(&first, 3.0).await;
    first.purge(json!({"tags": ["soft"]})).await;
    first.purge(json!({"tags": ["hard"], "hard": true})).await;
    drop(first);
    let second = over(&origin, folder.path()).await;
    assert_eq!(ask(&second, "/soft").await.text(), "answer 1");
    assert_eq!(ask(&second, "/hard").await.text(), "answer 1");
    assert!(ask(&second, "/kept").await.is_hit_of("disk"));
}

#[tokio::test]
async fn a_stop_in_good_order_writes_what_waits_and_a_snapshot_is_judged_by_the_same_purges() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = format!("snapshot = \"{}\"", folder.path().join("snapshot").display());
    let origin = counting("max-age=1000").await;
    let start = || node(&origin, &snapshot, &disk(folder.path())).start();
    let first = start().await;
    ask(&first, "/a").await;
    stop(first).await;
    let kept = std::fs::read(folder.path().join("snapshot")).unwrap();
    let second = start().await;
    until(&second, "warm").await;
    assert!(ask(&second, "/a").await.is_hit_of("memory"));
    second.purge(json!({"tags": ["a"], "hard": true})).await;
    drop(second);
    // As if the snapshot of before that purge had been brought back.
    std::fs::write(folder.path().join("snapshot"), kept).unwrap();
    let third = start().await;
    until(&third, "warm").await;
    assert_eq!(ask(&third, "/a").await.text(), "answer 1", "the purge is on the disk");
}

#[tokio::test]
async fn what_was_purged_by_sql_while_nobody_ran_is_purged_before_the_disk_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Postgres::builder().start().await.unwrap();
    let database = pooled_database(postgres.url()).await;
    let installed = ProxyBuilder::bare(&["sql", "install", "--database", postgres.url()]).to_end().await;
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let rest = format!("{}\n[outbox]\nenabled = true\n[database]\nurl = \"{}\"", disk(folder.path()), postgres.url());
    let warm = format!("snapshot = \"{}\"", folder.path().join("snapshot").display());
    let origin = counting("max-age=1000").await;
    let start = || node(&origin, &warm, &rest).start();
    let first = start().await;
    for target in ["/purged", "/kept"] {
        ask(&first, target).await;
    }
    stop(first).await;
    // Many of them, this one last.
    let many = "SELECT edge_cache.invalidate('other-' || n) FROM generate_series(1, 1200) AS n";
    database.execute(many, &[]).await.unwrap();
    database.execute("SELECT edge_cache.invalidate('purged')", &[]).await.unwrap();
    let second = start().await;
    // Whenever it is asked: before the outbox is read nothing of before is told, and then it is purged.
    assert_eq!(ask(&second, "/purged").await.text(), "answer 1");
    until(&second, "warm").await;
    eventually("what was not purged is told again", async || {
        let kept = ask(&second, "/kept").await;
        (kept.is_hit_of("memory") || kept.is_hit_of("disk")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_others_stood_in_for_believes_nothing_of_before() {
    let (own, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let postgres = Postgres::builder().start().await.unwrap();
    let installed = ProxyBuilder::bare(&["sql", "install", "--database", postgres.url()]).to_end().await;
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let origin = counting("max-age=1000").await;
    let over = |folder: &Path| {
        let rest = format!("{}\n[outbox]\nenabled = true\n[database]\nurl = \"{}\"", disk(folder), postgres.url());
        node(&origin, "", &rest).start()
    };
    let leads = async |node: &Proxy| {
        eventually("it is told what is purged", async || {
            (node.metrics().await.sum("edge_cache_outbox_leader", &[]) == 1.0).then_some(())
        })
        .await;
    };
    let first = over(own.path()).await;
    leads(&first).await;
    ask(&first, "/a").await;
    stop(first).await;
    let another = over(others.path()).await;
    leads(&another).await;
    // What it is told now is deleted some time after.
    until(&another, "warm").await;
    stop(another).await;
    let back = over(own.path()).await;
    back.logged("what the disk holds is forgotten").await;
    assert_eq!(ask(&back, "/a").await.text(), "answer 1");
}

#[tokio::test]
async fn a_folder_that_cannot_be_had_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let origin = counting("max-age=1000").await;
    let first = over(&origin, folder.path()).await;
    let second = node(&origin, "", &disk(folder.path())).to_end().await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("is in use by another process"), "{}", second.stderr);
    stop(first).await;
    std::fs::create_dir(folder.path().join("others")).unwrap();
    std::fs::write(folder.path().join("others/letter.txt"), "dear").unwrap();
    let others = format!("[disk]\npath = \"{}\"", folder.path().join("others").display());
    let foreign = node(&origin, "", &others).to_end().await;
    assert_eq!(foreign.code, Some(1), "{foreign:?}");
    assert!(
        foreign.stderr.contains("letter.txt") && foreign.stderr.contains("name an empty one"),
        "{}",
        foreign.stderr
    );
    let both = format!("{}\n[redis]\nurl = \"redis://127.0.0.1:1\"", disk(folder.path()));
    let both = node(&origin, "", &both).to_end().await;
    assert_eq!(both.code, Some(64), "{both:?}");
    assert!(both.stderr.contains("disk.path") && both.stderr.contains("must be empty where redis.url is set"));
}

#[tokio::test]
async fn a_demo_that_keeps_its_state_starts_warm() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let start = || ProxyBuilder::demo().args(&["--pitches", "40", "--no-monitor", "--state", state]).start();
    let target = "/api/pitches/trending?limit=10";
    let first = start().await;
    ask(&first, target).await;
    is_written(&first, 1.0).await;
    drop(first);
    let second = start().await;
    assert!(ask(&second, target).await.is_hit_of("disk"), "after a kill from the disk");
    stop(second).await;
    let third = start().await;
    until(&third, "warm").await;
    assert!(ask(&third, target).await.is_hit_of("memory"), "after a stop from the snapshot");
}
