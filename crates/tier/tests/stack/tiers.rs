use std::{sync::Arc, time::Duration};

use edge_cache_core::{Served, TierName};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use edge_cache_testkit::FlakyStore;
use tokio::time::advance;
use tower::Layer;

use crate::origin::{Bench, Origin, answer, ask, get};

const SECOND: Duration = Duration::from_secs(1);

fn far() -> FlakyStore<MemoryStore> {
    FlakyStore::new(MemoryStore::new(&MemoryConfig::default()), TierName::Redis)
}

#[tokio::test(start_paused = true)]
async fn each_tier_says_what_it_did_and_a_promotion_keeps_its_remaining_time() {
    let (bench, origin, far) = (Bench::new(Mode::Rfc), Origin::fixed(&[("cache-control", "max-age=100")]), far());
    let inner = bench.tier(far.clone());
    let first = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    let miss = ask(&first, get("/a")).await;
    assert_eq!(
        miss.cache_status(),
        "edge-redis; fwd=uri-miss; ttl=100; stored, edge-memory; fwd=uri-miss; ttl=100; stored"
    );
    inner.drain().await;
    advance(70 * SECOND).await;

    // Another process: its memory is empty, the far tier is not.
    let second = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    let promoted = ask(&second, get("/a")).await;
    assert_eq!(promoted.cache_status(), "edge-redis; hit; ttl=30, edge-memory; fwd=uri-miss; ttl=30; stored");
    assert_eq!(promoted.header("age"), Some("70"));
    let outcome = promoted.outcome.unwrap();
    assert_eq!(
        (outcome.served, outcome.tier),
        (Served::Hit, Some(TierName::Redis)),
        "one logical hit, of the tier that had it"
    );
    advance(29 * SECOND).await;
    assert_eq!(ask(&second, get("/a")).await.cache_status(), "edge-memory; hit; ttl=1");
    advance(SECOND).await;
    assert!(ask(&second, get("/a")).await.cache_status().contains("fwd=stale"), "nothing turns fresh by moving");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_fails_costs_nothing_but_speed() {
    let (bench, origin, far) = (Bench::new(Mode::Rfc), Origin::fixed(&[("cache-control", "max-age=100")]), far());
    far.fail(true);
    let inner = bench.tier(far.clone());
    let stack = bench.outside(inner.layer(origin.clone()));
    for n in 0..2 {
        let got = ask(&stack, get("/a")).await;
        assert_eq!((got.status.as_u16(), got.text), (200, format!("body {n}")));
    }
    far.fail(false);
    ask(&stack, get("/a")).await;
    inner.drain().await;
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-redis; hit; ttl=100");
    assert!(far.gets() >= 4 && far.puts() == 3);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_not_answered_with_the_inner_tier_s_own_stale_copy() {
    let origin = Origin::fixed(&[("cache-control", "max-age=10, stale-while-revalidate=100")]);
    let (bench, far) = (Bench::new(Mode::Rfc), far());
    let (outer, inner) = (bench.memory(), bench.tier(far));
    let stack = bench.outside(outer.layer(inner.layer(origin.clone())));
    ask(&stack, get("/a")).await;
    inner.drain().await;
    advance(20 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "body 0");
    outer.drain().await;
    let fresh = ask(&stack, get("/a")).await;
    assert_eq!((fresh.text.as_str(), fresh.cache_status().as_str()), ("body 1", "edge-memory; hit; ttl=10"));
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_newer_answer_further_in_replaces_the_outer_one_without_the_origin() {
    let origin = Origin::new(|n, _| async move {
        answer(200, &[("cache-control", "max-age=10"), ("etag", "\"same\"")], format!("{n}"))
    });
    let (bench, far) = (Bench::new(Mode::Rfc), far());
    let inner = bench.tier(far);
    let one = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    let other = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    ask(&one, get("/a")).await;
    ask(&other, get("/a")).await;
    inner.drain().await;
    advance(11 * SECOND).await;
    ask(&one, get("/a")).await;
    inner.drain().await;
    let calls = origin.calls();
    advance(5 * SECOND).await;
    let got = ask(&other, get("/a")).await;
    assert_eq!(got.status, 200);
    assert!(
        got.cache_status().ends_with("edge-memory; fwd=stale; fwd-status=304; ttl=5; stored"),
        "{}",
        got.cache_status()
    );
    assert_eq!(origin.calls(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_purge_reaches_every_tier() {
    let origin = Origin::fixed(&[("cache-control", "max-age=100"), ("cache-tag", "t")]);
    let (bench, far) = (Bench::new(Mode::Rfc), far());
    let inner = bench.tier(far);
    let stack = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    ask(&stack, get("/a")).await;
    inner.drain().await;
    let tags = [edge_cache_core::TagHash::user("t")];
    bench.purger.purge_tags(edge_cache_core::marker::PurgeKind::Hard, &tags).await;
    let elsewhere = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    assert_eq!(ask(&elsewhere, get("/a")).await.text, "body 1");
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
}

#[tokio::test(start_paused = true)]
async fn all_services_of_one_layer_are_one_cache() {
    let (bench, origin) = (Bench::new(Mode::Rfc), Origin::fixed(&[("cache-control", "max-age=100")]));
    let tier = bench.memory();
    let (one, other) = (bench.outside(tier.layer(origin.clone())), bench.outside(tier.layer(origin.clone())));
    ask(&one, get("/a")).await;
    assert_eq!(ask(&other, get("/a")).await.cache_status(), "edge-memory; hit; ttl=100");
    drop(Arc::new(one));
}

#[tokio::test(start_paused = true)]
async fn what_the_inner_tier_may_not_keep_the_outer_one_does_not_keep_either() {
    let origin = Origin::new(|n, req| async move {
        match req.headers().contains_key("if-none-match") {
            true => answer(304, &[("set-cookie", "session-of=alice")], ""),
            false => answer(200, &[("cache-control", "max-age=10"), ("etag", "\"v\"")], format!("{n}")),
        }
    });
    let (bench, far) = (Bench::new(Mode::Guarded), far());
    let inner = bench.tier(far);
    let stack = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    ask(&stack, get("/a")).await;
    inner.drain().await;
    advance(11 * SECOND).await;
    let elsewhere = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    let alice = ask(&elsewhere, get("/a")).await;
    assert_eq!(alice.header("set-cookie"), Some("session-of=alice"));
    let bob = ask(&elsewhere, get("/a")).await;
    assert!(!bob.cache_status().contains("hit"), "{}", bob.cache_status());
}

#[tokio::test(start_paused = true)]
async fn fields_that_may_not_be_stored_reach_the_leader_alone() {
    let origin = Origin::fixed(&[("cache-control", "max-age=60, no-cache=\"x-once\""), ("x-once", "yes")]);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    assert_eq!(ask(&stack, get("/a")).await.header("x-once"), Some("yes"));
    let hit = ask(&stack, get("/a")).await;
    assert_eq!((hit.text.as_str(), hit.header("x-once")), ("body 0", None));
}

#[tokio::test(start_paused = true)]
async fn a_cache_inside_itself_does_not_wait_for_itself() {
    let (bench, origin) = (Bench::new(Mode::Rfc), Origin::fixed(&[("cache-control", "max-age=100")]));
    let tier = bench.memory();
    let stack = bench.outside(tier.layer(bench.outside(tier.layer(origin.clone()))));
    let began = tokio::time::Instant::now();
    assert_eq!(ask(&stack, get("/a")).await.text, "body 0");
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(ask(&stack, get("/a")).await.cache_status().ends_with("edge-memory; hit; ttl=100"));
}

#[tokio::test(start_paused = true)]
async fn fields_that_may_not_be_stored_reach_the_leader_through_both_tiers() {
    let origin =
        Origin::fixed(&[("cache-control", "max-age=60, no-cache=\"x-once\""), ("x-once", "1"), ("x-kept", "2")]);
    let bench = Bench::new(Mode::Rfc);
    let stack = bench.outside(bench.memory().layer(bench.tier(far()).layer(origin.clone())));
    let first = ask(&stack, get("/a")).await;
    assert_eq!((first.header("x-once"), first.header("x-kept"), first.header("age")), (Some("1"), Some("2"), None));
    let second = ask(&stack, get("/a")).await;
    assert_eq!((second.header("x-once"), second.header("x-kept")), (None, Some("2")));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_passes_an_inner_tier_does_not_confirm_what_the_outer_one_holds() {
    // The second answer is not for the cache and names no time: its `Date` is not later than the stored `Last-Modified`.
    let origin = Origin::new(|n, _| async move {
        let modified = ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT");
        let date = ("date", "Tue, 14 Nov 2023 22:13:20 GMT");
        match n {
            0 => answer(200, &[("cache-control", "max-age=1"), modified, date], "old"),
            _ => answer(200, &[("cache-control", "private"), date], "new"),
        }
    });
    let bench = Bench::new(Mode::Rfc);
    let stack = bench.outside(bench.memory().layer(bench.memory().layer(origin.clone())));
    ask(&stack, get("/a")).await;
    advance(2 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "new");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_wants_nothing_stale_does_not_get_the_inner_tier_s_stale_copy() {
    let origin = Origin::fixed(&[("cache-control", "max-age=10, stale-while-revalidate=100")]);
    let (bench, far) = (Bench::new(Mode::Rfc), far());
    let inner = bench.tier(far);
    let fill = bench.outside(inner.layer(origin.clone()));
    ask(&fill, get("/a")).await;
    inner.drain().await;
    advance(20 * SECOND).await;
    let stack = bench.outside(bench.memory().layer(inner.layer(origin.clone())));
    let any = ask(&stack, get("/a"));
    let fresh = ask(&stack, get("/a").header("cache-control", "max-age=15"));
    let (any, fresh) = tokio::join!(any, fresh);
    assert_eq!((any.text.as_str(), fresh.text.as_str()), ("body 0", "body 1"));
}
