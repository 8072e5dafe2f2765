//! The crate `tower-http-cache` in front of a handler in the same process.

use edge_cache_peers::{crates, layered};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    layered::serve(crates::tower_http_cache())
}
