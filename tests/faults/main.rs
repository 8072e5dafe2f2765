//! What breaks under the cache, broken on purpose: the cache can only help.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod crowd;
mod database;
mod load;
mod nodes;
mod redis;
