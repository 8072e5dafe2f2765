//! One control loop that spares the origin: it looks at the permits, says to the tiers how hard the origin is pressed, and lowers the
//! permits while Redis is lost.

mod cap;
mod level;

use std::{sync::Arc, time::Duration};

use edge_cache_breaker::{Load, State};
use edge_cache_core::{Level, Pressure};
use edge_cache_origin::Permits;
use edge_cache_redis::RedisStore;
use edge_cache_telemetry::{Metrics, Reading, catalogue};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::{cap::Cap, level::Ladder};

/// How often it looks.
const TICK: Duration = Duration::from_millis(100);

/// What the governor sees and does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Governed {
    /// How hard the origin is pressed.
    pub level: Level,
    /// Permits taken, of all, from 0 to 1, over the last look.
    pub utilisation: f64,
    /// The permits and the queue before them.
    pub load: Load,
    /// Whether the permits are lowered because Redis is lost.
    pub redis_lost: bool,
    /// How many permits are known to do.
    pub safe: usize,
}

/// Watches the permits of one origin.
#[derive(Clone, Debug)]
pub(crate) struct Governor {
    permits: Permits,
    redis: Option<RedisStore>,
    pressures: Vec<Pressure>,
    seen: Arc<Mutex<Governed>>,
}

/// One look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Permits taken on average.
    pub(super) at_work: f64,
    /// Permits that there are.
    pub(super) limit: usize,
    /// Those who wait.
    pub(super) waiting: usize,
    /// Those refused since the last look.
    pub(super) refused: u64,
}

impl Sample {
    fn between(before: &Load, now: &Load, took: Duration) -> Self {
        let busy = now.busy.saturating_sub(before.busy).as_secs_f64();
        Self {
            at_work: busy / took.as_secs_f64().max(f64::EPSILON),
            limit: now.limit,
            waiting: now.waiting,
            refused: now.refused - before.refused,
        }
    }

    pub(super) fn utilisation(&self) -> f64 {
        self.at_work / self.limit as f64
    }
}

impl Governor {
    pub(crate) fn new(permits: Permits, redis: Option<RedisStore>, pressures: Vec<Pressure>) -> Self {
        Self { permits, redis, pressures, seen: Arc::default() }
    }

    /// What it saw and did last.
    pub(crate) fn governed(&self) -> Governed {
        Governed { load: self.permits.load(), ..*self.seen.lock() }
    }

    /// Governs without end.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ladder, mut cap) = (Ladder::default(), Cap::new(self.permits.load().limit_max));
        let (mut before, mut looked) = (self.permits.load(), Instant::now());
        ticks.tick().await;
        // Whoever governed before may have ended in the middle of it.
        self.tell(Some(Level::Calm));
        self.permits.set_limit(before.limit_max);
        loop {
            ticks.tick().await;
            let (load, now) = (self.permits.load(), Instant::now());
            let sample = Sample::between(&before, &load, now - looked);
            (before, looked) = (load, now);
            let redis_lost = self.redis.as_ref().is_some_and(|redis| redis.read_breaker() != State::Closed);
            let limit = cap.observe(sample.at_work, redis_lost);
            if limit != load.limit {
                tracing::info!(limit, redis_lost, "the origin's permits change");
                self.permits.set_limit(limit);
            }
            self.tell(ladder.observe(&sample));
            let (level, utilisation, safe) = (ladder.level(), sample.utilisation(), cap.safe());
            *self.seen.lock() = Governed { level, utilisation, load, redis_lost, safe };
        }
    }

    fn tell(&self, changed: Option<Level>) {
        let Some(level) = changed else { return };
        tracing::info!(level = level.as_str(), "the origin's pressure changes");
        for pressure in &self.pressures {
            pressure.set(level);
        }
    }

    pub(crate) fn watch(&self, metrics: &Metrics) {
        let gauge = |metric, read: fn(&Governed) -> f64| {
            let this = self.clone();
            metrics.read_at_scrape(Reading::gauge(metric, move || read(&this.governed())));
        };
        gauge(&catalogue::ORIGIN_PRESSURE, |seen| f64::from(seen.level as u8));
        gauge(&catalogue::ORIGIN_UTILISATION, |seen| seen.utilisation);
        gauge(&catalogue::ORIGIN_PERMITS_LIMIT, |seen| seen.load.limit as f64);
        gauge(&catalogue::ORIGIN_PERMITS_IN_USE, |seen| seen.load.in_use as f64);
        gauge(&catalogue::ORIGIN_PERMITS_IN_USE_MAX, |seen| seen.load.in_use_max as f64);
        gauge(&catalogue::ORIGIN_PERMITS_SAFE, |seen| seen.safe as f64);
        gauge(&catalogue::ORIGIN_WAITING, |seen| seen.load.waiting as f64);
        let permits = || self.permits.clone();
        let (admitted, shed, waited) = (permits(), permits(), permits());
        metrics.read_at_scrape(Reading::counter(&catalogue::ORIGIN_ADMITTED, move || admitted.load().admitted));
        metrics.read_at_scrape(Reading::counter(&catalogue::ORIGIN_SHED, move || shed.load().refused));
        metrics.read_at_scrape(Reading::seconds(&catalogue::ORIGIN_WAIT, move || waited.load().waited));
    }
}

#[cfg(test)]
mod tests;
