//! `cache-proxy warm` by what is hot, and without a running proxy.

use std::{path::Path, sync::Arc};

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Ended, Origin, ProxyBuilder, Reply, eventually};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::{ask, counting, node, stop};

/// A configuration of nodes over `origin` that share `redis`.
fn config(folder: &Path, origin: &Origin, redis: &str) -> String {
    let file = folder.join("nodes.toml");
    std::fs::write(&file, format!("[origin]\nurl = \"{}\"\n[redis]\nurl = \"{redis}\"\n", origin.url())).unwrap();
    file.to_str().unwrap().to_owned()
}

async fn warm(folder: &Path, args: &[&str]) -> Ended {
    // Its journal goes with the folder.
    ProxyBuilder::bare(&["warm", "--json", "-"])
        .patient()
        .env("XDG_STATE_HOME", folder.to_str().unwrap())
        .args(args)
        .to_end()
        .await
}

fn report(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[tokio::test]
async fn redis_is_filled_without_a_running_proxy_and_readers_find_it() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, origin) = (Redis::start().await.unwrap(), counting("max-age=1000").await);
    let config = config(folder.path(), &origin, redis.url());
    let log = folder.path().join("access.log");
    let line = |target: &str| format!("127.0.0.1 - - [01/Nov/2026:10:00:00 +0000] \"GET {target} HTTP/1.1\" 200 10\n");
    std::fs::write(&log, [line("/a"), line("/b?x=1"), line("/a")].concat()).unwrap();
    let args = ["--direct", "--config", &config, "--authority", "shop.example", "--from-log", log.to_str().unwrap()];
    let done = report(&warm(folder.path(), &args).await);
    assert_eq!((&done["warmed"], &done["fresh"]), (&json!(2), &json!(0)), "{done}");
    let node = ProxyBuilder::bare(&["serve", "--config", &config, "--listen", "127.0.0.1:0"]).patient().start().await;
    for target in ["/a", "/b?x=1"] {
        let answer = eventually("the node is in step", async || {
            let answer = ask(&node, target).await;
            answer.is_hit_of("redis").then_some(answer)
        })
        .await;
        assert_eq!(answer.text(), "answer 0");
    }
    assert_eq!(origin.seen().len(), 2, "each was asked for once");
    let again = report(&warm(folder.path(), &args).await);
    assert_eq!((&again["warmed"], &again["fresh"]), (&json!(0), &json!(2)), "{again}");
}

#[tokio::test]
async fn what_is_hot_on_one_node_is_warmed_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let (came, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (coming, way) = (Arc::clone(&came), Arc::clone(&gate));
    let origin = Origin::start(move |request| {
        let (coming, way) = (Arc::clone(&coming), Arc::clone(&way));
        async move {
            if request.seen.target == "/a" {
                coming.notify_one();
                drop(way.acquire().await.unwrap());
            }
            Reply::cached("max-age=1000", "found")
        }
    })
    .await;
    let (one, other) = (node(&origin, "", "").start().await, node(&origin, "", "").start().await);
    // What is hot is what costs most too: the origin takes as long for this one as for the other, and longer.
    let within = async {
        came.notified().await;
        ask(&one, "/b").await;
        gate.add_permits(1);
    };
    tokio::join!(ask(&one, "/a"), within);
    ask(&one, "/a").await;
    let (admin, target) = (format!("http://{}", one.admin_address()), format!("http://{}", other.address));
    let args = ["--hot-set", "--admin", &admin, "--hot-top", "1", "--target", &target];
    let done = report(&warm(folder.path(), &args).await);
    assert_eq!((&done["planned"], &done["warmed"]), (&json!(1), &json!(1)), "{done}");
    assert!(ask(&other, "/a").await.is_hit_of("memory"), "under the name that its readers use");
    assert!(!ask(&other, "/b").await.is_hit_of("memory"), "only the hottest");
}

#[tokio::test]
async fn what_is_hot_on_all_nodes_is_read_from_redis() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, origin) = (Redis::start().await.unwrap(), counting("max-age=1000").await);
    let config = config(folder.path(), &origin, redis.url());
    let first = ProxyBuilder::bare(&["serve", "--config", &config, "--listen", "127.0.0.1:0"]).patient().start().await;
    for target in ["/a", "/a"] {
        ask(&first, target).await;
    }
    stop(first).await;
    let alone = node(&origin, "", "").start().await;
    let target = format!("http://{}", alone.address);
    let done = report(&warm(folder.path(), &["--hot-set", "--config", &config, "--target", &target]).await);
    assert_eq!((&done["planned"], &done["warmed"]), (&json!(1), &json!(1)), "{done}");
    assert!(ask(&alone, "/a").await.is_hit_of("memory"));
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let origin = counting("max-age=1000").await;
    let without = config(folder.path(), &origin, "");
    for (args, says) in [
        (&["--direct", "--config", &without, "--authority", "h"][..], "redis.url is empty"),
        (&["--hot-set", "--config", &without, "--target", "http://127.0.0.1:1"], "name one of them with --admin"),
        (&["--config", &without, "--target", "http://127.0.0.1:1"], "only to --hot-set and --direct"),
        (&["--direct", "--authority", "h"], "--config"),
        (&["--direct", "--config", &without], "--authority"),
        (&["--hot-set", "--target", "http://127.0.0.1:1"], "--admin"),
    ] {
        let ended = warm(folder.path(), args).await;
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
    let away = config(folder.path(), &origin, "redis://127.0.0.1:1");
    let ended = warm(folder.path(), &["--direct", "--config", &away, "--authority", "h"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("nothing can be stored in redis://127.0.0.1:1"), "{}", ended.stderr);
}
