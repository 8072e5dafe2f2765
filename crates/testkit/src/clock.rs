use std::sync::Arc;

use edge_cache_core::{Clock, SharedClock, Timestamp};
use tokio::time::Instant;

/// A wall clock that follows Tokio's paused time: one `tokio::time::advance` moves both.
#[derive(Clone, Debug)]
pub struct FakeClock {
    began: Instant,
    base: Timestamp,
}

impl FakeClock {
    /// A clock that shows `base` now. Must be made on a Tokio runtime.
    #[must_use]
    pub fn at(base: Timestamp) -> Self {
        Self { began: Instant::now(), base }
    }

    /// As a stack takes it.
    #[must_use]
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.base + self.began.elapsed()
    }
}
