//! The crates that are compared, set up as every question asks them.

use std::time::Duration;

use http_cache::{MokaCache, MokaManager};
use http_cache_tower_server::{QueryKeyer, ServerCacheLayer};
use tower_http_cache::{backend::memory::InMemoryBackend, layer::CacheLayer};

/// More than any question has keys.
const ENTRIES_MAX: u64 = 100_000;
/// Longer than any run takes.
const TTL: Duration = Duration::from_secs(86_400);

/// `tower-http-cache`, with its own store in memory.
#[must_use]
pub fn tower_http_cache() -> CacheLayer<InMemoryBackend> {
    CacheLayer::builder(InMemoryBackend::new(ENTRIES_MAX)).ttl(TTL).build()
}

/// `http-cache-tower-server`, with moka behind it.
#[must_use]
pub fn http_cache_tower_server() -> ServerCacheLayer<MokaManager, QueryKeyer> {
    // The keys of the questions differ in the query too; the keyer that comes by default looks at the path alone.
    ServerCacheLayer::with_keyer(MokaManager::new(MokaCache::new(ENTRIES_MAX)), QueryKeyer)
}
