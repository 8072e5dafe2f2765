//! What went wrong in earlier attempts, one test or more for each item of the list, named after it.
//!
//! Not yet within reach, for the part that could fail is not built:
//! - 11, warming under other keys and shapes than the readers': there is no warmer.
//! - 12, the breaker that guarded one route of three and counted only connects: the database has no breaker; its bound is tested.
//! - 13, alerts without a cooldown, invented processor figures: there are no alerts and no dashboard; timing and probes are tested.
//! - 10, keys of 32 bits: collisions cannot be provoked from outside; the key's own tests compare the fields.
//!
//! The second half of 5, a node that tells the others of a purge, is among the faults: it takes two processes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod keys;
mod leaks;
mod measures;
mod mounting;
mod origins;
mod time;
