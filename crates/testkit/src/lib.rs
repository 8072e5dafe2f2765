//! Clocks, randomness and stores for tests: everything that a test must hold still or break on purpose.

mod clock;
pub mod contract;
mod head;
mod rng;
mod store;

pub use self::{
    clock::FakeClock,
    head::head,
    rng::{FixedRng, SeededRng},
    store::FlakyStore,
};
