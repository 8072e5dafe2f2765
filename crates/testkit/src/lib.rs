//! Clocks, randomness and stores for tests: everything that a test must hold still or break on purpose.

mod clock;
pub mod contract;
mod rng;
mod store;

pub use self::{
    clock::FakeClock,
    rng::{FixedRng, SeededRng},
    store::FlakyStore,
};
