//! Never cold: restarts, new nodes, rounds, and when a node is ready.
#![allow(clippy::unwrap_used, missing_docs)]

mod disk;
mod gate;
mod job;
mod restart;
mod rounds;
mod shared;

use edge_cache_tests::{Answer, Origin, Proxy, ProxyBuilder, Reply, eventually};
use serde_json::Value;

/// A node over `origin`, with `warm` in its `[warm]` and `rest` behind it.
fn node(origin: &Origin, warm: &str, rest: &str) -> ProxyBuilder {
    let toml = format!("[origin]\nurl = \"{}\"\n\n[warm]\n{warm}\n\n{rest}\n", origin.url());
    ProxyBuilder::config(&toml).patient()
}

/// Every node is asked under one name, as behind a balancer.
async fn ask(node: &Proxy, target: &str) -> Answer {
    node.client().get(target).header("host", "shop.example").send().await
}

/// What `/health/ready` says of warming, once it says `state`.
async fn until(node: &Proxy, state: &str) -> Value {
    eventually(&format!("the node is {state}"), async || {
        let health = node.admin().get("/health/ready").send().await;
        let json = health.json();
        assert_eq!(json["ready"], health.status.is_success(), "{json}");
        (json["warm"]["state"] == state).then(|| json["warm"].clone())
    })
    .await
}

/// An origin whose answers tell how often their target was asked for.
async fn counting(cache_control: &'static str) -> Origin {
    Origin::start(move |request| async move {
        let tag = request.seen.target.trim_start_matches('/').to_owned();
        Reply::cached(cache_control, format!("answer {}", request.earlier)).header("cache-tag", &tag)
    })
    .await
}

/// Stops it in good order.
async fn stop(node: Proxy) -> String {
    node.terminate();
    let ended = node.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stderr
}
