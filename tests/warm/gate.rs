//! When a node that has started is ready.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Gate, Origin, Reply};
use serde_json::json;

use crate::{ask, node, stop, until};

/// An origin that answers each target once, and again when the gate is open.
async fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |request| {
        let gate = gate.clone();
        async move {
            if request.earlier > 0 {
                gate.passed().await;
            }
            Reply::cached("max-age=1000", format!("answer {}", request.earlier)).header("cache-tag", "all")
        }
    })
    .await
}

/// Leaves `/a` and `/b` hot in Redis, and nothing there that could be served.
async fn leave_hot_and_purged(origin: &Origin, redis: &Redis) {
    let node = node(origin, "", &format!("[redis]\nurl = \"{}\"", redis.url())).start().await;
    for target in ["/a", "/b", "/a", "/b"] {
        ask(&node, target).await;
    }
    node.purge(json!({"tags": ["all"]})).await;
    stop(node).await;
}

#[tokio::test]
async fn it_is_ready_once_it_holds_what_is_hot() {
    let (redis, gate) = (Redis::start().await.unwrap(), Gate::new());
    let origin = gated(&gate).await;
    leave_hot_and_purged(&origin, &redis).await;
    let rest = format!("[redis]\nurl = \"{}\"", redis.url());
    let next = node(&origin, "ready_timeout = \"1h\"", &rest).start().await;
    let cold = until(&next, "warming").await;
    assert_eq!(cold["held"], 0);
    // It asks by itself, and nobody is sent to it before it has the answers.
    origin.arrived("/a", 2).await;
    until(&next, "warming").await;
    gate.open();
    let warm = until(&next, "warm").await;
    assert_eq!((&warm["held"], &warm["hot"]), (&json!(2), &json!(2)));
    let answer = ask(&next, "/a").await;
    assert!(answer.is_hit_of("memory") && answer.text() == "answer 1", "{answer:?}");
}

#[tokio::test]
async fn it_is_ready_after_a_while_whatever_it_holds() {
    let (redis, gate) = (Redis::start().await.unwrap(), Gate::new());
    let origin = gated(&gate).await;
    leave_hot_and_purged(&origin, &redis).await;
    let rest = format!("[redis]\nurl = \"{}\"", redis.url());
    let next = node(&origin, "ready_timeout = \"200ms\"", &rest).start().await;
    let timed_out = until(&next, "timed out").await;
    assert_eq!(timed_out["held"], 0, "the origin has not answered yet");
}

#[tokio::test]
async fn with_nothing_hot_and_where_nobody_warms_it_is_ready_at_once() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=1000", "x") }).await;
    let cold = node(&origin, "ready_timeout = \"1h\"", "").start().await;
    until(&cold, "warm").await;
    let off = node(&origin, "enabled = false", "").start().await;
    until(&off, "unwarmed").await;
}
