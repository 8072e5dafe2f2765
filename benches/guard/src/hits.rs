//! Hits without a server.

use std::hint::black_box;

use allocation_counter::measure;
use edge_cache::Cached;
use edge_cache_benches::{Asked, Handler, answer, exchange, fill, is_memory_hit, request_for, warmed};
use tokio::runtime::Builder;

const KEYS: usize = 1000;
/// Rounds over all keys before anything is counted: what the threads keep at hand fills up slowly.
const ROUNDS: usize = 40;

/// A cache that holds the answers, and a request for each.
pub(crate) struct Ready {
    cached: Cached<Handler>,
    asked: Vec<Asked>,
}

impl Ready {
    pub(crate) fn new() -> Self {
        let mut cached = warmed(1024);
        let runtime = Builder::new_current_thread().build().expect("threads are to be had");
        requests(KEYS).into_iter().for_each(|asked| runtime.block_on(fill(&mut cached, asked)));
        for _ in 0..ROUNDS {
            for asked in requests(KEYS) {
                assert!(is_memory_hit(answer(&mut cached, asked).headers()), "everything was stored");
            }
        }
        Self { cached, asked: requests(KEYS) }
    }

    /// One hit for each key. Not inlined: callgrind knows by its name what to count.
    #[inline(never)]
    pub(crate) fn measured(&mut self) {
        for asked in self.asked.drain(..) {
            black_box(exchange(&mut self.cached, asked));
        }
    }

    /// The hits that [`measured`](Self::measured) makes.
    pub(crate) const fn len() -> usize {
        KEYS
    }
}

/// One for each key.
pub(crate) fn requests(keys: usize) -> Vec<Asked> {
    let target = |key| format!("/api/pitches/{key}?limit=10").parse().expect("a target");
    (0..keys).map(|key| request_for(target(key))).collect()
}

/// Allocations of one hit, in the mean.
pub(crate) fn allocations() -> f64 {
    let mut ready = Ready::new();
    measure(|| ready.measured()).count_total as f64 / KEYS as f64
}
