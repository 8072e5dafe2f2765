//! Two processes over one Redis.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Demo, Gate, Origin, ProxyBuilder, Reply, Resp, eventually};

#[tokio::test]
async fn a_second_process_finds_what_the_first_stored_with_its_remaining_time() {
    let redis = Redis::start().await.unwrap();
    let origin = Origin::start(|_| async { Reply::cached("max-age=1000", "x").header("age", "500") }).await;
    let start = || ProxyBuilder::serve(&origin.url()).args(&["--redis", redis.url()]).patient().start();
    let (first, second) = (start().await, start().await);
    // Both are asked under one name, as behind a balancer.
    let ask = |proxy: &edge_cache_tests::Proxy| proxy.client().get("/").header("host", "shop.example").send();
    assert!(ask(&first).await.said_by("redis").contains("stored"));
    // The write to Redis happens behind the answer.
    let mut resp = Resp::connect(redis.port()).await;
    eventually("the entry is in Redis", async || resp.keys().await.iter().any(|key| key.contains(":e:")).then_some(()))
        .await;
    let promoted = ask(&second).await;
    assert!(promoted.is_hit_of("redis"), "{promoted:?}");
    let held = ask(&second).await;
    assert!(held.is_hit_of("memory"), "{held:?}");
    for answer in [&promoted, &held] {
        assert!(answer.header("age").parse::<u64>().unwrap() >= 500, "{answer:?}");
        assert!(answer.ttl_of("memory").unwrap() <= 500, "{answer:?}");
    }
    assert_eq!(origin.count("/"), 1);
}

#[tokio::test]
async fn a_demo_with_redis_answers_through_both_tiers() {
    let redis = Redis::start().await.unwrap();
    let demo = Demo::patient(&["--pitches", "30", "--redis", redis.url()]).await;
    let first = demo.get("/api/pitches/trending?limit=17").await;
    for tier in ["memory", "redis"] {
        assert!(first.said_by(tier).contains("fwd=uri-miss"), "{tier}: {first:?}");
        assert!(first.said_by(tier).contains("stored"), "{tier}: {first:?}");
    }
    assert!(demo.get("/api/pitches/trending?limit=17").await.is_hit_of("memory"));
    let id = demo.published("Through Both").await;
    assert!(demo.get("/api/pitches/new").await.ids().contains(&id));
    demo.step(id, "archive").await;
    assert!(!demo.get("/api/pitches/new").await.ids().contains(&id));
    assert_eq!(demo.get(&format!("/api/pitches/{id}")).await.status, 404);
}

#[tokio::test]
async fn a_purge_on_one_node_reaches_the_memory_of_the_other() {
    let redis = Redis::start().await.unwrap();
    let origin = Origin::start(|request| async move {
        Reply::cached("max-age=1000", format!("answer {}", request.earlier)).header("cache-tag", "shop")
    })
    .await;
    let start = || ProxyBuilder::serve(&origin.url()).args(&["--redis", redis.url()]).patient().start();
    let (first, second) = (start().await, start().await);
    let ask = |proxy: &edge_cache_tests::Proxy| proxy.client().get("/").header("host", "shop.example").send();
    ask(&first).await;
    let held = eventually("the second node holds it in memory", async || {
        let answer = ask(&second).await;
        answer.is_hit_of("memory").then_some(answer)
    })
    .await;
    first.purge(serde_json::json!({"tags": ["shop"]})).await;
    assert_ne!(ask(&first).await.text(), held.text());
    eventually("the second node has heard of it", async || (ask(&second).await.text() != held.text()).then_some(()))
        .await;
    for _ in 0..5 {
        assert_ne!(ask(&second).await.text(), held.text());
    }
}

#[tokio::test]
async fn a_cold_key_is_filled_once_for_all_nodes() {
    let redis = Redis::start().await.unwrap();
    let gates: Vec<Gate> = (0..5).map(|_| Gate::new()).collect();
    let held = gates.clone();
    let origin = Origin::start(move |request| {
        let round: usize = request.seen.target.trim_start_matches("/cold/").parse().unwrap();
        let gate = held[round].clone();
        async move {
            gate.passed().await;
            Reply::cached("max-age=1000", format!("answer {}", request.earlier)).header("vary", "accept-language")
        }
    })
    .await;
    let start = || ProxyBuilder::serve(&origin.url()).args(&["--redis", redis.url()]).patient().start();
    let nodes = [start().await, start().await, start().await];
    for node in &nodes {
        eventually("it knows the others", async || {
            (node.metrics().await.sum("edge_cache_backplane_nodes", &[]) == 3.0).then_some(())
        })
        .await;
    }
    for (round, gate) in gates.iter().enumerate() {
        let target = format!("/cold/{round}");
        let ask = |node: &edge_cache_tests::Proxy| {
            node.client().get(&target).header("host", "shop.example").header("accept-language", "de").send()
        };
        let crowd = futures_util::future::join_all((0..30).map(|at| ask(&nodes[at % 3])));
        let (answers, ()) = tokio::join!(crowd, async {
            origin.arrived(&target, 1).await;
            gate.open();
        });
        for answer in &answers {
            assert_eq!((answer.status.as_u16(), answer.text()), (200, "answer 0"), "{answer:?}");
        }
        assert_eq!(origin.count(&target), 1, "round {round}");
    }
}
