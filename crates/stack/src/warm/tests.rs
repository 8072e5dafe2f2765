use std::sync::atomic::AtomicUsize;

use axum::{Router, body::Body, http::header::CACHE_CONTROL, routing::get};
use edge_cache_core::Timestamp;
use edge_cache_testkit::{FakeClock, FixedRng};
use http::Request;
use std::time::Duration;
use tower::ServiceExt;

use super::{
    worker::{Lead, MinFresh},
    *,
};
use crate::{EdgeCache, WarmSettings};

const SECOND: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(300);

/// A cache over handlers that count their calls, and the app with the cache around it.
fn app(warm: WarmSettings) -> (EdgeCache, Router, Arc<AtomicUsize>) {
    let clock = FakeClock::at(Timestamp::from_secs(1_700_000_000)).shared();
    let cache = EdgeCache::builder().clock(clock).rng(Arc::new(FixedRng(0.5))).warm(warm).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = |lifetime: &'static str| {
        let calls = Arc::clone(&calls);
        get(move || {
            calls.fetch_add(1, Ordering::SeqCst);
            std::future::ready(([(CACHE_CONTROL, lifetime)], "x"))
        })
    };
    let router = Router::new().route("/minutes", handler("max-age=400")).route("/hour", handler("max-age=3600"));
    (cache.clone(), router.layer(cache.layer()), calls)
}

async fn ask(app: &Router, target: &str) {
    let request = Request::get(target).header("host", "h.example").body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    assert!(answer.status().is_success());
}

fn calls(calls: &AtomicUsize) -> usize {
    calls.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn what_would_end_before_the_next_round_is_asked_for_in_this_one() {
    let (cache, app, counted) = app(WarmSettings::default());
    let warmer = tokio::spawn(cache.warmer(app.clone()).unwrap().run::<Body, _>());
    // Often enough that a count is left when it has been halved twice: the second time in the same instant as a round.
    for target in ["/minutes", "/hour"].repeat(4) {
        ask(&app, target).await;
    }
    assert_eq!(calls(&counted), 2);
    tokio::time::sleep(EVERY + SECOND).await;
    // /minutes had 100 s left, less than the 200 that are half of its lifetime; /hour had plenty.
    assert_eq!(calls(&counted), 3);
    tokio::time::sleep(3 * EVERY).await;
    assert_eq!(calls(&counted), 6, "one in each round");
    let hits = cache.hot().unwrap().top(10).iter().map(|hot| hot.hits).max();
    assert_eq!(hits, Some(1), "what nobody asked for makes nothing hot");
    warmer.abort();
}

#[tokio::test(start_paused = true)]
async fn a_round_stops_while_the_origin_is_pressed() {
    let (cache, app, counted) = app(WarmSettings::default());
    for target in ["/minutes", "/hour"] {
        ask(&app, target).await;
    }
    tokio::time::sleep(3_600 * SECOND).await;
    let warming = cache.warming().unwrap();
    let asker = |min_fresh: MinFresh| AskService::<_, Body>::new(app.clone(), SECOND, min_fresh);
    warming.0.pressure.as_ref().unwrap().set(Level::Trim);
    warming.round(&asker, &[], &mut Lead(None)).await;
    assert_eq!((calls(&counted), warming.0.done.stopped.load(Ordering::SeqCst)), (2, 1));
    warming.0.pressure.as_ref().unwrap().set(Level::Calm);
    warming.round(&asker, &[], &mut Lead(None)).await;
    assert_eq!((calls(&counted), warming.0.done.stopped.load(Ordering::SeqCst)), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn where_it_is_off_nothing_is_counted_and_nobody_warms() {
    let (cache, app, _) = app(WarmSettings { enabled: false, ..WarmSettings::default() });
    ask(&app, "/hour").await;
    assert!(cache.hot().is_none() && cache.warmer(app).is_none());
    assert_eq!(cache.warmth().readiness, Readiness::Unwarmed);
}
