//! What does a hit cost in process, over many keys? The whole stack, the two crates and the bare handler in one run, without a
//! socket.

mod hits;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let criterion = Criterion::default().sample_size(30).measurement_time(Duration::from_secs(3));
    let mut criterion = criterion.configure_from_args();
    let mut group = criterion.benchmark_group("hit in process");
    group.throughput(Throughput::Elements(1));
    hits::each(|name, ask| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|turns| {
                let start = Instant::now();
                ask(turns);
                start.elapsed()
            });
        });
    });
    group.finish();
    criterion.final_summary();
}
