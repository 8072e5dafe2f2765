//! What a tier leaves undone while the origin is pressed, and how urgent it says its fills are.

use std::time::Duration;

use edge_cache_core::{Level, Priority, marker::PurgeKind};
use edge_cache_policy::Mode;
use edge_cache_tier::{Purge, Target};
use http::{Request, Response};
use tokio::time::advance;
use tower::Layer;

use crate::origin::{Bench, Body, Origin, answer, ask, get};

const SECOND: Duration = Duration::from_secs(1);
const HEADERS: &[(&str, &str)] = &[("cache-control", "max-age=10, stale-while-revalidate=30, stale-if-error=3600")];

#[tokio::test(start_paused = true)]
async fn under_the_least_pressure_what_is_still_good_is_not_refreshed() {
    let origin = Origin::fixed(HEADERS);
    let bench = Bench::new(Mode::Guarded);
    let tier = bench.memory();
    let pressure = tier.pressure().unwrap().clone();
    let stack = bench.outside(tier.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(15 * SECOND).await;
    pressure.set(Level::Trim);
    for _ in 0..3 {
        let stale = ask(&stack, get("/a")).await;
        assert_eq!(stale.cache_status(), "edge-memory; hit; ttl=-5; detail=stale-while-revalidate");
    }
    tier.drain().await;
    assert_eq!(origin.calls(), 1);
    // What is past that is asked for: somebody waits.
    advance(30 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
    advance(15 * SECOND).await;
    pressure.set(Level::Calm);
    ask(&stack, get("/a")).await;
    tier.drain().await;
    assert_eq!(origin.calls(), 3, "refreshed behind the answer again");
}

#[tokio::test(start_paused = true)]
async fn under_more_pressure_stale_answers_are_stretched_within_both_limits() {
    let origin = Origin::fixed(HEADERS);
    let mut bench = Bench::new(Mode::Guarded);
    bench.config.stale_under_pressure = 600 * SECOND;
    let tier = bench.memory();
    tier.pressure().unwrap().set(Level::Stretch);
    let stack = bench.outside(tier.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(600 * SECOND).await;
    let stretched = ask(&stack, get("/a")).await;
    assert_eq!((stretched.text.as_str(), origin.calls()), ("body 0", 1));
    assert_eq!(stretched.cache_status(), "edge-memory; fwd=stale; ttl=-590; detail=pressure");
    advance(11 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1", "past the limit of the configuration");

    let short = Origin::fixed(&[("cache-control", "max-age=10, stale-if-error=30")]);
    let tier = bench.memory();
    tier.pressure().unwrap().set(Level::Queue);
    let stack = bench.outside(tier.layer(short.clone()));
    ask(&stack, get("/b")).await;
    advance(39 * SECOND).await;
    assert_eq!(ask(&stack, get("/b")).await.text, "body 0");
    advance(2 * SECOND).await;
    assert_eq!(ask(&stack, get("/b")).await.text, "body 1", "past the answer's own limit");
}

#[tokio::test(start_paused = true)]
async fn pressure_does_not_bring_back_what_was_purged_nor_bend_the_letter_of_the_rfc() {
    let origin = Origin::fixed(HEADERS);
    let bench = Bench::new(Mode::Guarded);
    let tier = bench.memory();
    tier.pressure().unwrap().set(Level::Queue);
    let stack = bench.outside(tier.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    bench.purger.purge(&Purge { targets: vec![Target::All], kind: PurgeKind::Soft }).await.unwrap();
    advance(60 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");

    let origin = Origin::fixed(HEADERS);
    let bench = Bench::new(Mode::Rfc);
    let tier = bench.memory();
    tier.pressure().unwrap().set(Level::Queue);
    let stack = bench.outside(tier.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(60 * SECOND).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
}

/// The priority of each request that the origin saw.
fn seen(origin: &Origin) -> Vec<Priority> {
    let seen = origin.seen.lock().unwrap();
    seen.iter().map(|request| request.extensions.get().copied().unwrap_or_default()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fill_says_how_urgent_it_is() {
    let origin = Origin::fixed(HEADERS);
    let bench = Bench::new(Mode::Guarded);
    let tier = bench.memory();
    let stack = bench.outside(tier.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(15 * SECOND).await;
    ask(&stack, get("/a")).await;
    tier.drain().await;
    advance(60 * SECOND).await;
    ask(&stack, get("/a")).await;
    ask(&stack, get("/warm").extension(Priority::Warm)).await;
    assert_eq!(seen(&origin), [Priority::Interactive, Priority::Refresh, Priority::Covered, Priority::Warm]);
}

#[tokio::test(start_paused = true)]
async fn an_inner_tier_does_not_make_a_refresh_urgent() {
    let origin = Origin::new(|_, _: Request<()>| async { answer(200, HEADERS, "x") as Response<Body> });
    let bench = Bench::new(Mode::Guarded);
    let (outer, inner) = (bench.memory(), bench.memory());
    let stack = bench.outside(outer.layer(inner.layer(origin.clone())));
    ask(&stack, get("/a")).await;
    advance(15 * SECOND).await;
    ask(&stack, get("/a")).await;
    outer.drain().await;
    inner.drain().await;
    assert_eq!(seen(&origin), [Priority::Interactive, Priority::Refresh]);
}
