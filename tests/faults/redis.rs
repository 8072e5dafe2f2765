//! Redis away, stalled or full of rubbish: a tier less, and nothing else.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply, Resp, eventually};
use tokio::net::TcpSocket;

use crate::load::Load;

async fn origin() -> Origin {
    Origin::start(|request| async move { Reply::cached("max-age=600", request.seen.target) }).await
}

/// A proxy whose only tier is Redis, so that nothing hides it.
async fn in_front_of(origin: &Origin, redis: &Redis) -> Proxy {
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n[memory]\nenabled = false\n",
        origin.url(),
        redis.url()
    );
    ProxyBuilder::config(&toml).start().await
}

/// The keys of entries, without what the nodes tell each other.
async fn entries(resp: &mut Resp) -> Vec<String> {
    resp.keys().await.into_iter().filter(|key| key.contains(":e:")).collect()
}

async fn becomes_a_hit(proxy: &Proxy, target: &str) {
    eventually("a Redis hit", async || proxy.get(target).await.is_hit_of("redis").then_some(())).await;
}

#[tokio::test]
async fn killing_redis_under_load_costs_no_request_and_starting_it_brings_the_tier_back() {
    let (origin, redis) = (origin().await, Redis::start().await.unwrap());
    let proxy = in_front_of(&origin, &redis).await;
    let load = Load::start(proxy.client());
    becomes_a_hit(&proxy, "/0").await;
    load.answers(50).await;

    redis.kill().await.unwrap();
    eventually("the loss is counted", async || {
        (proxy.metrics().await.sum("edge_cache_store_failures_total", &[("tier", "redis")]) > 0.0).then_some(())
    })
    .await;
    load.answers(200).await;

    redis.restart().await.unwrap();
    becomes_a_hit(&proxy, "/0").await;
    load.answers(50).await;
    assert_eq!(load.stop().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_redis_that_never_answers_costs_no_request() {
    let (origin, redis) = (origin().await, Redis::start().await.unwrap());
    let proxy = in_front_of(&origin, &redis).await;
    becomes_a_hit(&proxy, "/0").await;
    redis.pause().await.unwrap();
    let load = Load::start(proxy.client());
    load.answers(200).await;
    let ready = proxy.admin().get("/health/ready").send().await.json();
    assert_eq!((&ready["degraded"], &ready["parts"]["redis"]), (&true.into(), &"down".into()));
    redis.resume().await.unwrap();
    becomes_a_hit(&proxy, "/0").await;
    assert_eq!(load.stop().await, Vec::<String>::new());
}

#[tokio::test]
async fn serve_starts_without_redis_and_says_so() {
    let origin = origin().await;
    // Bound and not listening: nobody else can get this port, and it refuses.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("redis://me:s3cret@{}/0", silent.local_addr().unwrap());
    // It waits for so long for what is hot elsewhere.
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--redis", &url]);
    let proxy = proxy.env("CACHE_PROXY__WARM__READY_TIMEOUT", "100ms").start().await;
    let line = proxy.logged("redis does not answer").await;
    assert!(!line.contains("s3cret"), "{line}");
    assert_eq!(proxy.get("/x").await.text(), "/x");
    let hit = proxy.get("/x").await;
    assert!(hit.is_hit_of("memory"), "{hit:?}");
    let ready = eventually("degraded is not unready", async || {
        let ready = proxy.admin().get("/health/ready").send().await;
        (ready.status == 200).then_some(ready)
    })
    .await;
    let ready = ready.json();
    assert_eq!((&ready["degraded"], &ready["parts"]["redis"]), (&true.into(), &"down".into()));
    assert_eq!(ready["parts"]["memory"], "ok");
}

#[tokio::test]
async fn rubbish_in_redis_is_a_miss() {
    let (origin, redis) = (origin().await, Redis::start().await.unwrap());
    let proxy = in_front_of(&origin, &redis).await;
    becomes_a_hit(&proxy, "/x").await;
    let mut resp = Resp::connect(redis.port()).await;
    let keys = entries(&mut resp).await;
    let [key] = &keys[..] else { panic!("one entry and not {keys:?}") };
    let whole = resp.get(key).await;
    let mut flipped = whole.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for rubbish in [&b"rubbish"[..], b"", &whole[..whole.len() / 2], &flipped] {
        resp.set(key, rubbish).await;
        let before = origin.count("/x");
        let answer = proxy.get("/x").await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "/x"));
        assert!(!answer.is_hit_of("redis"), "{answer:?}");
        assert_eq!(origin.count("/x"), before + 1);
        becomes_a_hit(&proxy, "/x").await;
    }
    // One key's good value is not another's.
    becomes_a_hit(&proxy, "/y").await;
    let other = entries(&mut resp).await.into_iter().find(|found| found != key).unwrap();
    resp.set(&other, &whole).await;
    assert_eq!(proxy.get("/y").await.text(), "/y");
}

#[tokio::test]
async fn every_byte_and_header_survive_redis() {
    let redis = Redis::start().await.unwrap();
    let origin = Origin::start(|request| async move {
        let binary: Vec<u8> = (0..=255).cycle().take(50_000).collect();
        let text = "a line that compresses well\n".repeat(2000).into_bytes();
        let (kind, body) =
            if request.seen.target == "/binary" { ("image/x-own", binary) } else { ("text/plain", text) };
        Reply::cached("max-age=600", body)
            .header("content-type", kind)
            .header("etag", "\"1\"")
            .header("link", "</a>; rel=next")
            .header("link", "</b>; rel=prev")
    })
    .await;
    let proxy = in_front_of(&origin, &redis).await;
    for target in ["/binary", "/text"] {
        let miss = proxy.get(target).await;
        becomes_a_hit(&proxy, target).await;
        let hit = proxy.get(target).await;
        assert!(hit.body == miss.body, "{target}");
        for name in ["content-type", "etag", "link", "content-length", "cache-control"] {
            let all =
                |answer: &edge_cache_tests::Answer| answer.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
            assert_eq!(all(&hit), all(&miss), "{target} {name}");
        }
    }
}
