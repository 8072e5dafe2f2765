//! The crate `tower-http-cache` in front of a handler in the same process.

use std::time::Duration;

use edge_cache_peers::layered;
use tower_http_cache::{backend::memory::InMemoryBackend, layer::CacheLayer};

/// More than any question has keys.
const ENTRIES_MAX: u64 = 100_000;
/// Longer than any run takes.
const TTL: Duration = Duration::from_secs(86_400);

fn main() -> anyhow::Result<()> {
    layered::serve(CacheLayer::builder(InMemoryBackend::new(ENTRIES_MAX)).ttl(TTL).build())
}
