//! How many may be at work at an origin at once.

use std::time::Duration;

use edge_cache_breaker::{Limiter, LimiterConfig, Load, Overloaded, Place};
use edge_cache_core::Priority;
use tokio::time::Instant;

use crate::work::Work;

const CLASSES: usize = Priority::ALL.len();

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Permits to work at an origin. Refreshing what is still good may use 15 % of them and warming 5 %, at least one each; these are ceilings,
/// and whoever waits for an answer goes first. Clones share the permits.
///
/// Give them to the cache (`EdgeCacheBuilder::origin_permits`), which then spares the origin as they run out.
#[derive(Clone, Debug)]
pub struct Permits(Limiter<CLASSES>);

/// Leave to work at the origin, until it is dropped.
#[derive(Debug)]
#[must_use = "the permit is given back when this is dropped"]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] Place<CLASSES>);

impl Permits {
    /// `limit` permits, and a queue for at most `queue_max` for at most `queue_timeout`.
    #[must_use]
    pub fn new(limit: usize, queue_max: usize, queue_timeout: Duration) -> Self {
        let percent = |percent: usize| (limit * percent / 100).max(1);
        let ceilings = [limit, limit, percent(15), percent(5)];
        Self(Limiter::new(LimiterConfig { limit, queue_max, wait_max: queue_timeout, ceilings }))
    }

    /// A permit for the work that is running.
    ///
    /// # Errors
    /// [`Overloaded`]: too many wait, or it took too long.
    pub async fn acquire(&self) -> Result<Permit, Overloaded> {
        let class = Work::urgency() as usize;
        if let Some(place) = self.0.try_acquire(class) {
            return Ok(Permit(place));
        }
        let began = Instant::now();
        let permit = self.0.acquire(class, Work::end()).await.map(Permit);
        let waited = millis(began.elapsed());
        match &permit {
            Ok(_) => Work::note("origin", || format!("waited {waited:.1} ms for a permit")),
            Err(refused) => Work::note("origin", || format!("no permit after {waited:.1} ms: {refused}")),
        }
        permit
    }

    /// Changes how many there are, from 1 to what it began with.
    pub fn set_limit(&self, limit: usize) {
        self.0.set_limit(limit);
    }

    /// What goes on.
    #[must_use]
    pub fn load(&self) -> Load {
        self.0.load()
    }
}
