//! Other protocols, such as WebSocket: passed on, or refused by configuration (RFC 9110 §7.8).

use edge_cache_tests::{ProxyBuilder, RawOrigin, Step, eventually, raw};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\nx-key: 7\r\n\r\n";
const WISH: &str =
    "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: Upgrade, x-hop\r\nx-hop: 1\r\nupgrade: echo\r\nx-key: 7\r\n\r\n";

async fn echo() -> RawOrigin {
    RawOrigin::start(|_| vec![Step::send(SWITCHED), Step::send("hello "), Step::Echo]).await
}

async fn switched(address: std::net::SocketAddr) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // What is sent right behind the wish belongs to the new protocol.
    stream.write_all([WISH, "early "].concat().as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.unwrap()));
    }
    (stream, head)
}

#[tokio::test]
async fn bytes_go_both_ways_once_both_sides_have_switched() {
    let origin = echo().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let (mut stream, head) = switched(proxy.address).await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && head.contains("upgrade: echo\r\n"), "{head}");
    assert!(head.contains("x-key: 7\r\n") && head.contains("connection: upgrade\r\n"), "{head}");
    let asked = &origin.seen()[0].head;
    assert!(asked.contains("upgrade: echo\r\n") && asked.contains("connection: upgrade\r\n"), "{asked}");
    assert!(!asked.contains("x-hop"), "{asked}");
    let mut text = vec![0; "hello early ".len()];
    stream.read_exact(&mut text).await.unwrap();
    assert_eq!(text, b"hello early ");
    for _ in 0..100 {
        let sent = [7; 1000];
        stream.write_all(&sent).await.unwrap();
        let mut back = [0; 1000];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, sent);
    }
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0, "the end goes through too");
}

#[tokio::test]
async fn an_origin_that_does_not_switch_answers_as_ever() {
    let origin =
        RawOrigin::start(|_| vec![Step::send("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno")]).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let wish = WISH.replace("connection: Upgrade", "connection: close, Upgrade");
    let answer = raw(proxy.address, wish.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n") && answer.ends_with("\r\n\r\nno"), "{answer}");
}

#[tokio::test]
async fn tunnels_can_be_off_and_are_bounded() {
    let origin = echo().await;
    let with = |line: &str| format!("[origin]\nurl = \"{}\"\n{line}\n", origin.url());
    let proxy = ProxyBuilder::config(&with("upgrades = false")).start().await;
    let answer = raw(proxy.address, WISH.replace("Upgrade,", "close, Upgrade,").as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 501 Not Implemented\r\n") && answer.contains("origin.upgrades"), "{answer}");
    assert!(origin.seen().is_empty());

    let proxy = ProxyBuilder::config(&with("tunnels_max = 1")).start().await;
    let (first, head) = switched(proxy.address).await;
    assert!(head.contains(" 101 "), "{head}");
    assert!(switched(proxy.address).await.1.contains(" 503 "));
    drop(first);
    // The place is free again as soon as the tunnel has ended.
    eventually("another tunnel", async || switched(proxy.address).await.1.contains(" 101 ").then_some(())).await;
}

#[tokio::test]
async fn what_nobody_asked_for_is_no_tunnel() {
    let origin = RawOrigin::start(|request| {
        let granted = if request.head.contains("/other") { "other" } else { "h2c" };
        let switched = format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {granted}\r\n\r\n");
        vec![Step::send(&switched), Step::Echo]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ask = async |path: &str, more: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\n{more}\r\n");
        raw(proxy.address, request.as_bytes()).await.unwrap()
    };
    // A tunnel of requests would go past every rule: h2c is neither offered on nor taken.
    let smuggled = ask("/", "connection: close, upgrade\r\nupgrade: foo, h2c\r\nhttp2-settings: AA\r\n").await;
    assert!(smuggled.starts_with("HTTP/1.1 502 "), "{smuggled}");
    let asked = origin.seen().pop().unwrap().head;
    assert!(
        asked.contains("upgrade: foo\r\n") && !asked.contains("h2c") && !asked.contains("http2-settings"),
        "{asked}"
    );
    let other = ask("/other", "connection: close, upgrade\r\nupgrade: foo\r\n").await;
    assert!(other.starts_with("HTTP/1.1 502 "), "{other}");
}

#[tokio::test]
async fn a_wish_that_is_not_of_this_connection_is_none() {
    let origin = RawOrigin::start(|_| {
        vec![Step::send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok")]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for upgrade in ["websocket", "TLS/1.2"] {
        proxy.client().get("/").header("upgrade", upgrade).send().await;
        assert!(proxy.client().get("/").header("upgrade", upgrade).send().await.is_hit_of("memory"), "{upgrade}");
    }
    assert!(!origin.seen()[0].head.contains("upgrade"), "{:?}", origin.seen());
}

#[tokio::test]
async fn a_tunnel_in_which_nobody_says_anything_ends() {
    let origin = echo().await;
    let toml = format!("[origin]\nurl = \"{}\"\ntunnel_idle_max = \"1s\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let (mut stream, _) = switched(proxy.address).await;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert!(all.starts_with(b"hello "), "{all:?}");
}

#[tokio::test]
async fn an_offer_of_h2c_is_no_reason_to_go_past_the_cache() {
    let origin = RawOrigin::start(|_| {
        vec![Step::send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok")]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ask =
        || proxy.client().get("/").header("connection", "upgrade, http2-settings").header("upgrade", "h2c").send();
    ask().await;
    assert!(ask().await.is_hit_of("memory"));
    assert!(!origin.seen()[0].head.contains("upgrade"), "{:?}", origin.seen());
}
