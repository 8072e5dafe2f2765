//! The crate `http-cache-tower-server`, with moka behind it, in front of a handler in the same process.

use edge_cache_peers::layered;
use http_cache::{MokaCache, MokaManager};
use http_cache_tower_server::{QueryKeyer, ServerCacheLayer};

/// More than any question has keys.
const ENTRIES_MAX: u64 = 100_000;

fn main() -> anyhow::Result<()> {
    // The keys of the questions differ in the query too; the keyer that comes by default looks at the path alone.
    layered::serve(ServerCacheLayer::with_keyer(MokaManager::new(MokaCache::new(ENTRIES_MAX)), QueryKeyer))
}
