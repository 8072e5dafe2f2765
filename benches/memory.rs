//! What does an entry cost in memory? Fills the cache with answers of 1 KiB and eight header fields, and reads how far the process has grown,
//! with the allocator that `cache-proxy` has.
//!
//! `cargo bench -p edge-cache-benches --bench memory`, with `-- 100000` for another number of entries than a million.

use std::{convert::Infallible, fs, ops::Range};

use bytes::Bytes;
use edge_cache::{EdgeCache, MemoryConfig};
use edge_cache_benches::{exchange, request_for};
use http::{
    HeaderName, HeaderValue, Request, Response, Uri,
    header::{
        CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HOST, LAST_MODIFIED,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body_util::Full;
use tokio::runtime::Builder;
use tower::{Layer, Service, service_fn};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENTRIES: u64 = 1_000_000;
const BODY_BYTES: usize = 1024;
const CAPACITY_BYTES: u64 = 4352 << 20;
/// Filled before the first look, so that what does not grow with entries is there already.
const BEFORE: u64 = 1000;

fn main() {
    let entries = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(ENTRIES);
    let memory = MemoryConfig { capacity_bytes: CAPACITY_BYTES, ..MemoryConfig::default() };
    let cache = EdgeCache::builder().memory(memory).build().expect("the settings are valid");
    let mut service = cache.layer().layer(service_fn(answer));
    let runtime = Builder::new_current_thread().enable_all().build().expect("threads are to be had");
    let mut fill = |numbers: Range<u64>| {
        for number in numbers {
            let Ok(response) = runtime.block_on(service.call(request_for(target(number))));
            assert!(response.status().is_success());
        }
    };
    fill(entries..entries + BEFORE);
    let before = resident();
    fill(0..entries);
    let each = (resident() - before) as f64 / entries as f64;
    for number in (0..entries).step_by(1000) {
        // One that waits is no hit.
        assert_eq!(exchange(&mut service, request_for(target(number))), BODY_BYTES);
    }
    let exact = exact(entries / 2);
    println!(
        "{entries} entries: {each:.0} bytes each, for {exact} of head, body and key: {:.3} x",
        each / exact as f64
    );
}

fn target(number: u64) -> Uri {
    format!("/item/{number}?bytes={BODY_BYTES}").parse().expect("digits make a target")
}

/// What the origin of `benches/peers` answers.
fn head(number: u64) -> [(HeaderName, String); 8] {
    [
        (CONTENT_TYPE, "application/json".into()),
        (CACHE_CONTROL, "public, max-age=86400".into()),
        (LAST_MODIFIED, "Wed, 01 Jan 2025 00:00:00 GMT".into()),
        (CONTENT_LANGUAGE, "en".into()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".into()),
        (ETAG, format!("\"{number:010}\"")),
        (DATE, "Sun, 29 Nov 2026 12:00:00 GMT".into()),
        (CONTENT_LENGTH, BODY_BYTES.to_string()),
    ]
}

async fn answer<B>(asked: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = asked.uri().path().rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let mut response = Response::new(Full::new(Bytes::from(vec![b'x'; BODY_BYTES])));
    let value = |text: String| HeaderValue::try_from(text).expect("all of it is visible");
    response.headers_mut().extend(head(number).map(|(name, text)| (name, value(text))));
    Ok(response)
}

/// Bytes that an entry is made of.
fn exact(number: u64) -> usize {
    let head: usize = head(number).iter().map(|(name, text)| name.as_str().len() + text.len()).sum();
    let host = request_for(target(number)).headers()[HOST].len();
    head + BODY_BYTES + "http://".len() + host + target(number).to_string().len()
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux says what its processes take");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory is among it");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}
