//! Nodes that share a Redis.

use edge_cache_sandbox::{Postgres, Redis};
use edge_cache_tests::{Origin, Proxy, ProxyBuilder, eventually};
use serde_json::json;

use crate::{ask, counting, node, stop, until};

async fn over(origin: &Origin, redis: &Redis, warm: &str) -> Proxy {
    node(origin, warm, &format!("[redis]\nurl = \"{}\"", redis.url())).start().await
}

#[tokio::test]
async fn a_new_node_loads_what_is_hot_from_redis_and_asks_the_origin_for_nothing() {
    let (redis, origin) = (Redis::start().await.unwrap(), counting("max-age=1000").await);
    let first = over(&origin, &redis, "").await;
    let targets: Vec<String> = (0..30).map(|n| format!("/{n}")).collect();
    for target in targets.iter().flat_map(|target| [target, target]) {
        ask(&first, target).await;
    }
    let before = origin.seen().len();
    // It tells the others as it leaves.
    stop(first).await;
    let second = over(&origin, &redis, "").await;
    let warm = until(&second, "warm").await;
    assert_eq!((&warm["held"], &warm["hot"]), (&json!(30), &json!(30)));
    for target in &targets {
        let answer = ask(&second, target).await;
        assert!(answer.is_hit_of("memory"), "{answer:?}");
    }
    assert_eq!(origin.seen().len(), before);
    let metrics = second.metrics().await;
    assert_eq!(metrics.sum("edge_cache_warm_promoted_total", &[]), 30.0);
}

#[tokio::test]
async fn what_was_purged_while_a_node_was_down_is_not_in_its_memory_when_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = format!("snapshot = \"{}\"", folder.path().join("snapshot").display());
    let (redis, origin) = (Redis::start().await.unwrap(), counting("max-age=1000").await);
    let (one, other) = (over(&origin, &redis, &snapshot).await, over(&origin, &redis, "").await);
    for target in ["/purged", "/kept"] {
        eventually("the entry is everybody's", async || ask(&one, target).await.is_hit_of("memory").then_some(()))
            .await;
    }
    stop(one).await;
    other.purge(json!({"tags": ["purged"], "hard": true})).await;
    let again = over(&origin, &redis, &snapshot).await;
    until(&again, "warm").await;
    assert!(again.metrics().await.sum("edge_cache_warm_restored_total", &[]) >= 1.0);
    assert!(ask(&again, "/kept").await.is_hit_of("memory"));
    assert_eq!(ask(&again, "/purged").await.text(), "answer 1");
}

#[tokio::test]
async fn without_redis_a_node_that_shares_one_starts_cold_and_serves() {
    let folder = tempfile::tempdir().unwrap();
    let warm = format!("snapshot = \"{}\"\nready_timeout = \"300ms\"", folder.path().join("snapshot").display());
    let (redis, origin) = (Redis::start().await.unwrap(), counting("max-age=1000").await);
    let first = over(&origin, &redis, &warm).await;
    ask(&first, "/a").await;
    stop(first).await;
    redis.kill().await.unwrap();
    let second = over(&origin, &redis, &warm).await;
    until(&second, "timed out").await;
    let answer = ask(&second, "/a").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "answer 1"), "nobody can know whether it was purged");
}

#[tokio::test]
async fn a_node_that_does_not_read_the_outbox_is_warm_as_soon_as_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (redis, postgres) = (Redis::start().await.unwrap(), Postgres::builder().start().await.unwrap());
    let installed = ProxyBuilder::bare(&["sql", "install", "--database", postgres.url()]).to_end().await;
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let origin = counting("max-age=1000").await;
    let rest = format!(
        "[redis]\nurl = \"{}\"\n[outbox]\nenabled = true\n[database]\nurl = \"{}\"",
        redis.url(),
        postgres.url()
    );
    let leader = node(&origin, "", &rest).start().await;
    eventually("one consumes", async || {
        (leader.metrics().await.sum("edge_cache_outbox_leader", &[]) == 1.0).then_some(())
    })
    .await;
    let warm = format!("ready_timeout = \"1h\"\nsnapshot = \"{}\"", folder.path().join("snapshot").display());
    let start = || node(&origin, &warm, &rest).start();
    let follower = start().await;
    until(&follower, "warm").await;
    eventually("it is in step", async || ask(&follower, "/a").await.is_hit_of("memory").then_some(())).await;
    stop(follower).await;
    let again = start().await;
    until(&again, "warm").await;
    assert!(again.metrics().await.sum("edge_cache_warm_restored_total", &[]) >= 1.0, "its snapshot counts");
    assert!(ask(&again, "/a").await.is_hit_of("memory"));
}
