//! What is hot stays warm without anybody asking.

use edge_cache_tests::{Gate, Origin, Reply, eventually};
use serde_json::json;

use crate::{ask, counting, node, until};

#[tokio::test]
async fn what_is_hot_is_asked_for_without_anybody_asking_and_the_rest_is_left_alone() {
    let origin = Origin::start(|request| async move {
        let lifetime = if request.seen.target == "/long" { "max-age=1000" } else { "max-age=2" };
        Reply::cached(lifetime, format!("answer {}", request.earlier)).header("cache-tag", "all")
    })
    .await;
    let node = node(&origin, "every = \"500ms\"", "").start().await;
    until(&node, "warm").await;
    for target in ["/short", "/long", "/short", "/long"] {
        ask(&node, target).await;
    }
    // No client asks any more.
    origin.arrived("/short", 3).await;
    assert_eq!(origin.count("/long"), 1, "it is fresh for longer than until the next round");
    assert_eq!(origin.seen().iter().filter(|seen| !seen.header("authorization").is_empty()).count(), 0);
    eventually("rounds have warmed the one, and found the other fresh", async || {
        let metrics = node.metrics().await;
        let asked = |outcome| metrics.sum("edge_cache_warm_keys_asked_total", &[("outcome", outcome)]);
        let rounds = metrics.sum("edge_cache_warm_rounds_total", &[]);
        (rounds >= 1.0 && asked("warmed") >= 1.0 && asked("fresh") >= 1.0).then_some(())
    })
    .await;
    // A purge makes it cold; the next round makes it warm.
    node.purge(json!({"tags": ["all"]})).await;
    origin.arrived("/long", 2).await;
    eventually("it is a hit", async || ask(&node, "/long").await.is_hit_of("memory").then_some(())).await;
}

#[tokio::test]
async fn a_plan_is_asked_for_at_the_start_and_a_bad_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("warm.toml");
    std::fs::write(&plan, "[[template]]\npath = \"/item?n={n}\"\n[template.values]\nn = [1, 2]\n").unwrap();
    let warm = format!("plan = \"{}\"\nauthority = \"shop.example\"", plan.display());
    let origin = counting("max-age=1000").await;
    let started = node(&origin, &warm, "").start().await;
    // A client who came meanwhile would overtake it.
    let warmed = [("outcome", "warmed")];
    eventually("both are warm", async || {
        (started.metrics().await.sum("edge_cache_warm_keys_asked_total", &warmed) == 2.0).then_some(())
    })
    .await;
    for n in [1, 2] {
        let target = format!("/item?n={n}");
        assert!(ask(&started, &target).await.is_hit_of("memory"));
        assert_eq!(origin.count(&target), 1);
    }
    std::fs::write(&plan, "[[template]]\npath = \"/item?n={m}\"\n").unwrap();
    let ended = node(&origin, &warm, "").to_end().await;
    assert_eq!(ended.code, Some(64), "{}", ended.stderr);
    assert!(ended.stderr.contains("warm.toml") && ended.stderr.contains('m'), "{}", ended.stderr);
}

#[tokio::test]
async fn operators_see_what_is_hot() {
    let gate = Gate::new();
    let way = gate.clone();
    let origin = Origin::start(move |request| {
        let way = way.clone();
        async move {
            if request.seen.target == "/a" {
                way.passed().await;
            }
            Reply::cached("max-age=1000", "found")
        }
    })
    .await;
    let node = node(&origin, "", "").start().await;
    // What is hot is what costs most too: the origin takes as long for this one as for the other, and longer.
    let within = async {
        origin.arrived("/a", 1).await;
        ask(&node, "/b").await;
        gate.open();
    };
    tokio::join!(ask(&node, "/a"), within);
    ask(&node, "/a").await;
    let hot = node.admin().get("/hot?n=1").send().await.json();
    assert_eq!(hot["keys"][0]["url"], "http://shop.example/a", "{hot}");
    assert_eq!(hot["keys"][0]["hits"], 2);
    assert_eq!(hot["keys"].as_array().unwrap().len(), 1);
}
