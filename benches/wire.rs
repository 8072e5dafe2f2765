//! What does it cost to bring an entry into the form it has in Redis or on a disk, and back? Plain, and compressed.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use edge_cache::{
    core::{CacheKey, KeyParts},
    wire::{decode, encode},
};
use edge_cache_benches::{SIZES, entry, warmed};

/// Bodies of at least this many bytes are compressed; 0 for never.
const FORMS: [(&str, u64); 2] = [("plain", 0), ("zstd", 1)];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    wire(&mut criterion);
    criterion.final_summary();
}

fn wire(criterion: &mut Criterion) {
    let parts = KeyParts {
        scheme: "http",
        authority: "pitchey.example",
        tenant: "",
        path: "/api/pitches/trending",
        query: "limit=10",
    };
    let key = CacheKey::new(&parts);
    let mut group = criterion.benchmark_group("wire");
    for (size, len) in SIZES {
        let entry = entry(&mut warmed(len));
        group.throughput(Throughput::Bytes(len as u64));
        for (form, compress_bytes_min) in FORMS {
            let frame = encode(&key, &entry, compress_bytes_min);
            group.bench_function(format!("encode/{form}/{size}"), |bencher| {
                bencher.iter(|| encode(black_box(&key), black_box(&entry), compress_bytes_min));
            });
            group.bench_function(format!("decode/{form}/{size}"), |bencher| {
                bencher.iter(|| decode(black_box(&frame), black_box(&key), len as u64).expect("it was just encoded"));
            });
        }
    }
    group.finish();
}
