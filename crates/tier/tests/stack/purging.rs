use std::{sync::Arc, time::Duration};

use edge_cache_core::marker::PurgeKind;
use edge_cache_policy::Mode;
use edge_cache_tier::{Purge, Target};
use futures_util::FutureExt;
use tokio::{sync::Notify, time::advance};
use tower::Layer;

use crate::origin::{Bench, Origin, answer, ask, get};

const TAGGED: &[(&str, &str)] =
    &[("cache-control", "max-age=60, stale-while-revalidate=60, stale-if-error=600"), ("cache-tag", "pitch-1")];

fn tag(kind: PurgeKind) -> Purge {
    Purge { targets: vec![Target::Tag("pitch-1".into())], kind }
}

fn url(path: &str, query: &str) -> Target {
    let (path, query) = (path.to_owned(), query.to_owned());
    Target::Url { scheme: "http".into(), authority: "H.example".into(), path, query }
}

#[tokio::test(start_paused = true)]
async fn each_target_purges_what_it_names_and_no_more() {
    let prefix = |prefix: &str| Target::Prefix { authority: "h.example".into(), prefix: prefix.into() };
    for (target, hit) in [
        (Target::Tag("pitch-1".into()), false),
        (Target::Tag("pitch-2".into()), true),
        (url("/api/x", "b=2&a=1"), false),
        (url("/api/x", ""), true),
        (prefix("/api/"), false),
        (prefix("/other/"), true),
        (Target::All, false),
    ] {
        let (bench, origin) = (Bench::new(Mode::Guarded), Origin::fixed(TAGGED));
        let stack = bench.over(&origin);
        ask(&stack, get("/api/x?a=1&b=2")).await;
        let receipt =
            bench.purger.purge(&Purge { targets: vec![target.clone()], kind: PurgeKind::Soft }).await.unwrap();
        assert!(receipt.seq.is_some());
        let got = ask(&stack, get("/api/x?a=1&b=2")).await;
        assert_eq!(got.cache_status().contains("hit"), hit, "{target:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fill_that_began_before_the_purge_is_not_served_after_it() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let origin = Origin::new(move |n, _| {
        let wait = Arc::clone(&wait);
        async move {
            // The row is read now; the answer travels for a while.
            let row = format!("row {n}");
            if n == 0 {
                wait.notified().await;
            }
            answer(200, TAGGED, row)
        }
    });
    let bench = Bench::new(Mode::Guarded);
    let stack = bench.over(&origin);
    let mut leader = Box::pin(ask(&stack, get("/a")));
    assert!(leader.as_mut().now_or_never().is_none());
    let mut waiter = Box::pin(ask(&stack, get("/a")));
    assert!(waiter.as_mut().now_or_never().is_none());
    while origin.calls() == 0 {
        tokio::task::yield_now().await;
    }
    bench.purger.purge(&tag(PurgeKind::Soft)).await.unwrap();
    gate.notify_one();
    assert_eq!(leader.await.text, "row 0", "its own reader asked before the purge");
    assert_eq!(waiter.await.text, "row 1", "a waiter treats the flight's answer as a hit");
    assert_eq!(ask(&stack, get("/a")).await.text, "row 1");
}

#[tokio::test(start_paused = true)]
async fn a_background_refresh_that_began_before_the_purge_is_not_served_after_it() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let origin = Origin::new(move |n, _| {
        let wait = Arc::clone(&wait);
        async move {
            if n == 1 {
                wait.notified().await;
            }
            answer(200, TAGGED, format!("row {n}"))
        }
    });
    let bench = Bench::new(Mode::Guarded);
    let tier = bench.memory();
    let stack = bench.outside(tier.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(Duration::from_secs(70)).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "row 0");
    tokio::task::yield_now().await;
    bench.purger.purge(&tag(PurgeKind::Hard)).await.unwrap();
    gate.notify_one();
    tier.drain().await;
    assert_eq!(ask(&stack, get("/a")).await.text, "row 2");
}

#[tokio::test(start_paused = true)]
async fn a_softly_purged_entry_waits_for_the_origin_and_helps_only_if_that_fails() {
    for (kind, status, text) in [(PurgeKind::Soft, 200, "row 0"), (PurgeKind::Hard, 503, "down")] {
        let origin = Origin::new(|n, _| async move {
            match n {
                0 => answer(200, TAGGED, "row 0"),
                _ => answer(503, &[], "down"),
            }
        });
        let bench = Bench::new(Mode::Guarded);
        let stack = bench.over(&origin);
        ask(&stack, get("/a")).await;
        bench.purger.purge(&tag(kind)).await.unwrap();
        for calls in [2, 3] {
            let got = ask(&stack, get("/a")).await;
            assert_eq!((got.status.as_u16(), got.text.as_str()), (status, text), "{kind:?}");
            assert_eq!(
                origin.calls(),
                calls,
                "each answer needs a failure of its own: no throttle, no stale-while-revalidate"
            );
            assert_eq!(got.cache_status().contains("fwd=stale"), kind == PurgeKind::Soft);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_not_found_is_purged_by_the_tag_its_row_would_have() {
    let origin = Origin::new(|n, _| async move {
        match n {
            0 => answer(404, &[("cdn-cache-control", "max-age=60"), ("cache-tag", "pitch-1")], "none"),
            _ => answer(200, TAGGED, "there"),
        }
    });
    let bench = Bench::new(Mode::Guarded);
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; hit; ttl=60");
    bench.purger.purge(&tag(PurgeKind::Soft)).await.unwrap();
    assert_eq!(ask(&stack, get("/a")).await.text, "there");
}

#[tokio::test(start_paused = true)]
async fn every_variant_of_a_url_is_purged_with_it() {
    let origin = Origin::fixed(&[("cache-control", "max-age=60"), ("vary", "accept")]);
    let bench = Bench::new(Mode::Guarded);
    let stack = bench.over(&origin);
    let accept = |kind| get("/a").header("accept", kind);
    ask(&stack, accept("a")).await;
    ask(&stack, accept("b")).await;
    bench.purger.purge(&Purge { targets: vec![url("/a", "")], kind: PurgeKind::Soft }).await.unwrap();
    assert_eq!(ask(&stack, accept("a")).await.text, "body 2");
    assert_eq!(ask(&stack, accept("b")).await.text, "body 3");
}

#[tokio::test(start_paused = true)]
async fn a_purged_copy_is_not_served_because_a_wait_was_long() {
    let origin = Origin::new(|n, _| async move {
        if n > 0 {
            tokio::time::sleep(Duration::from_millis(2500)).await;
        }
        answer(200, TAGGED, format!("row {n}"))
    });
    let bench = Bench::new(Mode::Guarded);
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    bench.purger.purge(&tag(PurgeKind::Soft)).await.unwrap();
    let answers = futures_util::future::join_all((0..3).map(|_| ask(&stack, get("/a")))).await;
    assert!(answers.iter().all(|got| got.text != "row 0"), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn an_old_body_does_not_return_under_a_new_fence() {
    // The memory tier holds a purged body and validates it inward; the inner tier fetches a new one whose date does not differ.
    let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    let origin = Origin::new(move |n, _| async move {
        let chunks: Vec<Result<_, edge_cache_core::BoxError>> =
            vec![Ok(http_body::Frame::data(format!("row {n}").into()))];
        let slow = futures_util::StreamExt::then(futures_util::stream::iter(chunks), |chunk| async move {
            tokio::task::yield_now().await;
            chunk
        });
        let mut response =
            http::Response::new(http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(slow)));
        for (name, value) in [("cache-control", "max-age=60"), ("cache-tag", "pitch-1"), modified] {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    });
    let bench = Bench::new(Mode::Rfc);
    let far = edge_cache_testkit::FlakyStore::new(
        edge_cache_memory::MemoryStore::new(&edge_cache_memory::MemoryConfig::default()),
        edge_cache_core::TierName::Redis,
    );
    let stack = bench.outside(bench.memory().layer(bench.tier(far).layer(origin.clone())));
    assert_eq!(ask(&stack, get("/a")).await.text, "row 0");
    bench.purger.purge(&tag(PurgeKind::Soft)).await.unwrap();
    assert_eq!(ask(&stack, get("/a")).await.text, "row 1");
    assert_eq!(ask(&stack, get("/a")).await.text, "row 1");
}

#[tokio::test(start_paused = true)]
async fn a_purge_under_a_streaming_fill_starts_one_new_fill() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let origin = Origin::new(move |n, _| {
        let wait = Arc::clone(&wait);
        async move {
            let late = async_stream(n, wait);
            let mut response = http::Response::new(late);
            for (name, value) in TAGGED {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
    });
    let bench = Bench::new(Mode::Guarded);
    let stack = bench.over(&origin);
    let mut leader = Box::pin(ask(&stack, get("/a")));
    assert!(leader.as_mut().now_or_never().is_none());
    while origin.calls() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    bench.purger.purge(&tag(PurgeKind::Soft)).await.unwrap();
    let others = futures_util::future::join_all((0..100).map(|_| ask(&stack, get("/a"))));
    let release = async {
        for _ in 0..50 {
            tokio::task::yield_now().await;
            gate.notify_waiters();
        }
    };
    let (leader, others, ()) = tokio::join!(leader, others, release);
    assert_eq!(leader.text, "row 0");
    assert!(others.iter().all(|got| got.text == "row 1"));
    assert_eq!(origin.calls(), 2);
}

/// A body whose only piece comes when the gate opens.
fn async_stream(n: usize, gate: Arc<Notify>) -> crate::origin::Body {
    let piece = futures_util::stream::once(async move {
        gate.notified().await;
        Ok::<_, edge_cache_core::BoxError>(http_body::Frame::data(format!("row {n}").into()))
    });
    http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(piece))
}
