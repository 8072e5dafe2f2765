//! Latencies, measured so that a later measurement can be told from noise.
//!
//! A [`Recording`] is taken in rounds: in each, every endpoint is asked so many times, in turn with the others, over one connection each. What
//! drifts (another program, the machine's clock rate, a database that is vacuumed) moves the answers of a round together; so a
//! [`compare`]ison draws whole rounds, two neighbours at a time, and not single answers, of which hundreds would look like certainty.
//! An interval is meant to hold the true ratio in 95 of 100 cases. With ten rounds of which each is moved by half of what moved the one before,
//! simulated, it does in 91; with rounds that do not remember, in 95 and more.
//!
//! What changed between one run and the next (another neighbour on the machine) no statistics can tell from a change of the program:
//! record anew beside it where it matters.

mod compare;
mod errors;
mod file;
mod measure;
mod resample;
#[cfg(test)]
mod tests;

pub use self::{
    compare::{Comparison, ErrorsCompared, StatisticCompared, Tolerance, Verdict, compare},
    file::{Machine, Recording, RecordingError},
    measure::{Aim, Effort, EffortError, Endpoint, measure},
};

/// Most rounds of one recording.
pub const ROUNDS_MAX: u32 = 1_000;
/// Most answers of one recording, of all endpoints together.
pub const SAMPLES_MAX: u64 = 100_000;
