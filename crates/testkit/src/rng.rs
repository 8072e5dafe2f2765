use edge_cache_core::Rng;

/// Always draws the same number: 0 takes no jitter off explicit lifetimes.
#[derive(Clone, Copy, Debug)]
pub struct FixedRng(pub f64);

impl Rng for FixedRng {
    fn unit(&self) -> f64 {
        self.0
    }
}
