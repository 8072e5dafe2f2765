//! Entries that move without a request: from the tier behind memory, and from an earlier run.

use std::time::Duration;

use edge_cache_core::{
    CacheKey, Entry, KeyParts, Store, TagHash, TierName,
    marker::{Markers, PurgeKind},
};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use edge_cache_testkit::FlakyStore;
use edge_cache_tier::{Purge, Target, TierLayer};
use tokio::time::advance;
use tower::Layer;

use crate::origin::{Bench, Origin, answer, ask, get};

const SECOND: Duration = Duration::from_secs(1);

fn far() -> FlakyStore<MemoryStore> {
    FlakyStore::new(MemoryStore::new(&MemoryConfig::default()), TierName::Redis)
}

fn key(path: &str) -> CacheKey {
    CacheKey::new(&KeyParts { scheme: "http", authority: "h.example", tenant: "", path, query: "" })
}

fn varying() -> Origin {
    Origin::new(|n, req| async move {
        let language = req.headers().get("accept-language").map_or("", |value| value.to_str().unwrap()).to_owned();
        answer(200, &[("cache-control", "max-age=100"), ("vary", "accept-language")], format!("{language} {n}"))
    })
}

async fn purge(bench: &Bench, tag: &str) {
    let purge = Purge { targets: vec![Target::Tag(tag.to_owned())], kind: PurgeKind::Soft };
    bench.purger.purge(&purge).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_promotion_without_a_request_keeps_the_remaining_time_and_asks_nobody() {
    let (bench, origin) = (Bench::new(Mode::Guarded), Origin::fixed(&[("cache-control", "max-age=100")]));
    let inner = bench.tier(far());
    ask(&bench.outside(inner.layer(origin.clone())), get("/a")).await;
    inner.drain().await;
    advance(60 * SECOND).await;
    let memory = bench.memory();
    let (near, behind) = (memory.keeper().unwrap(), inner.keeper().unwrap());
    assert!(near.freshness(&key("/a")).await.is_none());
    assert!(near.promote(&behind, &key("/a")).await && near.freshness(&key("/a")).await.is_some());
    assert!(!near.promote(&behind, &key("/never")).await);
    let stack = bench.outside(memory.layer(inner.layer(origin.clone())));
    assert_eq!(ask(&stack, get("/a")).await.cache_status(), "edge-memory; hit; ttl=40");
    advance(40 * SECOND).await;
    assert!(near.freshness(&key("/a")).await.is_none(), "nothing turns fresh by moving");
    assert!(!near.promote(&behind, &key("/a")).await, "what is stale is not worth moving");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_variant_moves_with_what_leads_to_it() {
    let (bench, origin) = (Bench::new(Mode::Guarded), varying());
    let inner = bench.tier(far());
    let first = bench.outside(inner.layer(origin.clone()));
    for language in ["de", "fr"] {
        ask(&first, get("/a").header("accept-language", language)).await;
        inner.drain().await;
    }
    let memory = bench.memory();
    let (near, behind) = (memory.keeper().unwrap(), inner.keeper().unwrap());
    let variant = |language: &'static str| key("/a").variant([("accept-language", Some(language.as_bytes()))]);
    for language in ["de", "fr"] {
        assert!(near.promote(&behind, &variant(language)).await, "{language}");
    }
    assert!(!near.promote(&behind, &variant("it")).await);
    assert!(!near.promote(&behind, &key("/a")).await, "an index is no answer");
    let stack = bench.outside(memory.layer(inner.layer(origin.clone())));
    for (language, text) in [("de", "de 0"), ("fr", "fr 1")] {
        let got = ask(&stack, get("/a").header("accept-language", language)).await;
        assert_eq!((got.text.as_str(), got.cache_status().as_str()), (text, "edge-memory; hit; ttl=100"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_purged_does_not_move() {
    let origin = Origin::fixed(&[("cache-control", "max-age=100"), ("cache-tag", "a")]);
    let bench = Bench::new(Mode::Guarded);
    let inner = bench.tier(far());
    ask(&bench.outside(inner.layer(origin.clone())), get("/a")).await;
    inner.drain().await;
    purge(&bench, "a").await;
    let memory = bench.memory();
    assert!(!memory.keeper().unwrap().promote(&inner.keeper().unwrap(), &key("/a")).await);
}

async fn held(memory: &TierLayer<MemoryStore>) -> Entry {
    memory.store().unwrap().get(&key("/a")).await.unwrap().expect("it was asked for")
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_held_counts_as_read_before_anything_was_served() {
    let origin = Origin::fixed(&[("cache-control", "max-age=100"), ("cache-tag", "a")]);
    let before = Bench::new(Mode::Guarded);
    let memory = before.memory();
    ask(&before.outside(memory.layer(origin.clone())), get("/a")).await;
    let entry = held(&memory).await;

    // Another run has another order of purges.
    let restored = async |purged_before_it_is_loaded: bool| {
        let bench = Bench::with_markers(Mode::Guarded, [], Markers::alone(2));
        let began = bench.markers.start();
        if purged_before_it_is_loaded {
            purge(&bench, "a").await;
        }
        let memory = bench.memory();
        (memory.keeper().unwrap().restore(key("/a"), &entry, Some(&began)).await, memory, bench)
    };
    assert!(!restored(true).await.0, "purged since this run began");
    let (is_back, memory, bench) = restored(false).await;
    assert!(is_back && memory.keeper().unwrap().freshness(&key("/a")).await.is_some());
    purge(&bench, "a").await;
    assert!(memory.keeper().unwrap().freshness(&key("/a")).await.is_none(), "a purge reaches it like any other");
}

#[tokio::test(start_paused = true)]
async fn where_purges_are_kept_elsewhere_they_judge_what_an_earlier_run_held() {
    let origin = Origin::fixed(&[("cache-control", "max-age=100"), ("cache-tag", "a")]);
    let before = Bench::with_markers(Mode::Guarded, [], Markers::alone(7));
    let memory = before.memory();
    ask(&before.outside(memory.layer(origin.clone())), get("/a")).await;
    let entry = held(&memory).await;
    let again = async |purged_meanwhile: bool| {
        // The same order goes on.
        let markers = Markers::alone(7);
        if purged_meanwhile {
            markers.purge(PurgeKind::Hard, &[TagHash::user("a")], crate::origin::BASE);
        }
        let bench = Bench::with_markers(Mode::Guarded, [], markers);
        let began = bench.markers.start();
        bench.memory().keeper().unwrap().restore(key("/a"), &entry, Some(&began)).await
    };
    assert!(again(false).await);
    assert!(!again(true).await, "though it was purged before this run began");
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_does_not_displace_what_is_newer() {
    let origin = Origin::fixed(&[("cache-control", "max-age=100")]);
    let before = Bench::new(Mode::Guarded);
    let memory = before.memory();
    ask(&before.outside(memory.layer(origin.clone())), get("/a")).await;
    let entry = held(&memory).await;
    let bench = Bench::with_markers(Mode::Guarded, [], Markers::alone(2));
    let began = bench.markers.start();
    advance(SECOND).await;
    let memory = bench.memory();
    let stack = bench.outside(memory.layer(origin.clone()));
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
    assert!(!memory.keeper().unwrap().restore(key("/a"), &entry, Some(&began)).await);
    assert_eq!(ask(&stack, get("/a")).await.text, "body 1");
    assert!(
        !bench.memory().keeper().unwrap().restore(key("/a"), &entry, None).await,
        "of another order, and not kept alone"
    );
}

#[tokio::test(start_paused = true)]
async fn variants_that_come_back_stand_beside_those_that_came_since() {
    let origin = varying();
    let before = Bench::new(Mode::Guarded);
    let memory = before.memory();
    ask(&before.outside(memory.layer(origin.clone())), get("/a").header("accept-language", "de")).await;
    let kept: Vec<_> = memory.store().unwrap().all().collect();
    let bench = Bench::with_markers(Mode::Guarded, [], Markers::alone(2));
    let began = bench.markers.start();
    let memory = bench.memory();
    let stack = bench.outside(memory.layer(origin.clone()));
    ask(&stack, get("/a").header("accept-language", "fr")).await;
    for (key, entry) in kept {
        assert!(memory.keeper().unwrap().restore(key, &entry, Some(&began)).await);
    }
    for (language, text) in [("de", "de 0"), ("fr", "fr 1")] {
        let got = ask(&stack, get("/a").header("accept-language", language)).await;
        assert_eq!((got.text.as_str(), got.cache_status().as_str()), (text, "edge-memory; hit; ttl=100"));
    }
}
