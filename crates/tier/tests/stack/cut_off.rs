//! A node that has lost touch with the others.

use std::{cell::Cell, time::Duration};

use edge_cache_core::{
    TierName,
    marker::{Markers, News, PurgeKind},
    route::{PathPattern, Route},
};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use edge_cache_testkit::FlakyStore;
use futures_util::StreamExt;
use http_body_util::BodyExt;
use tokio::time::{Instant, advance};
use tower::Layer;

use crate::origin::{Bench, Origin, answer, ask, get};

const BOUND: Duration = Duration::from_secs(5);
const LASTING: &[(&str, &str)] = &[
    ("cache-control", "max-age=600, stale-while-revalidate=600, stale-if-error=600"),
    ("cache-tag", "a"),
    ("etag", "\"1\""),
];

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn monotonic() -> u64 {
    let began = BEGAN.get().expect("the test has begun");
    u64::try_from(began.elapsed().as_millis()).unwrap() + 1_000_000
}

fn news(seq: u64) -> News {
    News { incarnation: 5, base: 100, seq, strict: true, ..News::default() }
}

/// A stack that shares a tier, in step since now.
fn bench(routes: impl IntoIterator<Item = Route>) -> Bench {
    BEGAN.set(Some(Instant::now()));
    let markers = Markers::shared(BOUND, true).with_monotonic(monotonic);
    markers.apply(&news(100), &markers.position());
    Bench::with_markers(Mode::Guarded, routes, markers)
}

/// An origin that answers once, and fails from then on.
fn once() -> Origin {
    Origin::new(|n, _| async move { if n == 0 { answer(200, LASTING, "body 0") } else { answer(503, &[], "") } })
}

#[tokio::test(start_paused = true)]
async fn it_serves_what_it_read_less_than_a_lease_ago_and_asks_for_the_rest() {
    let (bench, origin) = (bench([]), Origin::fixed(LASTING));
    let stack = bench.over(&origin);
    ask(&stack, get("/old")).await;
    advance(BOUND - Duration::from_millis(1)).await;
    ask(&stack, get("/new")).await;
    assert!(ask(&stack, get("/old")).await.cache_status().contains("hit"), "the lease is not over");
    advance(Duration::from_millis(1)).await;
    let old = ask(&stack, get("/old")).await;
    assert_eq!(old.cache_status(), "edge-memory; fwd=stale; ttl=600; stored; detail=cut-off");
    assert_eq!(old.text, "body 2");
    assert_eq!(origin.last_header("if-none-match").as_deref(), Some("\"1\""), "it lends its validators");
    assert!(ask(&stack, get("/new")).await.cache_status().contains("hit"));
    assert!(ask(&stack, get("/old")).await.cache_status().contains("hit"), "what was read just now");
    bench.markers.apply(&news(101), &bench.markers.position());
    advance(Duration::from_secs(4)).await;
    assert!(ask(&stack, get("/new")).await.cache_status().contains("hit"), "back in step");
}

#[tokio::test(start_paused = true)]
async fn it_does_not_cover_errors_with_what_may_have_been_purged() {
    let (bench, origin) = (bench([]), once());
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    advance(BOUND).await;
    let failed = ask(&stack, get("/a")).await;
    assert_eq!(failed.status, 503, "{failed:?}");
    let failed = ask(&stack, get("/a").header("range", "bytes=0-1")).await;
    assert_eq!(failed.status, 503, "{failed:?}");
    bench.markers.apply(&news(101), &bench.markers.position());
    assert_eq!(ask(&stack, get("/a")).await.text, "body 0", "nothing was purged, as it knows now");
}

#[tokio::test(start_paused = true)]
async fn a_route_may_let_it_cover_errors_for_a_while() {
    let mut route = Route::new("all", PathPattern::any());
    route.stale_when_cut = Duration::from_secs(60);
    let (bench, origin) = (bench([route]), once());
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    advance(BOUND + Duration::from_secs(59)).await;
    let covered = ask(&stack, get("/a")).await;
    assert_eq!((covered.status.as_u16(), covered.text.as_str()), (200, "body 0"));
    assert!(covered.cache_status().ends_with("detail=cut-off"), "{covered:?}");
    advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&stack, get("/a")).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_it_knows_of_counts_all_the_same() {
    let (bench, origin) = (bench([]), Origin::fixed(LASTING));
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    let ticket = bench.markers.defer(PurgeKind::Hard, &[edge_cache_core::TagHash::user("a")]);
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
    bench.markers.settle(&ticket, 5, 110);
    // What was read before the purge had its number may go with it: more is killed, never less.
    assert_eq!(ask(&stack, get("/a")).await.text, "body 2");
    assert_eq!(ask(&stack, get("/a")).await.text, "body 2");
}

#[tokio::test(start_paused = true)]
async fn a_soft_purge_begins_the_time_in_which_errors_are_covered() {
    let (bench, origin) = (bench([]), once());
    let stack = bench.over(&origin);
    ask(&stack, get("/a")).await;
    // Numbers are microseconds of the wall clock.
    let seq = u64::try_from(crate::origin::BASE.as_millis()).unwrap() * 1000;
    let tags = vec![(PurgeKind::Soft, edge_cache_core::TagHash::user("a"), seq)];
    bench.markers.apply(&News { markers: tags, ..news(seq) }, &bench.markers.position());
    let in_step = || bench.markers.apply(&news(seq), &bench.markers.position());
    advance(Duration::from_secs(599)).await;
    in_step();
    assert_eq!(ask(&stack, get("/a")).await.text, "body 0");
    advance(Duration::from_secs(2)).await;
    in_step();
    let outlived = ask(&stack, get("/a")).await;
    assert_eq!(outlived.status, 503, "its own lifetime had gone on for as long again: {outlived:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_as_old_as_the_inner_tiers_read() {
    let bench = bench([]);
    let origin = Origin::new(|_, _| async {
        // It comes in two pieces, so that who joins late is handed a body that still grows.
        let pieces = futures_util::stream::iter(["sl", "ow"]).then(|piece| async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(http_body::Frame::data(bytes::Bytes::from(piece)))
        });
        answer(200, LASTING, "").map(|_| http_body_util::StreamBody::new(pieces.boxed()).boxed_unsync())
    });
    // Two tiers, each with flights of its own: who comes late joins the inner one's.
    let store = || MemoryStore::new(&MemoryConfig { capacity_bytes: 64 << 20, ..MemoryConfig::default() });
    let inner = bench.tier(FlakyStore::new(store(), TierName::Redis)).layer(origin.clone());
    let (one, other) = (bench.outside(bench.memory().layer(inner.clone())), bench.outside(bench.memory().layer(inner)));
    let early = ask(&one, get("/a"));
    let late = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        ask(&other, get("/a")).await
    };
    let (_, late) = tokio::join!(early, late);
    assert_eq!((origin.calls(), late.text.as_str()), (1, "slow"));
    // The lease is over at five seconds, which is when the row was read five seconds ago too.
    advance(Duration::from_millis(1500)).await;
    let asked = ask(&other, get("/a")).await;
    assert!(asked.cache_status().contains("cut-off"), "{asked:?}");
}
