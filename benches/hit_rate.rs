//! Which share of requests does the memory tier answer, at equal memory? Synthetic traces are replayed against it, against moka alone (TinyLFU)
//! with the same weigher, against an exact LRU, and against Belady's MIN (farthest next use), which knows the future; with unequal sizes that
//! is a strong reference and not a proven optimum. Fails where the tier answers less than moka alone does.
//!
//! `cargo bench -p edge-cache-benches --bench hit_rate`

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use edge_cache::core::{
    CacheKey, Entry, KeyParts, Rng, Store,
    marker::{Fence, Start},
};
use edge_cache_benches::reference::{Belady, Lru};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_testkit::{SeededRng, head};
use moka::sync::Cache;

const SEED: u64 = 0x5eed;
const REQUESTS: usize = 1_000_000;
/// Keys that are asked again and again.
const KEYS: usize = 100_000;
/// Of every so many requests of a polluted trace, the last ones are a scan: about as long as what the largest capacity holds.
const SCAN_EVERY: usize = 100_000;
const SCAN: usize = 20_000;
const SCANNED: usize = REQUESTS / SCAN_EVERY * SCAN;
/// Bodies in bytes; evenly spread over their logarithm, as most answers are small.
const BODY_MIN: f64 = 200.0;
const BODY_MAX: f64 = 16_384.0;
/// Of the bytes of all keys that are asked again and again, in percent.
const CAPACITIES: [u64; 3] = [1, 5, 20];
/// Operations between two housekeepings. moka evicts in arrears: left alone it would hold more than its budget for a while, and forget reads.
const TIDY_EVERY: usize = 64;
/// Which keys moka takes for one another, as far as it counts how often they are asked, is chance: the mean of so many draws, for the tier by
/// other names of the same keys, for moka alone by its hasher, which has another seed each time.
const DRAWS: usize = 3;
/// Share of requests by which the tier may be below moka alone.
const TOLERANCE: f64 = 0.005;
/// Longer than any replay.
const KEEP: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    // `cargo test --benches` only asks whether it runs.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let entries = entries();
    let draws: Vec<Vec<CacheKey>> = (0..DRAWS).map(keys).collect();
    let weights: Vec<u64> =
        entries.iter().zip(&draws[0]).map(|(entry, key)| entry.weight_bytes(key.weight_bytes()) as u64).collect();
    let all: u64 = weights[..KEYS].iter().sum();
    println!(
        "hits of {REQUESTS} requests in percent; {KEYS} keys of {:.0} MiB, and as much as {SCANNED} that a scan asks once:",
        all as f64 / f64::from(1 << 20)
    );
    println!(
        "{:<22} {:>8} {:>11} {:>7} {:>7} {:>7} {:>13}   not below moka's own",
        "trace", "capacity", "MemoryStore", "moka", "LRU", "Belady", "ratio to moka"
    );
    let mut is_below = false;
    for exponent in [0.9, 1.1] {
        for (name, scans) in [("", false), (" and scans", true)] {
            let trace = trace(exponent, scans);
            for percent in CAPACITIES {
                let capacity = all * percent / 100;
                let store = mean(&draws, |keys| replay(&trace, memory_store(keys, &entries, capacity)));
                let moka = mean(&draws, |keys| replay(&trace, plain_moka(keys, &entries, capacity)));
                let mut lru = Lru::new(&weights, capacity);
                let lru = replay(&trace, |key| lru.ask(key));
                let mut belady = Belady::new(&weights, capacity, &trace);
                let belady = replay(&trace, |key| belady.ask(key));
                let is_as_good = store + TOLERANCE >= moka;
                is_below |= !is_as_good;
                println!(
                    "{:<22} {:>7}% {:>11.2} {:>7.2} {:>7.2} {:>7.2} {:>13.3}   {}",
                    format!("Zipf {exponent}{name}"),
                    percent,
                    store * 100.0,
                    moka * 100.0,
                    lru * 100.0,
                    belady * 100.0,
                    store / moka,
                    if is_as_good { "yes" } else { "no" },
                );
            }
        }
    }
    ExitCode::from(u8::from(is_below))
}

/// The answers to all that a trace asks for. The bodies share their bytes, as only their length counts.
fn entries() -> Vec<Entry> {
    let rng = SeededRng::new(SEED);
    let head = head(3600, 0);
    let body = Bytes::from(vec![b'x'; BODY_MAX as usize]);
    let entry = |_| {
        let len = BODY_MIN * (BODY_MAX / BODY_MIN).powf(rng.unit());
        Entry::new(head.clone(), body.slice(..len as usize), Start::promoted(Fence::default()))
    };
    (0..KEYS + SCANNED).map(entry).collect()
}

/// The keys of the same, as they are called in one draw; of the same weight in each.
fn keys(draw: usize) -> Vec<CacheKey> {
    let authority = format!("{draw}.pitchey.example");
    let key = |n: usize| {
        let path = format!("/api/pitches/{n}");
        CacheKey::new(&KeyParts { scheme: "https", authority: &authority, tenant: "", path: &path, query: "" })
    };
    (0..KEYS + SCANNED).map(key).collect()
}

/// What is asked, one after the other: by Zipf's law, and now and then many keys in a row that nobody asks for again.
fn trace(exponent: f64, scans: bool) -> Vec<usize> {
    let rng = SeededRng::new(SEED);
    let mut sum = 0.0;
    let mut up_to = Vec::with_capacity(KEYS);
    for rank in 1..=KEYS {
        sum += (rank as f64).powf(-exponent);
        up_to.push(sum);
    }
    let mut scanned = KEYS..;
    let ask = |at: usize| {
        if scans && at % SCAN_EVERY >= SCAN_EVERY - SCAN {
            return scanned.next().expect("it has no end");
        }
        let drawn = rng.unit() * sum;
        up_to.partition_point(|up_to| *up_to <= drawn).min(KEYS - 1)
    };
    (0..REQUESTS).map(ask).collect()
}

/// The share of hits. `ask` says whether it had the key, and keeps what it missed.
fn replay(trace: &[usize], mut ask: impl FnMut(usize) -> bool) -> f64 {
    trace.iter().filter(|key| ask(**key)).count() as f64 / trace.len() as f64
}

fn mean(draws: &[Vec<CacheKey>], share: impl FnMut(&Vec<CacheKey>) -> f64) -> f64 {
    draws.iter().map(share).sum::<f64>() / draws.len() as f64
}

fn memory_store(keys: &[CacheKey], entries: &[Entry], capacity_bytes: u64) -> impl FnMut(usize) -> bool {
    let store = MemoryStore::new(&MemoryConfig { capacity_bytes, ..MemoryConfig::default() });
    let mut asked = 0_usize;
    move |at| {
        let (key, entry) = (&keys[at], &entries[at]);
        let is_hit = store.get(key).into_inner().expect("memory always answers").is_some();
        if !is_hit {
            store.put(key.clone(), entry.clone(), KEEP).into_inner().expect("memory takes all");
        }
        asked += 1;
        if asked.is_multiple_of(TIDY_EVERY) {
            store.tidy();
        }
        is_hit
    }
}

/// As whoever takes moka from its manual would have it: no expiry, its own hasher.
fn plain_moka(keys: &[CacheKey], entries: &[Entry], capacity_bytes: u64) -> impl FnMut(usize) -> bool {
    let weigh =
        |key: &CacheKey, entry: &Entry| u32::try_from(entry.weight_bytes(key.weight_bytes())).unwrap_or(u32::MAX);
    let cache = Cache::builder().max_capacity(capacity_bytes).weigher(weigh).build();
    let mut asked = 0_usize;
    move |at| {
        let (key, entry) = (&keys[at], &entries[at]);
        let is_hit = cache.get(key).is_some();
        if !is_hit {
            cache.insert(key.clone(), entry.clone());
        }
        asked += 1;
        if asked.is_multiple_of(TIDY_EVERY) {
            cache.run_pending_tasks();
        }
        is_hit
    }
}
