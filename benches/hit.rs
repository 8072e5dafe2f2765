//! What does a memory hit cost? The whole stack in process, beside the bare handler as the floor; the request is made anew for
//! each turn on both sides.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use edge_cache_benches::{Handler, SIZES, exchange, request, warmed};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hit(&mut criterion);
    criterion.final_summary();
}

fn hit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hit");
    group.throughput(Throughput::Elements(1));
    for (size, len) in SIZES {
        let (mut bare, mut cached) = (Handler::new(len), warmed(len));
        group.bench_function(format!("handler/{size}"), |bencher| {
            bencher.iter_batched(request, |asked| black_box(exchange(&mut bare, asked)), BatchSize::SmallInput);
        });
        group.bench_function(format!("memory/{size}"), |bencher| {
            bencher.iter_batched(request, |asked| black_box(exchange(&mut cached, asked)), BatchSize::SmallInput);
        });
    }
    group.finish();
}
