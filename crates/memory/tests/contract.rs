//! The memory store keeps what every store promises.

use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_testkit::contract::store_contract;

#[tokio::test]
async fn it_keeps_the_contract() {
    store_contract(&MemoryStore::new(&MemoryConfig::default())).await;
}
