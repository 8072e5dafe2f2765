//! Randomness as a parameter, so that jitter can be seeded in tests.

use std::{fmt, sync::Arc};

/// A source of randomness for jitter. Not for secrets.
pub trait Rng: fmt::Debug + Send + Sync + 'static {
    /// A number drawn evenly from `[0, 1)`.
    fn unit(&self) -> f64;
}

/// A source shared by a whole stack.
pub type SharedRng = Arc<dyn Rng>;

/// The thread's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn unit(&self) -> f64 {
        rand::random::<f64>()
    }
}
