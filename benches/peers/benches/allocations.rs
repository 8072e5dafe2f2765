//! How often does such a hit ask the allocator, and for how many bytes? The request itself is not counted.

mod hits;

use allocation_counter::measure;
use edge_cache_benches::request;
use hits::KEYS;

/// What a thread keeps at hand of hits fills up slowly.
const ROUNDS_BEFORE: u64 = 40;

fn main() {
    println!("{:<30} {:>12} {:>12}", "per hit", "allocations", "bytes");
    let asked = measure(|| drop(request()));
    hits::each(|name, ask| {
        ask(ROUNDS_BEFORE * KEYS);
        let all = measure(|| ask(KEYS));
        let mean = |all: u64, asked: u64| all as f64 / KEYS as f64 - asked as f64;
        let (count, bytes) = (mean(all.count_total, asked.count_total), mean(all.bytes_total, asked.bytes_total));
        println!("{name:<30} {count:>12.2} {bytes:>12.0}");
    });
}
