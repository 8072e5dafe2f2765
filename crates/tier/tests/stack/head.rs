//! HEAD: answered from a stored GET, and what its own answer tells of one (RFC 9111 §4.3.5).

use std::time::Duration;

use edge_cache_core::marker::PurgeKind;
use edge_cache_policy::Mode;
use edge_cache_tier::{Purge, Target};
use http::Request;

use crate::origin::{Bench, Origin, answer, ask, get};

fn head() -> http::request::Builder {
    Request::head("/a").header("host", "h.example")
}

/// A GET's answer first, then this to a HEAD.
fn then(headers: &'static [(&'static str, &'static str)], status: u16) -> Origin {
    Origin::new(move |n, req| async move {
        match (n, req.method().as_str()) {
            (0, _) => answer(200, &[("cache-control", "max-age=10"), ("etag", "\"a\""), ("x-a", "1")], "body"),
            (_, "HEAD") => answer(status, headers, ""),
            _ => answer(200, &[("cache-control", "max-age=10")], "another"),
        }
    })
}

async fn after_head(headers: &'static [(&'static str, &'static str)], status: u16) -> (Bench, Origin, String) {
    let (bench, origin) = (Bench::new(Mode::Rfc), then(headers, status));
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    ask(&stack, head()).await;
    assert_eq!(origin.calls(), 2);
    let next = ask(&stack, get("/a")).await.text;
    (bench, origin, next)
}

#[tokio::test(start_paused = true)]
async fn a_fresh_one_is_answered_without_the_origin() {
    let (bench, origin) = (Bench::new(Mode::Rfc), then(&[], 200));
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    let got = ask(&stack, head()).await;
    assert_eq!((got.text.as_str(), got.header("content-length"), origin.calls()), ("", Some("4"), 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_agrees_brings_the_stored_one_up_to_date() {
    let (_bench, origin, next) =
        after_head(&[("cache-control", "max-age=1000"), ("etag", "\"a\""), ("content-length", "4"), ("x-b", "2")], 200)
            .await;
    assert_eq!((next.as_str(), origin.calls()), ("body", 2), "fresh again");
}

#[tokio::test(start_paused = true)]
async fn its_client_gets_what_the_origin_said_and_no_more() {
    let (bench, origin) = (Bench::new(Mode::Rfc), then(&[("cache-control", "no-store"), ("x-b", "2")], 200));
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    let got = ask(&stack, head()).await;
    assert_eq!([got.header("x-b"), got.header("etag"), got.header("x-a")], [Some("2"), None, None]);
    assert_eq!(got.header("content-length"), None, "that of another answer (RFC 9110 §8.6)");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_disagrees_makes_the_stored_one_useless() {
    let fresh = ("cache-control", "max-age=1000");
    for headers in [&[("cache-control", "max-age=1000"), ("etag", "\"b\"")][..], &[fresh, ("content-length", "5")]] {
        let headers: &'static [(&'static str, &'static str)] = headers.to_vec().leak();
        let (_bench, origin, next) = after_head(headers, 200).await;
        assert_eq!((next.as_str(), origin.calls()), ("another", 3), "{headers:?}");
        assert_eq!(origin.last_header("if-none-match"), None, "not even its validators are good for anything");
    }
}

#[tokio::test(start_paused = true)]
async fn another_status_says_nothing_of_the_stored_one() {
    let (_bench, origin, _) = after_head(&[("cache-control", "max-age=1000")], 410).await;
    assert_eq!(origin.last_header("if-none-match").as_deref(), Some("\"a\""), "it was validated");
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_the_stored_one_lacks_makes_it_useless() {
    let origin = Origin::new(|n, req| async move {
        match req.method().as_str() {
            "HEAD" => answer(200, &[("cache-control", "max-age=1000"), ("etag", "\"b\"")], ""),
            _ => answer(200, &[("cache-control", "max-age=10")], format!("body {n}")),
        }
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, get("/a")).await;
    tokio::time::advance(Duration::from_secs(20)).await;
    ask(&stack, head()).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "body 2");
}

#[tokio::test(start_paused = true)]
async fn only_a_validator_confirms_what_was_purged() {
    for (named, calls) in [(&[("cache-control", "max-age=1000")][..], 3), (&[("etag", "\"a\"")], 2)] {
        let headers = [&[("cache-control", "max-age=1000")][..], named].concat();
        let (bench, origin) = (Bench::new(Mode::Rfc), then(headers.leak(), 200));
        let stack = bench.over(&origin);
        ask(&stack, get("/a")).await;
        bench.purger.purge(&Purge { targets: vec![Target::All], kind: PurgeKind::Soft }).await.unwrap();
        let told = ask(&stack, head()).await;
        assert_eq!(
            told.header("x-a").is_some(),
            calls == 2,
            "{named:?}: what a GET would bring, and nothing that was purged"
        );
        ask(&stack, get("/a")).await;
        assert_eq!(origin.calls(), calls, "{named:?}");
    }
}
