use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use edge_cache_core::{
    marker::PurgeKind,
    route::{Identity, PathPattern, QueryRule, Route},
};
use edge_cache_policy::Mode;
use edge_cache_tier::{AfterWrite, InvalidateLayer, KeyLayer, Purge, RequestBody, Target};
use futures_util::FutureExt;
use http::Request;
use http_body_util::Full;
use tokio::sync::Notify;
use tower::{Layer, ServiceExt, service_fn};

use crate::origin::{Bench, Origin, answer, ask, get};

fn post(path: &str) -> http::request::Builder {
    Request::post(path).header("host", "h.example")
}

/// Reads are kept for a minute under the tag `t`; a write is answered like this.
fn writing(status: u16, headers: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |n, req| async move {
        match req.method().as_str() {
            "GET" => {
                answer(200, &[("cache-control", "max-age=60, stale-if-error=60"), ("cache-tag", "t")], format!("{n}"))
            }
            _ => answer(status, headers, "written"),
        }
    })
}

/// Whether `read` is still a hit after `write`.
async fn survives(origin: &Origin, read: &str, write: &str) -> bool {
    let stack = Bench::new(Mode::Guarded).over(origin);
    ask(&stack, get(read)).await;
    let written = ask(&stack, post(write)).await;
    assert_eq!(written.cache_status(), "edge-memory; fwd=method");
    assert_eq!(written.header("cache-group-invalidation"), None, "that is for us");
    ask(&stack, get(read)).await.cache_status().contains("hit")
}

#[tokio::test(start_paused = true)]
async fn a_write_purges_its_own_uri_and_what_it_points_to() {
    assert!(!survives(&writing(204, &[]), "/a", "/a").await);
    assert!(survives(&writing(204, &[]), "/b", "/a").await);
    assert!(!survives(&writing(201, &[("location", "/b")]), "/b", "/a").await);
    assert!(!survives(&writing(200, &[("content-location", "http://h.example/b")]), "/b", "/a").await);
    assert!(survives(&writing(201, &[("location", "http://other.example/b")]), "/b", "/a").await);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_failed_purges_nothing() {
    for status in [400, 409, 500] {
        let headers = &[("cache-group-invalidation", "\"t\""), ("location", "/a")];
        assert!(survives(&writing(status, headers), "/a", "/a").await, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_purges_the_groups_it_names() {
    assert!(!survives(&writing(200, &[("cache-group-invalidation", "\"x\", \"t\";hard")]), "/a", "/w").await);
    assert!(survives(&writing(200, &[("cache-group-invalidation", "\"x\"")]), "/a", "/w").await);
}

#[tokio::test(start_paused = true)]
async fn a_write_runs_once_and_to_its_end_though_its_client_leaves() {
    let gate = Arc::new(Notify::new());
    let (wait, done) = (Arc::clone(&gate), Arc::new(Notify::new()));
    let ended = Arc::clone(&done);
    let origin = Origin::new(move |n, req| {
        let (wait, ended) = (Arc::clone(&wait), Arc::clone(&ended));
        async move {
            if req.method() == "POST" {
                wait.notified().await;
                ended.notify_one();
                return answer(200, &[("cache-group-invalidation", "\"t\"")], "written");
            }
            answer(200, &[("cache-control", "max-age=60"), ("cache-tag", "t")], format!("{n}"))
        }
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    ask(&stack, get("/a")).await;
    let mut client = Box::pin(ask(&stack, post("/w")));
    assert!(client.as_mut().now_or_never().is_none());
    tokio::task::yield_now().await;
    drop(client);
    gate.notify_one();
    done.notified().await;
    tokio::task::yield_now().await;
    assert_eq!(ask(&stack, get("/a")).await.text, "2", "the write was purged for all the same");
    assert_eq!(origin.calls(), 3);
}

/// A POST that says what it made: under its own URI, for a minute.
fn posting(headers: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |n, req| async move {
        match req.method().as_str() {
            "GET" => answer(200, &[("cache-control", "max-age=60")], format!("read {n}")),
            _ => answer(200, headers, "posted"),
        }
    })
}

const STANDS: &[(&str, &str)] = &[("content-location", "/a"), ("cache-control", "max-age=60")];

#[tokio::test(start_paused = true)]
async fn a_post_that_says_so_answers_later_gets() {
    let origin = posting(STANDS);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    assert_eq!(ask(&stack, get("/a")).await.text, "read 0");
    assert_eq!(ask(&stack, post("/a")).await.text, "posted");
    let read = ask(&stack, get("/a")).await;
    assert_eq!((read.text.as_str(), read.cache_status().as_str()), ("posted", "edge-memory; hit; ttl=60"));
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_does_not_say_so_answers_nothing() {
    for headers in [
        &[("content-location", "/b"), ("cache-control", "max-age=60")][..],
        &[("content-location", "/a")],
        &[("cache-control", "max-age=60")],
        &[("content-location", "/a"), ("cache-control", "max-age=60, private")],
        &[("content-location", "http://other.example/a"), ("cache-control", "max-age=60")],
    ] {
        let origin = posting(headers.to_vec().leak());
        let stack = Bench::new(Mode::Rfc).over(&origin);
        ask(&stack, post("/a")).await;
        assert_eq!(ask(&stack, get("/a")).await.text, "read 1", "{headers:?}");
    }
}

/// Whether what a POST of `uri` with this header answered is kept for reads, under `guarded`.
async fn is_kept_guarded(uri: &str, header: (&str, &str)) -> bool {
    let origin = posting(vec![("content-location", uri.to_owned().leak() as &str), STANDS[1]].leak());
    let route = Route { identity: Identity::Free, query: QueryRule::Allow(vec!["b".into()]), ..Route::fallback() };
    let stack = Bench::with_routes(Mode::Guarded, [route]).over(&origin);
    ask(&stack, post(uri).header(header.0, header.1)).await;
    ask(&stack, get(uri)).await.text == "posted"
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_read_would_not_get_is_not_kept() {
    assert!(is_kept_guarded("/a", ("x-a", "1")).await);
    for header in [("cookie", "who=me"), ("authorization", "me"), ("x-forwarded-host", "elsewhere")] {
        assert!(!is_kept_guarded("/a", header).await, "{header:?}");
    }
    assert!(is_kept_guarded("/a?b=1", ("x-a", "1")).await);
    assert!(!is_kept_guarded("/a?b=1&c=2", ("x-a", "1")).await, "a read would ask without the other parameter");
}

#[tokio::test(start_paused = true)]
async fn a_purge_while_a_post_runs_forbids_to_keep_its_answer() {
    let bench = Bench::new(Mode::Rfc);
    for target in [Target::All, Target::Prefix { authority: "h.example".into(), prefix: "/".into() }] {
        let purger = bench.purger.clone();
        let (counted, inside) = (target.clone(), purger.clone());
        let origin = Origin::new(move |n, req| {
            let (inside, target) = (inside.clone(), counted.clone());
            async move {
                if req.method() == "GET" {
                    return answer(200, &[("cache-control", "max-age=60")], format!("read {n}"));
                }
                // Another's write: who knows which of the two the answer shows.
                inside.purge(&Purge { targets: vec![target], kind: PurgeKind::Hard }).await.unwrap();
                answer(200, STANDS, "posted")
            }
        });
        let stack = bench.over(&origin);
        assert_eq!(ask(&stack, post("/a")).await.text, "posted");
        assert_eq!(ask(&stack, get("/a")).await.text, "read 1", "{target:?}");
        purger.purge(&Purge { targets: vec![Target::All], kind: PurgeKind::Hard }).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_after_a_post_purges_its_answer() {
    let (bench, origin) = (Bench::new(Mode::Rfc), posting(STANDS));
    let stack = bench.over(&origin);
    ask(&stack, post("/a")).await;
    bench.purger.purge(&Purge { targets: vec![Target::All], kind: PurgeKind::Hard }).await.unwrap();
    assert_eq!(ask(&stack, get("/a")).await.text, "read 1");
}

#[tokio::test(start_paused = true)]
async fn a_group_is_purged_on_its_own_origin_only() {
    for mode in [Mode::Rfc, Mode::Guarded] {
        let origin = Origin::new(|_, req| async move {
            match req.method().as_str() {
                "GET" => answer(200, &[("cache-control", "max-age=60"), ("cache-groups", "\"g\", \"h\"")], "read"),
                _ => answer(204, &[("cache-group-invalidation", "\"g\"")], ""),
            }
        });
        let stack = Bench::new(mode).over(&origin);
        let read = |host: &'static str| Request::get("/a").header("host", host);
        let first = ask(&stack, read("h.example")).await;
        assert_eq!(first.header("cache-groups"), Some("\"g\", \"h\""), "for every cache on the way");
        ask(&stack, read("other.example")).await;
        ask(&stack, post("/elsewhere")).await;
        assert!(!ask(&stack, read("h.example")).await.cache_status().contains("hit"), "{mode:?}");
        assert!(ask(&stack, read("other.example")).await.cache_status().contains("hit"), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_route_that_is_written_to_says_what_a_group_is() {
    let route = |mode| {
        let pattern = PathPattern::parse("/strict/*").unwrap();
        Route { policy: Some(mode), ..Route::new("strict", pattern) }
    };
    for (mode, other, survives) in [(Mode::Guarded, Mode::Rfc, true), (Mode::Rfc, Mode::Guarded, false)] {
        let origin = writing(204, &[("cache-group-invalidation", "\"t\"")]);
        let stack = Bench::with_routes(mode, [route(other)]).over(&origin);
        ask(&stack, get("/a")).await;
        ask(&stack, post("/strict/a")).await;
        assert_eq!(ask(&stack, get("/a")).await.cache_status().contains("hit"), survives, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_write_to_be_purged_hears_of_it_where_its_groups_are_tags() {
    let named = &[("cache-group-invalidation", "\"t\"")];
    for (mode, headers, heard) in [(Mode::Guarded, &named[..], 1), (Mode::Guarded, &[], 0), (Mode::Rfc, &named[..], 0)]
    {
        let (bench, origin) = (Bench::new(mode), writing(200, headers));
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let after = AfterWrite::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let invalidate = InvalidateLayer::new(bench.purger.clone()).after(Some(after));
        let stack = KeyLayer::new(bench.keying.clone()).layer(invalidate.layer(origin));
        ask(&stack, post("/a")).await;
        assert_eq!(calls.load(Ordering::SeqCst), heard, "{mode:?} {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_nobody_can_tell_of_is_purged_for() {
    let (bench, origin) = (Bench::new(Mode::Guarded), writing(200, &[]));
    let memory = bench.memory();
    let reads = bench.outside(memory.layer(origin));
    ask(&reads, get("/a")).await;
    let broken = service_fn(|_: Request<RequestBody<Full<Bytes>>>| async {
        Err::<http::Response<Full<Bytes>>, _>(std::io::Error::other("the connection broke"))
    });
    let writes = bench.outside(memory.layer(broken));
    let request = post("/a").body(Full::<Bytes>::default()).unwrap();
    assert!(writes.oneshot(request).await.is_err());
    assert!(ask(&reads, get("/a")).await.cache_status().contains("fwd=stale"), "it may have happened");
}
