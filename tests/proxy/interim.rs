//! Interim answers (1xx) go to the client that waits, in their place, and nowhere else.

use edge_cache_tests::{Gate, ProxyBuilder, RawOrigin, Step, raw};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n";

fn final_answer(text: &str) -> String {
    let len = text.len();
    format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {len}\r\n\r\n{text}")
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: h\r\n{more}\r\n")
}

/// Reads until the text ends so.
async fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.expect("more comes")));
    }
    text
}

#[tokio::test]
async fn a_hint_arrives_before_the_answer_exists() {
    let gate = Gate::new();
    let closed = gate.clone();
    let origin = RawOrigin::start(move |_| {
        let processing = "HTTP/1.1 102 Processing\r\n\r\n";
        vec![
            Step::send(processing),
            Step::send(HINTS),
            Step::Wait(closed.clone()),
            Step::Send(final_answer("done").into()),
        ]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(get("/", "").as_bytes()).await.unwrap();
    let interim = read_to(&mut stream, "</a.css>\r\n\r\n").await;
    assert_eq!(
        interim, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n",
        "without its own hop"
    );
    gate.open();
    assert!(read_to(&mut stream, "done").await.starts_with("HTTP/1.1 200 OK\r\n"));
    // Never stored: the hit has none.
    stream.write_all(get("/", "connection: close\r\n").as_bytes()).await.unwrap();
    let hit = read_to(&mut stream, "done").await;
    assert!(
        hit.starts_with("HTTP/1.1 200 OK\r\n") && hit.contains("edge-memory; hit") && !hit.contains("link:"),
        "{hit}"
    );
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn pipelined_answers_keep_their_order_and_their_hints() {
    let origin = RawOrigin::start(|request| {
        let path = request.head.split(' ').nth(1).unwrap();
        let text = format!("{}|", path.repeat(2000));
        // In one piece: the hint and its answer are there at once.
        let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: <{path}>\r\n\r\n");
        vec![Step::Send([hint.clone(), hint, final_answer(&text)].concat().into())]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let paths: Vec<String> = (0..20).map(|n| format!("/{n}")).collect();
    for round in 0..2 {
        let mut requests: String = paths.iter().map(|path| get(path, "")).collect();
        requests.push_str(&get("/last", "connection: close\r\n"));
        let answers = raw(proxy.address, requests.as_bytes()).await.unwrap();
        let mut rest = answers.as_str();
        for path in paths.iter().map(String::as_str).chain(["/last"]) {
            let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: <{path}>\r\n\r\n");
            if round == 0 {
                rest = rest
                    .strip_prefix(&hint)
                    .and_then(|rest| rest.strip_prefix(&hint))
                    .unwrap_or_else(|| panic!("{path}: {rest:.300}"));
            }
            assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {rest:.300}");
            let (head, body) = rest.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(if round == 0 { "fwd=uri-miss" } else { "edge-memory; hit" }), "{head}");
            let text = format!("{}|", path.repeat(2000));
            rest = body.strip_prefix(&text).unwrap_or_else(|| panic!("{path}: another body"));
        }
        assert_eq!(rest, "");
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_the_answer_alone() {
    let origin = RawOrigin::start(|_| vec![Step::send(HINTS), Step::Send(final_answer("done").into())]).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let answer = raw(proxy.address, b"GET / HTTP/1.0\r\nhost: h\r\n\r\n").await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("done"), "{answer}");
    let answer = proxy.client().get("/2").http2().send().await;
    assert_eq!(answer.text(), "done", "and so does one of HTTP/2");
}

#[tokio::test]
async fn through_both_tiers() {
    let redis = edge_cache_sandbox::Redis::start().await.unwrap();
    let origin = RawOrigin::start(|_| vec![Step::send(HINTS), Step::Send(final_answer("done").into())]).await;
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--redis", redis.url()]).start().await;
    let answer = raw(proxy.address, get("/", "connection: close\r\n").as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
}
