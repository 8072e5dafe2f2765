//! What the tiers hold, what came from which, and how their stores are.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Origin, Performance, ProxyBuilder, Reply, eventually, figure};
use serde_json::{Value, json};

async fn origin() -> Origin {
    Origin::start(|request| async move { Reply::cached("max-age=600", request.seen.target) }).await
}

#[tokio::test]
async fn memory_says_what_it_holds() {
    let origin = origin().await;
    let toml =
        format!("[origin]\nurl = \"{}\"\n[memory]\ncapacity_bytes = 1000000\nbody_bytes_max = 1000\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    for at in 0..5 {
        proxy.get(&format!("/{at}")).await;
    }
    let state = page.until("five are held", |state| *figure(state, "tiers.memory.entries") == 5).await;
    let memory = &state["tiers"]["memory"];
    assert_eq!(
        (&memory["capacity_bytes"], &state["tiers"]["redis"], &state["tiers"]["disk"]),
        (&1_000_000.into(), &Value::Null, &Value::Null)
    );
    let metrics = proxy.metrics().await;
    assert_eq!(memory["used_bytes"].as_f64(), Some(metrics.sum("edge_cache_memory_used_bytes", &[])));
    assert_eq!(metrics.sum("edge_cache_memory_capacity_bytes", &[]), 1_000_000.0);
    // A purge looks nothing up, and what it took leaves when it is asked for.
    proxy.purge(json!({"all": true, "hard": true})).await;
    for at in 0..5 {
        assert!(proxy.get(&format!("/{at}")).await.said_by("memory").contains("fwd="));
    }
    let state = page.until("all are counted", |state| state["totals"]["calls"] == 10).await;
    assert_eq!((&state["totals"]["miss"], &state["totals"]["hit"]), (&10.into(), &0.into()));
}

#[tokio::test]
async fn an_answer_from_redis_counts_as_its_own_and_its_breakers_are_shown() {
    let (origin, redis) = (origin().await, Redis::start().await.unwrap());
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n[memory]\nenabled = false\n",
        origin.url(),
        redis.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    eventually("a Redis hit", async || proxy.get("/a").await.is_hit_of("redis").then_some(())).await;
    let state = page.until("it is counted", |state| state["totals"]["hit"] == 1).await;
    assert_eq!((&state["totals"]["redis"], &state["totals"]["memory"]), (&1.into(), &0.into()), "{state:#}");
    assert_eq!(state["tiers"]["redis"], json!({"reads": "closed", "writes": "closed"}));
    assert_eq!(state["tiers"]["memory"], Value::Null);
    assert_eq!(state["ready"]["backplane"], "in step");
    assert_eq!(state["origin"]["redis"], state["tiers"]["redis"]);
    assert_eq!(page.sum("redis"), 1.0);

    redis.kill().await.unwrap();
    let mut at = 0;
    eventually("its breakers open", async || {
        at += 1;
        assert_eq!(proxy.get(&format!("/{at}")).await.status, 200);
        let redis = page.step().await["tiers"]["redis"].clone();
        (redis["reads"] != "closed").then_some(())
    })
    .await;
    page.until("the node is cut off", |state| state["ready"]["backplane"] == "cut off").await;
    page.until("the governor knows", |state| state["origin"]["governor"]["redis_lost"] == true).await;
}

#[tokio::test]
async fn an_answer_from_a_disk_counts_as_its_own() {
    let (origin, folder) = (origin().await, tempfile::tempdir().unwrap());
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[memory]\nenabled = false\n[disk]\npath = \"{}\"\ncapacity_bytes = 33554432\ntimeout = \"60s\"\n",
        origin.url(),
        folder.path().join("cache").display()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    eventually("a hit", async || proxy.get("/a").await.is_hit_of("disk").then_some(())).await;
    let state = page.until("it is counted", |state| state["totals"]["hit"] == 1).await;
    assert_eq!(state["totals"]["disk"], 1, "{state:#}");
    let disk = &state["tiers"]["disk"];
    assert_eq!((&disk["entries"], &disk["capacity_bytes"]), (&1.into(), &33_554_432.into()));
    assert_eq!((&disk["reads"], &disk["writes"]), (&"closed".into(), &"closed".into()));
    assert_eq!(page.sum("disk"), 1.0);
    let state = page.until("it is written", |state| state["tiers"]["disk"]["used_bytes"].as_u64() > Some(0)).await;
    let used = state["tiers"]["disk"]["used_bytes"].as_f64().unwrap();
    assert!(proxy.metrics().await.sum("edge_cache_disk_used_bytes", &[]) >= used);
}
