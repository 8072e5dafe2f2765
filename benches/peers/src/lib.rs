//! What the programs of this comparison share.

pub mod content;
pub mod crates;
pub mod layered;
pub mod passing;
pub mod report;
pub mod serving;

/// The `Host` of every request: a part of the key, and the same for every cache.
pub const HOST: &str = "peers.test";
