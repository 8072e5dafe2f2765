//! What is hot is asked for anew before its end, behind a hit.

use std::time::Duration;

use edge_cache_core::{Level, Priority, TierName, marker::PurgeKind};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use edge_cache_testkit::FlakyStore;
use edge_cache_tier::{Purge, Target};
use tokio::{sync::Semaphore, time::advance};
use tower::Layer;

use crate::origin::{Bench, Origin, answer, ask, get};

const SECOND: Duration = Duration::from_secs(1);
/// 1 − e⁻¹: a hit at most one fill time before the end refreshes.
const ONE_DELTA: f64 = 0.632_120_6;

/// Jitter takes up to a tenth off: this leaves 93.7 s, of which the last 0.937 s count as the fill time.
const ANSWER: &[(&str, &str)] = &[("cache-control", "max-age=100")];

fn drawing(mode: Mode) -> Bench {
    Bench { drawn: ONE_DELTA, ..Bench::new(mode) }
}

fn far() -> FlakyStore<MemoryStore> {
    FlakyStore::new(MemoryStore::new(&MemoryConfig::default()), TierName::Redis)
}

#[tokio::test(start_paused = true)]
async fn a_hit_near_the_end_is_a_hit_and_has_it_asked_for_anew_once() {
    let gate: &Semaphore = Box::leak(Box::new(Semaphore::new(1)));
    let (bench, origin) = (
        drawing(Mode::Guarded),
        Origin::new(move |n, _| async move {
            gate.acquire().await.expect("open").forget();
            answer(200, ANSWER, format!("body {n}"))
        }),
    );
    let memory = bench.memory();
    let stack = bench.outside(memory.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(92 * SECOND).await;
    let early = ask(&stack, get("/a")).await;
    assert_eq!((early.text.as_str(), origin.calls()), ("body 0", 1), "too far from the end");
    advance(SECOND).await;
    for _ in 0..20 {
        let hit = ask(&stack, get("/a")).await;
        assert_eq!((hit.text.as_str(), hit.cache_status().as_str()), ("body 0", "edge-memory; hit; ttl=0"));
    }
    // The refresh is a task of its own; it stops at the gate.
    tokio::task::yield_now().await;
    assert_eq!(origin.calls(), 2, "one refresh for all of them, and nobody waits for it");
    gate.add_permits(1);
    memory.drain().await;
    advance(SECOND).await;
    let renewed = ask(&stack, get("/a")).await;
    assert_eq!((renewed.text.as_str(), origin.calls()), ("body 1", 2), "past the end of the old one it is a hit");
    assert!(renewed.cache_status().starts_with("edge-memory; hit"));
}

#[tokio::test(start_paused = true)]
async fn to_the_letter_and_under_pressure_and_where_it_is_off_nothing_is_refreshed_early() {
    let mut off = drawing(Mode::Guarded);
    off.config.early_refresh = 0.0;
    for (bench, level) in [(drawing(Mode::Rfc), Level::Calm), (drawing(Mode::Guarded), Level::Trim), (off, Level::Calm)]
    {
        let origin = Origin::fixed(ANSWER);
        let memory = bench.memory();
        memory.pressure().unwrap().set(level);
        let stack = bench.outside(memory.layer(origin.clone()));
        ask(&stack, get("/a")).await;
        let ttl = if bench.keying.mode == Mode::Rfc { 100 } else { 93 };
        advance((ttl - 1) * SECOND + SECOND / 2).await;
        assert!(ask(&stack, get("/a")).await.cache_status().starts_with("edge-memory; hit"));
        memory.drain().await;
        assert_eq!(origin.calls(), 1, "{level:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_inner_tier_does_not_answer_an_early_refresh_with_what_the_outer_one_holds() {
    let (bench, origin, far) = (drawing(Mode::Guarded), Origin::fixed(ANSWER), far());
    let (one, other, inner) = (bench.memory(), bench.memory(), bench.tier(far));
    // Two nodes over one store.
    let first = bench.outside(one.layer(inner.layer(origin.clone())));
    let second = bench.outside(other.layer(inner.layer(origin.clone())));
    ask(&first, get("/a")).await;
    inner.drain().await;
    ask(&second, get("/a")).await;
    assert_eq!(origin.calls(), 1);
    advance(93 * SECOND).await;
    assert_eq!(ask(&first, get("/a")).await.text, "body 0");
    one.drain().await;
    inner.drain().await;
    assert_eq!((ask(&first, get("/a")).await.text.as_str(), origin.calls()), ("body 1", 2), "the origin was asked");
    assert_eq!(ask(&second, get("/a")).await.text, "body 0");
    other.drain().await;
    let renewed = ask(&second, get("/a")).await;
    assert_eq!((renewed.text.as_str(), origin.calls()), ("body 1", 2), "what the first had renewed was enough");
}

#[tokio::test(start_paused = true)]
async fn a_slow_origin_is_asked_earlier() {
    let (bench, origin) = (
        drawing(Mode::Guarded),
        Origin::new(|n, _| async move {
            tokio::time::sleep(4 * SECOND).await;
            answer(200, ANSWER, format!("body {n}"))
        }),
    );
    let memory = bench.memory();
    let stack = bench.outside(memory.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(89 * SECOND).await;
    ask(&stack, get("/a")).await;
    assert_eq!(origin.calls(), 1, "4.7 s are left");
    advance(SECOND).await;
    ask(&stack, get("/a")).await;
    memory.drain().await;
    assert_eq!(origin.calls(), 2, "3.7 s are left, and a fill takes 4");
}

/// The promise: past its first fill no request for a key with at least 20 hits a second waits for the origin.
#[tokio::test(start_paused = true)]
async fn a_hot_key_never_shows_a_miss_at_its_end() {
    let mut bench = Bench::new(Mode::Guarded);
    bench.config.wait_soft = Duration::ZERO;
    let origin = Origin::new(|n, _| async move {
        tokio::time::sleep(Duration::from_millis(40)).await;
        answer(200, ANSWER, format!("body {n}"))
    });
    let memory = bench.tier_drawing(MemoryStore::new(&MemoryConfig::default()));
    let stack = bench.outside(memory.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    let mut waited = 0;
    for _ in 0..20 * 1_000 {
        advance(SECOND / 20).await;
        let got = ask(&stack, get("/a")).await;
        waited += usize::from(got.cache_status() != "edge-memory; hit; ttl=0" && got.cache_status().contains("fwd"));
    }
    assert_eq!(waited, 0, "of 20 000 requests over 1 000 s");
    let fills = origin.calls();
    assert!((10..=14).contains(&fills), "{fills} fills in 1 000 s of lifetimes of 90 to 100 s");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_stored_any_more_is_not_asked_for_at_each_hit() {
    let origin = Origin::new(|n, _| async move {
        let headers = if n == 0 { ANSWER } else { &[("cache-control", "no-store")] };
        answer(200, headers, format!("body {n}"))
    });
    let bench = drawing(Mode::Guarded);
    let memory = bench.memory();
    let stack = bench.outside(memory.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(93 * SECOND).await;
    for _ in 0..20 {
        assert_eq!(ask(&stack, get("/a")).await.text, "body 0");
        memory.drain().await;
    }
    assert_eq!(origin.calls(), 2);
}

/// What nobody waits for is refused first: that must not make clients do with what is stale.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_refused_says_nothing_of_what_a_client_would_get() {
    let stale: &[(&str, &str)] = &[("cache-control", "max-age=100, stale-if-error=1000")];
    let origin = Origin::new(move |n, req| async move {
        let priority = req.extensions().get::<Priority>().copied().unwrap_or_default();
        if n > 0 && priority >= Priority::Refresh {
            answer(503, &[], "later")
        } else {
            answer(200, stale, format!("body {n}"))
        }
    });
    let bench = drawing(Mode::Guarded);
    let memory = bench.memory();
    let stack = bench.outside(memory.layer(origin.clone()));
    ask(&stack, get("/a")).await;
    advance(93 * SECOND).await;
    for _ in 0..5 {
        ask(&stack, get("/a")).await;
        memory.drain().await;
    }
    assert_eq!(origin.calls(), 2, "and it is not tried at each hit");
    advance(2 * SECOND).await;
    let got = ask(&stack, get("/a")).await;
    assert_eq!((got.text.as_str(), origin.calls()), ("body 2", 3), "a client asks for itself: {}", got.cache_status());
    // Nor may a client that calls its own request unimportant do it to the others.
    advance(200 * SECOND).await;
    ask(&stack, get("/a").extension(Priority::Warm)).await;
    assert_eq!(ask(&stack, get("/a")).await.text, "body 4");
}

#[tokio::test(start_paused = true)]
async fn after_a_soft_purge_what_another_node_has_filled_is_enough_however_soon_it_ends() {
    let origin = Origin::new(|n, _| async move {
        let lifetime = if n == 0 { "max-age=100" } else { "max-age=10" };
        answer(200, &[("cache-control", lifetime), ("cache-tag", "a"), ("etag", "\"1\"")], format!("body {n}"))
    });
    let bench = Bench::new(Mode::Guarded);
    let (one, other, inner) = (bench.memory(), bench.memory(), bench.tier(far()));
    let first = bench.outside(one.layer(inner.layer(origin.clone())));
    let second = bench.outside(other.layer(inner.layer(origin.clone())));
    ask(&first, get("/a")).await;
    inner.drain().await;
    ask(&second, get("/a")).await;
    let purge = Purge { targets: vec![Target::Tag("a".to_owned())], kind: PurgeKind::Soft };
    bench.purger.purge(&purge).await.unwrap();
    ask(&first, get("/a")).await;
    inner.drain().await;
    let got = ask(&second, get("/a")).await;
    assert_eq!((got.text.as_str(), origin.calls()), ("body 1", 2), "{}", got.cache_status());
}
