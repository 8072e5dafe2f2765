//! The disk tier's store over fjall, and the order of purges that is kept beside it.
//!
//! For a node that has a disk and no Redis: what it cached, and every purge that was acknowledged, are still known after a restart,
//! however the process ended. [`open`] gives both from one folder.
//!
//! - **Entries** wait in memory until there are some MiB of them, or somebody calls [`DiskStore::flush`]; then they are written as one
//!   sorted table, without a journal. So an unclean end loses what waited, and nothing else. A batch is a 256th of the capacity, from
//!   256 KiB to 4 MiB; while the disk is slow up to two wait, and as much may be on its way. The disk is taken in sixteenths of the
//!   capacity; the oldest goes whole when the budget is spent, or when the disk is full. What is damaged is a miss, and takes what is
//!   older with it, lest that be found instead.
//! - **The order** ([`DiskOrder`]) is a file of its own: a purge is in it, synchronised, before it is acknowledged. If that file is
//!   damaged, a new order begins, and all entries with it; so too if it ends before a number that a table of entries bears. Only an end
//!   that was cut off after the last table was written is not seen, because a crash leaves the same.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! use std::sync::Arc;
//!
//! use edge_cache_core::SystemClock;
//! use edge_cache_disk::DiskConfig;
//!
//! let config = DiskConfig { path: folder.path().to_owned(), ..DiskConfig::default() };
//! let (store, order) = edge_cache_disk::open(config, Arc::new(SystemClock))?;
//! assert_eq!(store.entries(), 0);
//! assert_ne!({ order.markers().position().fence.incarnation }, 0);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod error;
mod folder;
mod open;
mod order;
mod store;

pub use self::{
    config::{DiskConfig, DiskConfigError},
    error::DiskError,
    open::open,
    order::DiskOrder,
    store::{DiskStore, Eviction},
};
