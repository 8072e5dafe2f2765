use std::time::Duration;

use edge_cache_core::{
    Disconnected,
    route::{PathPattern, Route},
};
use edge_cache_policy::Mode;
use tokio::time::advance;

use crate::origin::{Bench, Origin, answer, ask, get};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn age_grows_and_ends_in_a_revalidation() {
    let origin = Origin::new(|n, req| async move {
        match req.headers().get("if-none-match") {
            Some(tag) if tag == "\"v\"" => answer(304, &[("cache-control", "max-age=20"), ("x-round", "two")], ""),
            _ => answer(200, &[("cache-control", "max-age=10"), ("etag", "\"v\""), ("x-round", "one")], format!("{n}")),
        }
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, get("/a")).await;
    advance(9 * SECOND).await;
    let aged = ask(&stack, get("/a")).await;
    assert_eq!((aged.header("age"), aged.cache_status().as_str()), (Some("9"), "edge-memory; hit; ttl=1"));
    advance(SECOND).await;
    let renewed = ask(&stack, get("/a")).await;
    assert_eq!((renewed.status.as_u16(), renewed.text.as_str(), renewed.header("x-round")), (200, "0", Some("two")));
    assert_eq!(renewed.cache_status(), "edge-memory; fwd=stale; fwd-status=304; ttl=20; stored");
    advance(19 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; hit; ttl=1");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn stale_while_revalidate_answers_at_once_and_refreshes_once() {
    let origin = Origin::fixed(&[("cache-control", "max-age=10, stale-while-revalidate=30")]);
    let bench = Bench::new(Mode::Rfc);
    let tier = bench.memory();
    let stack = bench.outside(tower::Layer::layer(&tier, origin.clone()));
    ask(&stack, get("/a")).await;
    advance(15 * SECOND).await;
    for _ in 0..5 {
        let stale = ask(&stack, get("/a")).await;
        assert_eq!(stale.text, "body 0");
        assert_eq!(stale.cache_status(), "edge-memory; hit; ttl=-5; detail=stale-while-revalidate");
    }
    tier.drain().await;
    assert_eq!(origin.calls(), 2, "one refresh for five stale answers");
    let fresh = ask(&stack, get("/a")).await;
    assert_eq!((fresh.text.as_str(), fresh.cache_status().as_str()), ("body 1", "edge-memory; hit; ttl=10"));
}

/// Good first, then failing with this status.
fn failing_later(status: u16) -> Origin {
    Origin::new(move |n, _| async move {
        match n {
            0 => answer(200, &[("cache-control", "max-age=10, stale-if-error=600")], "good"),
            _ => answer(status, &[("cache-control", "no-store")], "bad"),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_failing_origin_is_hidden_by_the_stale_answer_within_its_limit() {
    let origin = failing_later(503);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, get("/a")).await;
    advance(60 * SECOND).await;
    let stale = ask(&stack, get("/a")).await;
    assert_eq!((stale.status.as_u16(), stale.text.as_str()), (200, "good"));
    assert_eq!(stale.cache_status(), "edge-memory; fwd=stale; fwd-status=503; ttl=-50; detail=stale-if-error");
    advance(600 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.status, 503, "past its limit");
}

#[tokio::test(start_paused = true)]
async fn a_failed_key_is_tried_again_after_the_throttle_only() {
    let origin = failing_later(500);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    ask(&stack, get("/a")).await;
    advance(60 * SECOND).await;
    for _ in 0..4 {
        assert_eq!(ask(&stack, get("/a")).await.text, "good");
    }
    assert_eq!(origin.calls(), 2);
    advance(31 * SECOND).await;
    ask(&stack, get("/a")).await;
    assert_eq!(origin.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_the_origin_has_taken_down_is_not_served_for_the_rest_of_its_window() {
    for (status, cache_control, outlives) in [
        (404, "no-store", false),
        (200, "private", false),
        (302, "no-store", false),
        (403, "no-store", false),
        // These say something of the request, or of how the origin does.
        (429, "no-store", true),
        (400, "no-store", true),
        (503, "no-store", true),
    ] {
        let origin = Origin::new(move |n, _| async move {
            match n {
                0 => answer(200, &[("cache-control", "max-age=10, stale-while-revalidate=86400")], "old"),
                _ => answer(status, &[("cache-control", cache_control)], "new"),
            }
        });
        let bench = Bench::new(Mode::Rfc);
        let tier = bench.memory();
        let stack = bench.outside(tower::Layer::layer(&tier, origin.clone()));
        ask(&stack, get("/a")).await;
        advance(15 * SECOND).await;
        assert_eq!(ask(&stack, get("/a")).await.text, "old", "{status}: asked anew behind it");
        tier.drain().await;
        let next = ask(&stack, get("/a")).await;
        assert_eq!(next.text, if outlives { "old" } else { "new" }, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_404_is_no_failure() {
    let origin = failing_later(404);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, get("/a")).await;
    advance(60 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_slow_origin_is_not_waited_for_when_a_stale_copy_will_do() {
    let origin = Origin::new(|n, _| async move {
        if n > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        answer(200, &[("cache-control", "max-age=10, stale-if-error=600")], format!("{n}"))
    });
    let bench = Bench::new(Mode::Guarded);
    let tier = bench.memory();
    let stack = bench.outside(tower::Layer::layer(&tier, origin.clone()));
    ask(&stack, get("/a")).await;
    advance(60 * SECOND).await;
    let stale = ask(&stack, get("/a")).await;
    assert_eq!(
        (stale.text.as_str(), stale.cache_status().as_str()),
        ("0", "edge-memory; fwd=stale; ttl=-51; detail=soft-timeout")
    );
    tier.drain().await;
    assert_eq!(ask(&stack, get("/a")).await.text, "1", "the fill went on and was stored");
}

#[tokio::test(start_paused = true)]
async fn must_revalidate_is_never_served_stale() {
    let origin = Origin::new(|n, _| async move {
        match n {
            0 => answer(200, &[("cache-control", "max-age=10, must-revalidate, stale-if-error=600")], "good"),
            _ => answer(503, &[], "bad"),
        }
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    ask(&stack, get("/a")).await;
    advance(11 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_route_s_defaults_count_under_guarded_only() {
    let route = || Route {
        ttl: Some(100 * SECOND),
        stale_if_error: Some(100 * SECOND),
        ..Route::new("all", PathPattern::any())
    };
    let origin = Origin::fixed(&[]);
    let guarded = Bench::with_routes(Mode::Guarded, [route()]).over(&origin);
    ask(&guarded, get("/a")).await;
    assert_eq!(
        ask(&guarded, get("/a")).await.cache_status(),
        "edge-memory; hit; ttl=90",
        "with the least jitter drawn"
    );
    let rfc = Bench::with_routes(Mode::Rfc, [route()]).over(&origin);
    assert!(ask(&rfc, get("/a")).await.cache_status().ends_with("detail=no-freshness"));
}

#[tokio::test(start_paused = true)]
async fn a_304_that_forbids_storing_answers_this_once() {
    let origin = Origin::new(|n, req| async move {
        match (n, req.headers().contains_key("if-none-match")) {
            (1, true) => answer(304, &[("cache-control", "no-store")], ""),
            _ => answer(200, &[("cache-control", "max-age=10"), ("etag", "\"v\"")], format!("{n}")),
        }
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, get("/a")).await;
    advance(11 * SECOND).await;
    let confirmed = ask(&stack, get("/a")).await;
    assert_eq!((confirmed.status.as_u16(), confirmed.text.as_str()), (200, "0"));
    assert_eq!(ask(&stack, get("/a")).await.text, "2", "and is kept no longer");
}

/// An answer once, then nobody answers: what a gateway says in place of an origin that hangs up.
fn vanishing(cache_control: &'static str) -> Origin {
    Origin::new(move |n, req| async move {
        if n == 0 || req.method() == "POST" {
            return answer(200, &[("cache-control", cache_control)], "body");
        }
        let mut gone = answer(502, &[("cache-control", "no-store")], "");
        gone.extensions_mut().insert(Disconnected);
        gone
    })
}

async fn when_the_origin_is_gone(mode: Mode, cache_control: &'static str, after: u64) -> (u16, String) {
    let bench = Bench::new(mode);
    let stack = bench.over(&vanishing(cache_control));
    ask(&stack, get("/a")).await;
    advance(u32::try_from(after).unwrap() * SECOND).await;
    let got = ask(&stack, get("/a")).await;
    (got.status.as_u16(), got.cache_status())
}

#[tokio::test(start_paused = true)]
async fn what_nothing_forbids_is_served_stale_when_the_origin_is_gone() {
    for mode in [Mode::Rfc, Mode::Guarded] {
        let (status, said) = when_the_origin_is_gone(mode, "max-age=10", 20).await;
        assert_eq!(status, 200, "{mode:?}");
        assert!(said.contains("fwd=stale") && said.ends_with("detail=disconnected"), "{said}");
        assert_eq!(when_the_origin_is_gone(mode, "max-age=10", 10 + 3600).await.0, 502, "an hour is the limit");
        assert_eq!(when_the_origin_is_gone(mode, "max-age=10, stale-if-error=15", 20).await.0, 200, "{mode:?}");
        assert_eq!(
            when_the_origin_is_gone(mode, "max-age=10, stale-if-error=5", 20).await.0,
            502,
            "{mode:?}: its own limit"
        );
        for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"] {
            let line = format!("max-age=10, {forbids}").leak();
            assert_eq!(when_the_origin_is_gone(mode, line, 20).await.0, 502, "{mode:?} {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_write_invalidated_is_not_served_when_the_origin_is_gone() {
    let bench = Bench::new(Mode::Rfc);
    let stack = bench.over(&vanishing("max-age=100, stale-if-error=100"));
    ask(&stack, get("/a")).await;
    ask(&stack, get("/a").method("POST")).await;
    assert_eq!(ask(&stack, get("/a")).await.status, 502, "RFC 9111 §4.4: validated before it is used again");
}

#[tokio::test(start_paused = true)]
async fn waiters_too_get_the_stale_copy_when_the_origin_is_gone() {
    let origin = Origin::new(|n, _| async move {
        if n == 0 {
            return answer(200, &[("cache-control", "max-age=10")], "body");
        }
        tokio::time::sleep(SECOND).await;
        let mut gone = answer(502, &[("cache-control", "no-store")], "");
        gone.extensions_mut().insert(Disconnected);
        gone
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, get("/a")).await;
    advance(20 * SECOND).await;
    let all = futures_util::future::join_all((0..10).map(|_| ask(&stack, get("/a")))).await;
    assert!(all.iter().all(|got| got.status == 200 && got.text == "body"), "{all:?}");
    assert_eq!(origin.calls(), 2);
}
