//! What parts must not do: stand for more than they hold, displace the whole, or lose what the whole is purged by.

use std::sync::Arc;

use bytes::Bytes;
use edge_cache_core::{marker::PurgeKind, route::Route};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use edge_cache_tier::{Purge, Target};
use futures_util::{FutureExt, stream};
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::Notify;
use tower::Layer;

use crate::origin::{Bench, Body, Origin, answer, ask, get};

fn part(range: &str) -> http::request::Builder {
    get("/a").header("range", range)
}

/// A body of these chunks, its length told by nothing but its end.
fn chunks(chunks: &'static [&'static str]) -> Body {
    let frames = chunks.iter().map(|chunk| Ok(http_body::Frame::data(Bytes::from_static(chunk.as_bytes()))));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

#[tokio::test(start_paused = true)]
async fn a_part_that_ends_early_is_not_stored_when_no_length_says_that_it_is_all() {
    let origin = Origin::new(|_, _| async {
        answer(206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-9/10")], "").map(|_| chunks(&["01"]))
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    for calls in 1..3 {
        ask(&stack, part("bytes=0-1")).await;
        assert_eq!(origin.calls(), calls, "nothing was kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_holds_all_is_the_whole() {
    let origin = Origin::new(|_, _| async {
        answer(
            206,
            &[("cache-control", "max-age=60"), ("content-range", "bytes 0-3/4"), ("content-length", "4")],
            "0123",
        )
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    assert_eq!(ask(&stack, part("bytes=0-")).await.status, 206);
    let whole = ask(&stack, get("/a")).await;
    assert_eq!((whole.status.as_u16(), whole.text.as_str(), whole.header("content-range")), (200, "0123", None));
    assert_eq!((whole.cache_status().as_str(), origin.calls()), ("edge-memory; hit; ttl=60", 1));
}

#[tokio::test(start_paused = true)]
async fn that_a_range_lies_outside_says_nothing_of_the_whole() {
    for mode in [Mode::Rfc, Mode::Guarded] {
        let origin = Origin::new(|_, req| async move {
            match req.headers().contains_key("range") {
                true => answer(416, &[("cache-control", "max-age=60, public"), ("content-range", "bytes */4")], ""),
                false => answer(200, &[("cache-control", "max-age=60")], "0123"),
            }
        });
        let stack = Bench::new(mode).over(&origin);
        assert_eq!(ask(&stack, part("bytes=9-")).await.status, 416);
        let whole = ask(&stack, get("/a")).await;
        assert_eq!((whole.status.as_u16(), whole.text.as_str()), (200, "0123"), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_breaks_off_is_not_asked_for_again() {
    let origin = Origin::new(|n, req| async move {
        let told = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
        match (n, req.headers().contains_key("range")) {
            (0, _) => answer(
                206,
                &[&told[..], &[("content-range", "bytes 0-3/10"), ("content-length", "4")]].concat(),
                "0123",
            ),
            (_, true) => {
                answer(206, &[&told[..], &[("content-range", "bytes 4-9/10")]].concat(), "").map(|_| chunks(&["45"]))
            }
            (_, false) => answer(200, &told, "0123456789"),
        }
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, part("bytes=0-3")).await;
    let cut = std::panic::AssertUnwindSafe(ask(&stack, get("/a"))).catch_unwind().await;
    assert!(cut.is_err(), "a body that breaks off is an error");
    assert_eq!(origin.last_header("range").as_deref(), Some("bytes=4-"));
    assert_eq!(ask(&stack, get("/a")).await.text, "0123456789");
    assert_eq!((origin.calls(), origin.last_header("range")), (3, None), "the part is gone with it");
}

#[tokio::test(start_paused = true)]
async fn a_part_does_not_displace_the_whole() {
    for whole in [&[("cache-control", "max-age=60")][..], &[("cache-control", "max-age=60"), ("vary", "accept")]] {
        let gate = Arc::new(Notify::new());
        let opened = Arc::clone(&gate);
        let origin = Origin::new(move |n, req| {
            let gate = Arc::clone(&gate);
            async move {
                if n == 0 {
                    gate.notified().await;
                }
                match req.headers().contains_key("range") {
                    true => answer(206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-1/4")], "01"),
                    false => answer(200, whole, "0123"),
                }
            }
        });
        let stack = Bench::new(Mode::Rfc).over(&origin);
        let mut range = Box::pin(ask(&stack, part("bytes=0-1")));
        assert!(range.as_mut().now_or_never().is_none());
        ask(&stack, get("/a")).await;
        opened.notify_one();
        assert_eq!(range.await.text, "01");
        assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; hit; ttl=60", "{whole:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_announces_two_lengths_is_not_begun() {
    let origin = Origin::new(|n, req| async move {
        let told = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
        let part = |range, len, text| {
            answer(206, &[&told[..], &[("content-range", range), ("content-length", len)]].concat(), text)
        };
        match (n, req.headers().contains_key("range")) {
            (0, _) => part("bytes 0-3/10", "4", "0123"),
            (_, true) => part("bytes 4-9/10", "2", "45"),
            (_, false) => answer(200, &told, "0123456789"),
        }
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, part("bytes=0-3")).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "0123456789");
    assert_eq!(origin.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_another_type_than_the_route_s_is_not_stored() {
    let route = Route { content_types: vec!["video/mp4".into()], ..Route::fallback() };
    let origin = Origin::new(|_, req| async move {
        let headers =
            [("cache-control", "max-age=60"), ("content-type", "text/html"), ("content-range", "bytes 0-1/4")];
        match req.headers().contains_key("range") {
            true => answer(206, &headers, "01"),
            false => answer(200, &headers[..2], "0123"),
        }
    });
    let stack = Bench::with_routes(Mode::Guarded, [route]).over(&origin);
    // Only after a whole that may not be kept a range goes inward as it is.
    ask(&stack, get("/a")).await;
    for calls in 2..4 {
        assert_eq!(ask(&stack, part("bytes=0-1")).await.status, 206);
        assert_eq!((origin.calls(), origin.last_header("range").as_deref()), (calls, Some("bytes=0-1")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_cut_from_a_body_on_its_way_is_purged_by_the_tags_of_the_whole() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let origin = Origin::new(move |n, _| {
        let gate = Arc::clone(&gate);
        async move {
            let headers = [("cache-control", "max-age=60"), ("cache-tag", "t"), ("content-length", "4")];
            let first = stream::iter([Ok(http_body::Frame::data(Bytes::from(format!("{n}1"))))]);
            let last = stream::once(async move {
                gate.notified().await;
                Ok(http_body::Frame::data(Bytes::from_static(b"23")))
            });
            answer(200, &headers, "").map(|_| StreamBody::new(stream::StreamExt::chain(first, last)).boxed_unsync())
        }
    });
    let bench = Bench::new(Mode::Guarded);
    let inner = bench.memory();
    // Too small for the whole: it keeps parts.
    let outer = bench.tier(MemoryStore::new(&MemoryConfig { body_bytes_max: 3, ..MemoryConfig::default() }));
    let stack = bench.outside(outer.layer(inner.layer(origin.clone())));
    let mut whole = Box::pin(ask(&stack, get("/a")));
    let cut = async {
        while origin.calls() == 0 {
            tokio::task::yield_now().await;
        }
        let first = ask(&stack, part("bytes=0-1")).await;
        let again = ask(&stack, part("bytes=0-1")).await;
        opened.notify_one();
        (first, again)
    };
    let (_, (first, again)) = futures_util::join!(whole.as_mut(), cut);
    assert_eq!((first.text.as_str(), again.text.as_str(), origin.calls()), ("01", "01", 1));
    assert_eq!(again.cache_status(), "edge-memory; hit; ttl=60", "the part that was cut is kept outside");
    bench.purger.purge(&Purge { targets: vec![Target::Tag("t".into())], kind: PurgeKind::Hard }).await.unwrap();
    opened.notify_one();
    assert_eq!(ask(&stack, part("bytes=0-1")).await.text, "11");
}

#[tokio::test(start_paused = true)]
async fn parts_gather_no_more_tags_than_one_entry_may_have() {
    let origin = Origin::new(|n, _| async move {
        let tags: Vec<_> = (0..100).map(|tag| format!("{n}-{tag}")).collect();
        let (range, tags) = (format!("bytes {n}-{n}/9"), tags.join(","));
        let headers =
            [("cache-control", "max-age=60"), ("etag", "\"a\""), ("content-range", &range), ("cache-tag", &tags)];
        answer(206, &headers, n.to_string())
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    for n in 0..3 {
        ask(&stack, part(&format!("bytes={n}-{n}"))).await;
    }
    assert_eq!(ask(&stack, part("bytes=2-2")).await.text, "2");
    assert_eq!(origin.calls(), 3);
    ask(&stack, part("bytes=0-1")).await;
    assert_eq!(origin.calls(), 4, "the third stands alone");
}
