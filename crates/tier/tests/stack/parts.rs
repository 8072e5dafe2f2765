//! Parts of representations: stored, served, put together and completed (RFC 9111 §3.3, §3.4).

use std::time::Duration;

use edge_cache_core::marker::PurgeKind;
use edge_cache_policy::Mode;
use edge_cache_tier::{Purge, Target};
use futures_util::future::join_all;
use http::Request;

use crate::origin::{Bench, Got, Origin, answer, ask, get};
use tower::Layer;

const TEXT: &str = "0123456789";

/// An origin of [`TEXT`] that knows single ranges and `If-Range`, with these headers besides.
fn ranges(headers: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_, req| async move { ranged(&req, headers) })
}

fn ranged(req: &Request<()>, headers: &[(&str, &str)]) -> http::Response<crate::origin::Body> {
    let etag = headers.iter().find(|(name, _)| *name == "etag").map(|(_, value)| *value);
    let condition = req.headers().get("if-range").map(|value| value.to_str().unwrap());
    let range = req.headers().get("range").filter(|_| condition.is_none() || condition == etag);
    let Some(range) = range else { return answer(200, &[headers, &[("content-length", "10")]].concat(), TEXT) };
    let (first, last) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let last = last.parse().unwrap_or(9).min(9);
    let (said, len) = (format!("bytes {first}-{last}/10"), (last + 1 - first).to_string());
    let part = [("content-range", said.as_str()), ("content-length", len.as_str())];
    answer(206, &[headers, &part].concat(), &TEXT[first..=last])
}

const TAGGED: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];

fn part(range: &str) -> http::request::Builder {
    get("/a").header("range", range)
}

fn said(got: &Got) -> (u16, &str, &str) {
    (got.status.as_u16(), got.text.as_str(), got.header("content-range").unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_part_is_stored_and_answers_what_lies_within() {
    let origin = ranges(TAGGED);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let first = ask(&stack, part("bytes=2-6")).await;
    assert_eq!(said(&first), (206, "23456", "bytes 2-6/10"));
    assert_eq!(first.cache_status(), "edge-memory; fwd=uri-miss; ttl=60; stored");
    let within = ask(&stack, part("bytes=3-4")).await;
    assert_eq!(
        (said(&within), within.cache_status()),
        ((206, "34", "bytes 3-4/10"), "edge-memory; hit; ttl=60".into())
    );
    assert_eq!(origin.calls(), 1);
    // What lies outside, and what asks for all of it, goes on.
    let outside = ask(&stack, part("bytes=6-8")).await;
    assert_eq!(outside.cache_status(), "edge-memory; fwd=partial; ttl=60; stored");
    assert_eq!(ask(&stack, get("/a")).await.text, TEXT);
    assert_eq!(origin.last_header("range"), None, "what does not begin at the first byte is not completed");
}

#[tokio::test(start_paused = true)]
async fn parts_of_one_representation_grow_together_until_nothing_is_missing() {
    let origin = ranges(TAGGED);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    for range in ["bytes=4-6", "bytes=0-4"] {
        ask(&stack, part(range)).await;
    }
    assert_eq!(said(&ask(&stack, part("bytes=1-5")).await), (206, "12345", "bytes 1-5/10"));
    assert_eq!(origin.calls(), 2);
    ask(&stack, part("bytes=7-")).await;
    let whole = ask(&stack, get("/a")).await;
    assert_eq!((said(&whole), whole.header("content-length")), ((200, TEXT, ""), Some("10")));
    assert_eq!((whole.cache_status().as_str(), origin.calls()), ("edge-memory; hit; ttl=60", 3));
}

#[tokio::test(start_paused = true)]
async fn parts_without_a_common_strong_validator_are_kept_apart() {
    for tags in [["\"a\"", "\"b\""], ["W/\"a\"", "W/\"a\""], ["", ""]] {
        let origin = Origin::new(move |n, req| async move {
            let headers = [("cache-control", "max-age=60"), ("etag", tags[n % 2])];
            ranged(&req, &headers[..if tags[0].is_empty() { 1 } else { 2 }])
        });
        let stack = Bench::new(Mode::Rfc).over(&origin);
        ask(&stack, part("bytes=0-4")).await;
        ask(&stack, part("bytes=5-9")).await;
        assert_eq!(said(&ask(&stack, part("bytes=5-7")).await), (206, "567", "bytes 5-7/10"), "the newer one is kept");
        assert_eq!(origin.calls(), 2);
        ask(&stack, part("bytes=4-5")).await;
        assert_eq!(origin.calls(), 3, "{tags:?}: nothing was put together");
    }
}

#[tokio::test(start_paused = true)]
async fn what_begins_at_the_first_byte_is_completed() {
    let origin = ranges(TAGGED);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, part("bytes=0-3")).await;
    let all = join_all((0..20).map(|_| ask(&stack, get("/a")))).await;
    assert!(all.iter().all(|got| said(got) == (200, TEXT, "") && got.header("content-length") == Some("10")));
    assert_eq!(origin.calls(), 2, "one question for the rest");
    assert_eq!(origin.last_header("range").as_deref(), Some("bytes=4-"));
    assert_eq!(origin.last_header("if-range").as_deref(), Some("\"a\""));
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; hit; ttl=60");
}

#[tokio::test(start_paused = true)]
async fn a_representation_that_changed_is_not_completed() {
    let origin = Origin::new(|n, req| async move {
        ranged(&req, &[("cache-control", "max-age=60"), ("etag", if n == 0 { "\"a\"" } else { "\"b\"" })])
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, part("bytes=0-3")).await;
    let whole = ask(&stack, get("/a")).await;
    assert_eq!((said(&whole), whole.header("etag")), ((200, TEXT, ""), Some("\"b\"")));
    assert_eq!(origin.calls(), 2, "If-Range brought the whole at once");
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_does_not_fit_is_asked_for_as_a_whole() {
    // Without a validator only the answer can tell, and this one tells nothing that would do.
    let origin = ranges(&[("cache-control", "max-age=60")]);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, part("bytes=0-3")).await;
    let whole = ask(&stack, get("/a")).await;
    assert_eq!(said(&whole), (200, TEXT, ""));
    let asked: Vec<_> = origin.seen.lock().unwrap().iter().map(|parts| parts.headers.get("range").cloned()).collect();
    assert_eq!(asked, [Some("bytes=0-3".parse().unwrap()), Some("bytes=4-".parse().unwrap()), None]);
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; hit; ttl=60");
}

#[tokio::test(start_paused = true)]
async fn a_part_counts_by_its_first_byte_and_the_bytes_received() {
    let origin = Origin::new(|_, _| async {
        let headers = [("cache-control", "max-age=60"), ("content-range", "bytes 4-9/10"), ("content-length", "5")];
        answer(206, &headers, "45678")
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let first = ask(&stack, part("bytes=-5")).await;
    assert_eq!(said(&first), (206, "45678", "bytes 4-9/10"), "passed on as it came");
    assert_eq!(said(&ask(&stack, part("bytes=6-8")).await), (206, "678", "bytes 6-8/9"));
    assert_eq!(said(&ask(&stack, part("bytes=-2")).await), (206, "78", "bytes 7-8/9"));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_part_with_more_bytes_than_announced_or_in_several_pieces_is_not_stored() {
    for headers in [
        &[("content-range", "bytes 0-1/10")][..],
        &[("content-type", "multipart/byteranges; boundary=x")],
        &[("content-range", "lines 0-3/10")],
    ] {
        let origin = Origin::new(move |_, _| async move {
            answer(206, &[&[("cache-control", "max-age=60")][..], headers].concat(), "0123")
        });
        let stack = Bench::new(Mode::Rfc).over(&origin);
        for calls in 1..3 {
            let got = ask(&stack, part("bytes=0-3")).await;
            assert_eq!((got.status.as_u16(), got.text.as_str(), origin.calls()), (206, "0123", calls), "{headers:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_same_range_at_once_is_one_question() {
    let origin = Origin::new(|_, req| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        ranged(&req, TAGGED)
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let same = join_all((0..50).map(|_| ask(&stack, part("bytes=0-4"))));
    let other = join_all((0..50).map(|_| ask(&stack, part("bytes=5-9"))));
    let (same, other) = futures_util::join!(same, other);
    assert!(same.iter().all(|got| got.text == "01234") && other.iter().all(|got| got.text == "56789"));
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_purged_part_is_neither_served_nor_completed() {
    let origin = ranges(TAGGED);
    let bench = Bench::new(Mode::Rfc);
    let stack = bench.over(&origin);
    for kind in [PurgeKind::Soft, PurgeKind::Hard] {
        ask(&stack, part("bytes=0-3")).await;
        bench.purger.purge(&Purge { targets: vec![Target::All], kind }).await.unwrap();
        let calls = origin.calls();
        ask(&stack, part("bytes=1-2")).await;
        assert_eq!(origin.calls(), calls + 1);
        assert!(ask(&stack, part("bytes=1-2")).await.cache_status().contains("hit"), "the new part stands by itself");
        assert!(
            !ask(&stack, part("bytes=0-1")).await.cache_status().contains("hit"),
            "nothing of the old one is in it"
        );
        bench.purger.purge(&Purge { targets: vec![Target::All], kind }).await.unwrap();
        assert_eq!(ask(&stack, get("/a")).await.text, TEXT);
        assert_eq!(origin.last_header("range"), None, "{kind:?}");
        bench.purger.purge(&Purge { targets: vec![Target::All], kind: PurgeKind::Hard }).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_while_the_rest_is_read_kills_the_whole() {
    let bench = Bench::new(Mode::Rfc);
    let purger = bench.purger.clone();
    let origin = Origin::new(move |n, req| {
        let purger = purger.clone();
        async move {
            if n == 1 {
                purger.purge(&Purge { targets: vec![Target::All], kind: PurgeKind::Hard }).await.unwrap();
            }
            ranged(&req, TAGGED)
        }
    });
    let stack = bench.over(&origin);
    ask(&stack, part("bytes=0-3")).await;
    assert_eq!(ask(&stack, get("/a")).await.text, TEXT, "the leader keeps its own answer");
    let next = ask(&stack, get("/a")).await;
    assert_eq!((next.cache_status().as_str(), origin.calls()), ("edge-memory; fwd=uri-miss; ttl=60; stored", 3));
}

#[tokio::test(start_paused = true)]
async fn parts_move_up_from_an_inner_tier() {
    let origin = ranges(TAGGED);
    let bench = Bench::new(Mode::Rfc);
    let inner = bench.memory();
    let two = || bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    let first = two();
    ask(&first, part("bytes=0-3")).await;
    assert_eq!(ask(&first, part("bytes=1-2")).await.text, "12");
    let fresh_outside = two();
    assert_eq!(said(&ask(&fresh_outside, part("bytes=1-2")).await), (206, "12", "bytes 1-2/10"));
    assert_eq!(origin.calls(), 1, "the inner tier had it");
    assert_eq!(said(&ask(&fresh_outside, get("/a")).await), (200, TEXT, ""));
    assert_eq!((origin.calls(), origin.last_header("range").as_deref()), (2, Some("bytes=4-")));
    // The whole lies in both now.
    assert_eq!(said(&ask(&two(), part("bytes=8-")).await), (206, "89", "bytes 8-9/10"));
    assert_eq!(said(&ask(&fresh_outside, get("/a")).await), (200, TEXT, ""));
    assert_eq!(origin.calls(), 2);
}

/// As [`ranges`], but who asks with `If-Range` is told again only what a part must say (RFC 9110 §15.3.7).
fn brief() -> Origin {
    const ALL: &[(&str, &str)] =
        &[("cache-control", "max-age=60"), ("etag", "\"a\""), ("content-type", "text/odd"), ("content-digest", "odd")];
    Origin::new(move |_, req| async move {
        let headers = if req.headers().contains_key("if-range") { TAGGED } else { ALL };
        ranged(&req, headers)
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_part_does_not_say_again_stays_as_it_was() {
    let origin = brief();
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, part("bytes=0-3")).await;
    for served in ["completed", "stored"] {
        let whole = ask(&stack, get("/a")).await;
        assert_eq!((said(&whole), whole.header("content-type")), ((200, TEXT, ""), Some("text/odd")), "{served}");
        assert_eq!(whole.header("content-digest"), None, "{served}: it was of a part");
    }
    assert_eq!(origin.last_header("if-range").as_deref(), Some("\"a\""));
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_says_too_little_to_stand_alone_is_joined_or_not_kept() {
    let origin = brief();
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let having = |range| part(range).header("if-range", "\"a\"");
    ask(&stack, having("bytes=0-3")).await;
    let next = ask(&stack, part("bytes=0-3")).await;
    assert_eq!((next.header("content-type"), origin.calls()), (Some("text/odd"), 2), "nothing was kept");
    ask(&stack, having("bytes=4-5")).await;
    let both = ask(&stack, part("bytes=0-5")).await;
    assert_eq!((both.text.as_str(), both.header("content-type"), origin.calls()), ("012345", Some("text/odd"), 3));
}

#[tokio::test(start_paused = true)]
async fn guarded_fetches_the_whole_and_cuts_the_range() {
    let origin = ranges(TAGGED);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let all = join_all(["bytes=0-1", "bytes=5-", "bytes=-1"].map(|range| ask(&stack, part(range)))).await;
    let all: Vec<_> = all.iter().map(said).collect();
    assert_eq!(all, [(206, "01", "bytes 0-1/10"), (206, "56789", "bytes 5-9/10"), (206, "9", "bytes 9-9/10")]);
    assert_eq!((origin.calls(), origin.last_header("range")), (1, None));
}
