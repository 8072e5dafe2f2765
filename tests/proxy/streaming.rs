//! Bodies flow: nobody waits for the last byte to see the first.

use std::sync::Arc;

use edge_cache_tests::{Feed, Gate, Origin, ProxyBuilder, Reply};
use http::StatusCode;
use tokio::sync::Mutex;

#[tokio::test]
async fn the_first_piece_of_an_answer_arrives_before_the_last_is_sent() {
    for cache_control in ["max-age=60", "no-store"] {
        let (feeder, feed) = Feed::new();
        let feed = Arc::new(Mutex::new(Some(feed)));
        let origin = Origin::start(move |_| {
            let feed = Arc::clone(&feed);
            async move {
                let feed = feed.lock().await.take().unwrap();
                Reply::new(200).header("cache-control", cache_control).feed(feed)
            }
        })
        .await;
        let proxy = ProxyBuilder::serve(&origin.url()).start().await;
        assert!(feeder.push("one "));
        let mut answer = proxy.client().get("/").open().await;
        assert_eq!(answer.next().await.unwrap(), "one ");
        assert!(feeder.push("two"));
        assert_eq!(answer.next().await.unwrap(), "two");
        drop(feeder);
        assert_eq!(answer.next().await, None, "{cache_control}");
        if cache_control == "max-age=60" {
            let hit = proxy.get("/").await;
            assert!(hit.is_hit_of("memory"), "{hit:?}");
            assert_eq!(hit.text(), "one two");
        }
    }
}

#[tokio::test]
async fn a_second_client_reads_along_while_the_first_still_does() {
    let (feeder, feed) = Feed::new();
    let feed = Arc::new(Mutex::new(Some(feed)));
    let origin = Origin::start(move |_| {
        let feed = Arc::clone(&feed);
        async move { Reply::new(200).header("cache-control", "max-age=60").feed(feed.lock().await.take().unwrap()) }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    assert!(feeder.push("one "));
    let mut first = proxy.client().get("/").open().await;
    assert_eq!(first.next().await.unwrap(), "one ");
    let mut second = proxy.client().get("/").open().await;
    assert_eq!(second.next().await.unwrap(), "one ");
    assert!(feeder.push("two"));
    drop(feeder);
    assert_eq!(second.next().await.unwrap(), "two");
    assert_eq!(first.next().await.unwrap(), "two");
    assert_eq!((first.next().await, second.next().await), (None, None));
    assert_eq!(origin.count("/"), 1);
}

#[tokio::test]
async fn the_first_piece_of_a_request_arrives_before_the_last_is_sent() {
    let got_first = Gate::new();
    let gate = got_first.clone();
    let origin = Origin::start(move |mut request| {
        let gate = gate.clone();
        async move {
            let first = request.piece().await.unwrap();
            gate.open();
            let rest = request.whole().await;
            Reply::new(200).body([first, rest].concat())
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let (feeder, feed) = Feed::new();
    let asked = tokio::spawn(proxy.client().ask("POST", "/").body(feed).send());
    assert!(feeder.push("one "));
    got_first.passed().await;
    assert!(feeder.push("two"));
    drop(feeder);
    assert_eq!(asked.await.unwrap().text(), "one two");
}

#[tokio::test]
async fn a_body_beyond_what_a_tier_takes_streams_on_unstored() {
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let sent = body.clone();
    let origin = Origin::start(move |request| {
        let sent = sent.clone();
        async move {
            if request.seen.target == "/known" {
                return Reply::cached("max-age=60", sent);
            }
            let (feeder, feed) = Feed::new();
            for piece in sent.chunks(10_000) {
                assert!(feeder.push(piece.to_vec()));
            }
            Reply::new(200).header("cache-control", "max-age=60").feed(feed)
        }
    })
    .await;
    let toml = format!("[origin]\nurl = \"{}\"\n[memory]\nbody_bytes_max = 100000\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    for target in ["/known", "/grown"] {
        for _ in 0..2 {
            let answer = proxy.get(target).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert!(answer.body == body, "{target}: {} bytes", answer.body.len());
            assert!(!answer.is_hit_of("memory"), "{answer:?}");
        }
        assert_eq!(origin.count(target), 2);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_the_client_and_is_never_stored() {
    let read = Arc::new([Gate::new(), Gate::new()]);
    let gates = Arc::clone(&read);
    let origin = Origin::start(move |request| {
        let known = request.seen.target == "/known";
        let gate = gates[usize::from(known)].clone();
        async move {
            let (feeder, feed) = Feed::new();
            assert!(feeder.push("the beginning"));
            let reply = Reply::new(200).header("cache-control", "max-age=60");
            if request.earlier > 0 {
                assert!(feeder.push(" and the end"));
                return reply.feed(feed);
            }
            tokio::spawn(async move {
                gate.passed().await;
                feeder.cut()
            });
            if known { reply.header("content-length", "1000").feed(feed) } else { reply.feed(feed) }
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for (target, gate) in ["/grown", "/known"].into_iter().zip(&*read) {
        let mut cut = proxy.client().get(target).open().await;
        assert_eq!(cut.next().await.unwrap(), "the beginning");
        gate.open();
        let rest = cut.whole().await;
        assert!(rest.is_err(), "{target}: {rest:?}");
        let whole = proxy.get(target).await;
        assert!(!whole.is_hit_of("memory"), "{target}: {whole:?}");
        assert_eq!(whole.text(), "the beginning and the end");
        assert_eq!(proxy.get(target).await.text(), "the beginning and the end");
    }
}
