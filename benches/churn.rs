//! How long does whoever stores an answer wait, when for each another one has to go? Memory is filled with a million entries of about 2 KiB, and then as many
//! others are stored one by one: what one of them takes at worst is what everybody waits for whose requests the same thread answers.
//!
//! Beside it moka alone, one cache as its manual has it, with the same weigher.
//!
//! `cargo bench -p edge-cache-benches --bench churn`, with `-- 100000` for another number of entries than a million.

use std::{hash::RandomState, time::Duration};

use edge_cache::core::{CacheKey, Entry, KeyParts, Store};
use edge_cache_benches::{entry, warmed};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use futures_util::FutureExt;
use moka::sync::Cache;
use tokio::time::Instant;

/// As in `cache-proxy`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENTRIES: u64 = 1_000_000;
const BODY_BYTES: usize = 1024;
/// Longer than all of it.
const KEEP: Duration = Duration::from_secs(3600);

fn main() {
    // `cargo test --benches` only asks whether it runs.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let entries = std::env::args().find_map(|arg| arg.parse().ok()).filter(|entries| *entries > 0).unwrap_or(ENTRIES);
    // Its body is everybody's: what counts here is the map.
    let entry = entry(&mut warmed(BODY_BYTES));
    let capacity_bytes = entries * entry.weight_bytes(key(entries).weight_bytes()) as u64;
    println!("{entries} entries, and as many others in their place; what storing one took:");
    println!("{:<12} {:>10} {:>10} {:>10} {:>10}", "", "mean", "99.9 %", "99.99 %", "at most");

    let moka = Cache::builder()
        .max_capacity(capacity_bytes)
        .weigher(|key: &CacheKey, entry: &Entry| {
            u32::try_from(entry.weight_bytes(key.weight_bytes())).unwrap_or(u32::MAX)
        })
        .build_with_hasher(RandomState::new());
    tell("moka", &mut churn(entries, |key| moka.insert(key, entry.clone())));
    drop(moka);

    let store = MemoryStore::new(&MemoryConfig { capacity_bytes, ..MemoryConfig::default() });
    let put = |key| store.put(key, entry.clone(), KEEP).now_or_never().expect("memory never waits").expect("nor fails");
    tell("MemoryStore", &mut churn(entries, put));
}

fn key(number: u64) -> CacheKey {
    let path = format!("/item/{number:09}");
    CacheKey::new(&KeyParts { scheme: "http", authority: "pitchey.example", tenant: "", path: &path, query: "" })
}

/// How long each took of those that had to make room.
fn churn(entries: u64, mut put: impl FnMut(CacheKey)) -> Vec<Duration> {
    (0..entries).for_each(|number| put(key(number)));
    let took = |number| {
        let key = key(number);
        let began = Instant::now();
        put(key);
        began.elapsed()
    };
    (entries..2 * entries).map(took).collect()
}

fn tell(who: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let mean = took.iter().sum::<Duration>() / u32::try_from(took.len()).unwrap_or(u32::MAX);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let micros = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
    println!(
        "{who:<12} {:>10} {:>10} {:>10} {:>10}",
        micros(mean),
        micros(at(0.999)),
        micros(at(0.9999)),
        micros(at(1.0))
    );
}
