//! Latencies, measured so that a later measurement can be told from noise.
//!
//! A [`Recording`] is taken in rounds: in each, every endpoint is asked so many times, in turn with the others, over one connection each. What
//! drifts (another program, the machine's clock rate, a database that is vacuumed) moves the answers of a round together; so a
//! [`compare`]ison draws whole rounds, two neighbours at a time, and not single answers, of which hundreds would look like certainty. Rounds
//! begin a second apart, or all of them would see one moment, however many there are, and the next recording another.
//! An interval is meant to hold the true ratio in 95 of 100 cases. With ten rounds of which each is moved by half of what moved the one before,
//! simulated, it does in 91; with rounds that do not remember, in 95 and more.
//!
//! What drifts without coming back (a random walk of 2 % a second) makes an interval wider by as much as rounds follow one another:
//! simulated, of 200 servers that were left alone at most one in twenty is called worse.
//!
//! A difference below [`DIFFERENCE_MIN_MICROS`] is never better or worse: the kernel's scheduling and the clock move an answer by as much.
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

/// Least difference of a latency that counts, in microseconds, however large a share it is: below it lie the noise of the clock and of the
/// scheduler.
pub const DIFFERENCE_MIN_MICROS: u64 = 50;
/// Most rounds of one recording.
pub const ROUNDS_MAX: u32 = 1_000;
/// Most answers of one recording, of all endpoints together.
pub const SAMPLES_MAX: u64 = 100_000;
