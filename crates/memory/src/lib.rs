//! The memory tier's store: moka (TinyLFU), weighed in bytes.
//!
//! ```
//! use edge_cache_memory::{MemoryConfig, MemoryStore};
//!
//! let store = MemoryStore::new(&MemoryConfig::default());
//! assert_eq!(store.entries(), 0);
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod key;
mod store;

pub use self::{
    config::MemoryConfig,
    store::{Eviction, MemoryStore},
};
