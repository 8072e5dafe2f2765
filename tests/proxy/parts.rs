//! Ranges over real sockets and both tiers (RFC 9110 §14, RFC 9111 §3.3).

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Answer, Arrived, Origin, ProxyBuilder, Reply, eventually};
use http::StatusCode;

const TEXT: &str = "0123456789";

async fn origin() -> Origin {
    Origin::start(|request| async move { ranged(&request) }).await
}

fn ranged(request: &Arrived) -> Reply {
    let reply = |status| Reply::new(status).header("cache-control", "max-age=60").header("etag", "\"a\"");
    let Some(range) = request.seen.header("range").strip_prefix("bytes=") else { return reply(200).body(TEXT) };
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(9).min(9);
    reply(206).header("content-range", &format!("bytes {first}-{last}/10")).body(&TEXT[first..=last])
}

fn said(answer: &Answer) -> (u16, &str, &str) {
    (answer.status.as_u16(), answer.text(), answer.header("content-range"))
}

#[tokio::test]
async fn parts_are_kept_served_and_completed_by_both_tiers() {
    let (origin, redis) = (origin().await, Redis::start().await.unwrap());
    let start = async || {
        ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc", "--redis", redis.url()]).patient().start().await
    };
    let host = "parts.example";
    let proxy = start().await;
    let ask = async |proxy: &edge_cache_tests::Proxy, range: &str| {
        let ask = proxy.client().get("/").header("host", host);
        if range.is_empty() { ask.send().await } else { ask.header("range", range).send().await }
    };
    assert_eq!(said(&ask(&proxy, "bytes=0-4").await), (206, "01234", "bytes 0-4/10"));
    assert_eq!(said(&ask(&proxy, "bytes=1-2").await), (206, "12", "bytes 1-2/10"));
    assert_eq!(origin.seen().len(), 1);
    // Another node finds the part in Redis, and asks for the rest only.
    let other = start().await;
    eventually("the other node is in step", async || {
        let part = ask(&other, "bytes=2-4").await;
        assert_eq!(said(&part), (206, "234", "bytes 2-4/10"));
        part.said_by("redis").contains("hit").then_some(())
    })
    .await;
    assert_eq!(said(&ask(&other, "").await), (200, TEXT, ""));
    assert_eq!(origin.seen().last().unwrap().header("range"), "bytes=5-");
    let count = origin.seen().len();
    assert_eq!(said(&ask(&start().await, "bytes=8-").await), (206, "89", "bytes 8-9/10"));
    assert_eq!(origin.seen().len(), count, "the whole lies in Redis now");
}

#[tokio::test]
async fn several_ranges_come_as_one_body() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    proxy.get("/").await;
    let parts = proxy.client().get("/").header("range", "bytes=0-1,-2").send().await;
    assert_eq!(parts.status, StatusCode::PARTIAL_CONTENT);
    let boundary = parts.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
    let parts: Vec<_> = parts.text().split(&format!("--{boundary}")).collect();
    assert_eq!(
        parts,
        [
            "",
            "\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n",
            "\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n",
            "--\r\n"
        ]
    );
}
