//! The demo as a newcomer meets it: Pitchey's API over the embedded database behind the cache.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod caching;
mod people;
mod refusals;
mod warming;
mod writes;
