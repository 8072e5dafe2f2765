//! 5, 6 and 8: what is old stays old, and not everything ends at once.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Gate, Origin, ProxyBuilder, Reply, eventually};

#[tokio::test]
async fn incident_05_a_slow_read_that_began_before_a_write_is_not_served_after_it() {
    let redis = Redis::start().await.unwrap();
    for tier in ["memory", "redis"] {
        let gate = Gate::new();
        let held = gate.clone();
        let origin = Origin::start(move |request| {
            let held = held.clone();
            async move {
                if request.seen.method != "GET" {
                    return Reply::new(204).header("cache-group-invalidation", "\"list\"");
                }
                let text = if request.earlier == 0 { "before" } else { "after" };
                if request.earlier == 0 {
                    held.passed().await;
                }
                Reply::cached("max-age=60", text).header("cache-tag", "list")
            }
        })
        .await;
        let mut toml = format!("[origin]\nurl = \"{}\"\n", origin.url());
        if tier == "redis" {
            toml += &format!("[memory]\nenabled = false\n[redis]\nurl = \"{}\"\n", redis.url());
        }
        let proxy = ProxyBuilder::config(&toml).start().await;
        let reader = tokio::spawn(proxy.client().get("/list").send());
        origin.arrived("/list", 1).await;
        assert_eq!(proxy.client().ask("POST", "/write").send().await.status, 204);
        let late = tokio::spawn(proxy.client().get("/list").send());
        gate.open();
        assert_eq!(reader.await.unwrap().text(), "before", "it asked before the write");
        assert_eq!(late.await.unwrap().text(), "after", "{tier}: it asked after the write");
        eventually("the new answer is held", async || {
            let answer = proxy.get("/list").await;
            assert_eq!(answer.text(), "after", "{tier}: {answer:?}");
            answer.is_hit_of(tier).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn incident_06_a_redis_hit_keeps_its_remaining_time() {
    let redis = Redis::start().await.unwrap();
    // Of a lifetime of 1 000 s, 500 s are over when the answer comes, and at most 100 s are taken off it so that not all end at once.
    let origin =
        Origin::start(|_| async { Reply::cached("max-age=1000", "x".repeat(20_000)).header("age", "500") }).await;
    // Memory holds about two of the answers, so that the others must come from Redis.
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n\
         [memory]\ncapacity_bytes = 50000\nbody_bytes_max = 30000\n",
        origin.url(),
        redis.url()
    );
    let proxy = ProxyBuilder::config(&toml).patient().start().await;
    let targets: Vec<String> = (0..6).map(|at| format!("/{at}")).collect();
    for target in &targets {
        assert!(proxy.get(target).await.ttl_of("memory").unwrap() <= 500);
    }
    // What is written behind the answers is there: a busy machine takes its time.
    eventually("all are stored in Redis", async || {
        let samples = proxy.metrics().await;
        (samples.sum("edge_cache_fills_total", &[("tier", "redis"), ("stored", "yes")]) >= 6.0).then_some(())
    })
    .await;
    let mut seen = 0;
    eventually("answers from Redis", async || {
        for target in &targets {
            let from_redis = proxy.get(target).await;
            if !from_redis.is_hit_of("redis") {
                continue;
            }
            for answer in [from_redis, proxy.get(target).await] {
                let age: u64 = answer.header("age").parse().unwrap();
                assert!(age >= 500, "{answer:?}");
                for ttl in [answer.ttl_of("memory"), answer.ttl_of("redis")].into_iter().flatten() {
                    assert!(ttl <= 500, "{answer:?}");
                }
            }
            seen += 1;
        }
        (seen >= 5).then_some(())
    })
    .await;
    assert_eq!(origin.seen().len(), 6, "nothing was fetched twice");
}

#[tokio::test]
async fn incident_08_what_was_stored_together_does_not_expire_together() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=1000", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let mut lifetimes = Vec::new();
    for at in 0..40 {
        let answer = proxy.get(&format!("/{at}")).await;
        lifetimes.push(answer.ttl_of("memory").unwrap());
    }
    let (least, most) = (*lifetimes.iter().min().unwrap(), *lifetimes.iter().max().unwrap());
    assert!(least >= 895 && most <= 1000, "never longer than the origin said: {lifetimes:?}");
    assert!(most - least >= 20, "spread out: {lifetimes:?}");
}
