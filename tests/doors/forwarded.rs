//! Proxies in front: whose word about clients is taken.

use std::net::SocketAddr;

use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn origin() -> Origin {
    Origin::start(|_| async { Reply::new(200).header("cache-control", "no-store") }).await
}

async fn proxy(origin: &Origin, listen: &str) -> Proxy {
    ProxyBuilder::config(&format!("[listen]\n{listen}\n[origin]\nurl = \"{}\"\n", origin.url())).start().await
}

async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    // A connection that is cut may end with a reset.
    drop(stream.read_to_string(&mut answer).await);
    answer
}

#[tokio::test]
async fn what_anybody_says_of_himself_is_taken_off() {
    let origin = origin().await;
    let proxy = proxy(&origin, "").await;
    let lies = ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-proto", "x-forwarded-host"];
    let ask = lies.iter().fold(proxy.client().get("/"), |ask, name| ask.header(name, "192.0.2.66"));
    ask.send().await;
    let seen = &origin.seen()[0];
    assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1");
    for name in lies {
        assert!(!seen.header(name).contains("192.0.2.66"), "{name}");
    }
}

#[tokio::test]
async fn a_trusted_proxys_word_is_taken_and_handed_on() {
    let origin = origin().await;
    let proxy = proxy(&origin, "trusted_proxies = [\"127.0.0.0/8\"]").await;
    proxy.client().get("/").header("x-forwarded-for", "192.0.2.1").send().await;
    assert_eq!(origin.seen()[0].header("x-forwarded-for"), "192.0.2.1, 127.0.0.1");
}

#[tokio::test]
async fn the_origin_learns_the_client_from_whichever_field_is_believed() {
    let origin = origin().await;
    let proxy = proxy(&origin, "trusted_proxies = [\"127.0.0.1\"]\nforwarded_header = \"forwarded\"").await;
    let cases = [
        ("for=192.0.2.1;proto=https", "192.0.2.1, 127.0.0.1"),
        ("for=6.6.6.6, for=\"[2001:db8::1]:80\"", "2001:db8::1, 127.0.0.1"),
        ("for=_hidden", "127.0.0.1"),
    ];
    for (forwarded, told) in cases {
        let ask = proxy.client().get("/").header("forwarded", forwarded).header("x-forwarded-for", "6.6.6.6");
        ask.send().await;
        assert_eq!(origin.seen().pop().unwrap().header("x-forwarded-for"), told, "{forwarded}");
    }
}

#[tokio::test]
async fn directives_count_by_the_client_and_not_by_the_proxy() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let toml = format!(
        "[listen]\ntrusted_proxies = [\"127.0.0.1\"]\n[cache]\ntrusted = [\"192.0.2.1\"]\n[origin]\nurl = \"{}\"\n",
        origin.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let reload = async |client: &str| {
        let ask = proxy.client().get("/").header("x-forwarded-for", client).header("cache-control", "no-cache");
        ask.send().await;
        origin.count("/")
    };
    assert_eq!((reload("192.0.2.2").await, reload("192.0.2.2").await), (1, 1));
    assert_eq!(reload("192.0.2.1").await, 2);
    assert_eq!(reload("192.0.2.1, 192.0.2.2").await, 2, "what the client itself put before it counts for nothing");
}

#[tokio::test]
async fn the_scheme_that_a_trusted_proxy_names_is_part_of_the_key() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    for (trusted, fills) in [("trusted_proxies = [\"127.0.0.1\"]", 2), ("", 1)] {
        let proxy = proxy(&origin, trusted).await;
        let before = origin.count("/");
        for proto in ["http", "https", "https"] {
            proxy.client().get("/").header("host", "h").header("x-forwarded-proto", proto).send().await;
        }
        assert_eq!(origin.count("/") - before, fills, "{trusted}");
    }
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client_of_a_connection() {
    let origin = origin().await;
    let proxy = proxy(&origin, "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true").await;
    let get = b"GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 6.6.6.6\r\nconnection: close\r\n\r\n";
    let v1 = [&b"PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n"[..], get].concat();
    let v2 = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x03\xc0\0\x02\x02\x12\x34\0\x50"[..], get].concat();
    for (bytes, client) in [(v1, "192.0.2.1"), (v2, "192.0.2.3")] {
        assert!(raw(proxy.address, &bytes).await.starts_with("HTTP/1.1 200"));
        let seen = origin.seen().pop().unwrap();
        assert_eq!(seen.header("x-forwarded-for"), client, "the client's own claim is taken off");
    }
    for none in [&get[..], b"PROXY TCP4 nonsense\r\n"] {
        let answer = raw(proxy.address, none).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let cut = async || {
        let samples = proxy.metrics().await;
        (samples.sum("edge_cache_client_connections_cut_total", &[("reason", "proxy-header")]) == 2.0).then_some(())
    };
    eventually("both are counted", cut).await;
    assert_eq!(origin.seen().len(), 2);
}
