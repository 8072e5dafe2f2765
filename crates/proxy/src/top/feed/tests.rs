//! A feed against a server that says what the test tells it to.

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::top::stub::{Stub, event, hello, history, node, now};

/// What comes of the stub's node. The feed ends with the handle.
fn start(source: Source) -> (mpsc::Receiver<(usize, Event)>, AbortOnDropHandle<()>) {
    let (sender, events) = mpsc::channel(1);
    (events, AbortOnDropHandle::new(tokio::spawn(follow(source, 7, sender))))
}

async fn next(events: &mut mpsc::Receiver<(usize, Event)>) -> Event {
    let (number, event) = events.recv().await.unwrap();
    assert_eq!(number, 7);
    event
}

async fn lost(events: &mut mpsc::Receiver<(usize, Event)>) -> String {
    match next(events).await {
        Event::Lost(loss) => loss.reason(),
        other => panic!("not lost but {other:?}"),
    }
}

#[tokio::test]
async fn a_feed_greets_and_tells_what_was_and_what_is() {
    let mut stub = Stub::start().await;
    let source = Source { token: Some(HeaderValue::from_static("Bearer s3cret")), ..stub.source.clone() };
    let (mut events, _feed) = start(source);
    let mut client = stub.client().await;
    assert!(client.head.starts_with("GET /admin/performance/feed HTTP/1.1\r\n"), "{}", client.head);
    assert!(client.head.to_lowercase().contains("\r\nauthorization: bearer s3cret\r\n"), "{}", client.head);
    client.stream().await;
    client.send(&format!(": comment\n\n{}", hello("n1"))).await;
    client.send(&event("later", &serde_json::json!({"unknown": true}))).await;
    // In pieces, as a network may bring it.
    let text = history(1000.0, 20);
    let (a, b) = text.split_at(text.len() / 2);
    client.send(a).await;
    client.send(b).await;
    client.send(&now(1001.0)).await;
    assert!(matches!(next(&mut events).await, Event::Hello(hello) if hello.node.as_str() == "n1"));
    assert!(matches!(next(&mut events).await, Event::History(history) if history.fine.rows.len() == 20));
    assert!(matches!(next(&mut events).await, Event::Now(now) if now.state.totals.calls == 1000));
}

#[tokio::test]
async fn a_feed_that_is_cut_is_found_again() {
    let mut stub = Stub::start().await;
    let (mut events, _feed) = start(stub.source.clone());
    let mut client = stub.client().await;
    client.stream().await;
    client.send(&hello("n1")).await;
    assert!(matches!(next(&mut events).await, Event::Hello(_)));
    drop(client);
    let why = lost(&mut events).await;
    assert!(why.starts_with("the connection broke: "), "{why}");

    let mut client = stub.client().await;
    client.stream().await;
    client.send(&now(1001.0)).await;
    assert!(matches!(next(&mut events).await, Event::Now(_)));
    client.end().await;
    assert_eq!(lost(&mut events).await, "the node ended it");
    stub.client().await;
}

#[tokio::test]
async fn refusals_are_named() {
    let mut stub = Stub::start().await;
    let (mut events, _feed) = start(stub.source.clone());
    for (status, text, expected) in [
        ("401 Unauthorized", "", "401, a token is needed: set CACHE_PROXY_ADMIN_TOKEN"),
        ("401 Unauthorized", "send the token\nas Bearer\n", "401, send the token"),
        ("403 Forbidden", "\nask for it by \u{1b}[1maddress\n", "403, ask for it by \u{fffd}[1maddress"),
        ("404 Not Found", "", "404: no feed there; an older version, or no admin listener"),
        ("503 Service Unavailable", "halted", "503 Service Unavailable: halted"),
        ("200 OK", "<html>", "what answered is no feed"),
    ] {
        stub.client().await.refuse(status, text).await;
        assert_eq!(crate::top::text::Text::of(&lost(&mut events).await).as_str(), expected);
    }
}

#[tokio::test]
async fn what_is_no_document_of_the_feed_is_a_loss() {
    let mut stub = Stub::start().await;
    let (mut events, _feed) = start(stub.source.clone());
    let mut client = stub.client().await;
    client.stream().await;
    client.send("event: now\ndata: {\"sample\":[], \"state\":7}\n\n").await;
    let why = lost(&mut events).await;
    assert!(why.starts_with("the feed is not understood: invalid type: integer `7`"), "{why}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_or_falls_silent_is_lost() {
    let short = Duration::from_millis(1);
    let stub = Stub::start().await;
    let patience = Patience { answer: short, ..stub.source.patience };
    let (mut events, _feed) = start(Source { patience, ..stub.source.clone() });
    assert_eq!(lost(&mut events).await, "no answer within 1ms");

    let mut stub = Stub::start().await;
    let patience = Patience { silence: short, ..stub.source.patience };
    let (mut events, _feed) = start(Source { patience, ..stub.source.clone() });
    let mut client = stub.client().await;
    client.stream().await;
    assert_eq!(lost(&mut events).await, "silent for 1ms");
}

#[tokio::test]
async fn a_port_without_a_listener_is_a_loss() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let node = node(listener.local_addr().unwrap());
    drop(listener);
    let (mut events, _feed) = start(Source { node, token: None, patience: Patience::default() });
    let why = lost(&mut events).await;
    assert!(why.starts_with("no connection: tcp connect error: Connection refused"), "{why}");
}

#[tokio::test]
async fn a_feed_ends_with_its_listener() {
    let mut stub = Stub::start().await;
    let (events, feed) = start(stub.source.clone());
    stub.client().await.stream().await;
    drop(events);
    feed.await.unwrap();
}
