//! What does a memory hit cost? The whole stack in process, beside the bare handler as the floor; the request is made anew for
//! each turn on both sides.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use edge_cache::{EdgeCache, RedisConfig, TelemetrySettings, WarmSettings};
use edge_cache_benches::{Handler, SIZES, exchange, request, warmed, warmed_in};
use edge_cache_sandbox::Redis;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    hit(&mut criterion);
    criterion.final_summary();
}

fn hit(criterion: &mut Criterion) {
    // A node that shares purges with others asks its lease at each hit.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let redis = runtime.block_on(Redis::start()).expect("redis-server is installed");
    let cache = {
        let _within = runtime.enter();
        let config = RedisConfig { url: redis.url().to_owned(), ..RedisConfig::default() };
        EdgeCache::builder().redis(config).build().expect("the server is named rightly")
    };
    runtime.block_on(cache.sync()).expect("redis answers");
    runtime.spawn(cache.clone().housekeeping());
    let mut group = criterion.benchmark_group("hit");
    group.throughput(Throughput::Elements(1));
    for (size, len) in SIZES {
        let (mut bare, mut cached) = (Handler::new(len), warmed(len));
        let mut shared = warmed_in(&cache, &runtime, len);
        let uncounted = WarmSettings { enabled: false, ..WarmSettings::default() };
        let uncounted = EdgeCache::builder().warm(uncounted).build().expect("the defaults are valid");
        let mut uncounted = warmed_in(&uncounted, &runtime, len);
        group.bench_function(format!("handler/{size}"), |bencher| {
            bencher.iter_batched(request, |asked| black_box(exchange(&mut bare, asked)), BatchSize::SmallInput);
        });
        group.bench_function(format!("memory/{size}"), |bencher| {
            bencher.iter_batched(request, |asked| black_box(exchange(&mut cached, asked)), BatchSize::SmallInput);
        });
        group.bench_function(format!("memory, what is hot not counted/{size}"), |bencher| {
            bencher.iter_batched(request, |asked| black_box(exchange(&mut uncounted, asked)), BatchSize::SmallInput);
        });
        let unwatched = TelemetrySettings { enabled: false, ..TelemetrySettings::default() };
        let unwatched = EdgeCache::builder().telemetry(unwatched).build().expect("the defaults are valid");
        let mut unwatched = warmed_in(&unwatched, &runtime, len);
        group.bench_function(format!("memory, telemetry off/{size}"), |bencher| {
            bencher.iter_batched(request, |asked| black_box(exchange(&mut unwatched, asked)), BatchSize::SmallInput);
        });
        group.bench_function(format!("memory, nodes share purges/{size}"), |bencher| {
            bencher.iter_batched(request, |asked| black_box(exchange(&mut shared, asked)), BatchSize::SmallInput);
        });
        // The next size is another answer to the same question.
        let everything =
            edge_cache::Purge { targets: vec![edge_cache::Target::All], kind: edge_cache::PurgeKind::Hard };
        runtime.block_on(cache.purger().purge(&everything)).expect("everything has a tag");
    }
    group.finish();
}
