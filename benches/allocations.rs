//! How often does a memory hit ask the allocator? The whole stack, beside the bare handler; the request itself is not counted.

use allocation_counter::measure;
use edge_cache_benches::{Handler, SIZES, exchange, request, warmed};

/// Turns to take the mean of: moka tidies up once in a while.
const TURNS: u64 = 1000;

fn main() {
    println!("{:<18} {:>12} {:>12}", "per request", "allocations", "bytes");
    for (size, len) in SIZES {
        let (mut bare, mut cached) = (Handler::new(len), warmed(len));
        print(&format!("handler/{size}"), || exchange(&mut bare, request()));
        print(&format!("memory/{size}"), || exchange(&mut cached, request()));
    }
}

fn print(name: &str, mut turn: impl FnMut() -> usize) {
    let asked = measure(|| drop(request()));
    let all = measure(|| (0..TURNS).for_each(|_| assert!(turn() > 0)));
    let mean = |all: u64, asked: u64| {
        let hundredths = all.saturating_mul(100) / TURNS - asked * 100;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    let (count, bytes) = (mean(all.count_total, asked.count_total), mean(all.bytes_total, asked.bytes_total));
    println!("{name:<18} {count:>12} {bytes:>12}");
}
