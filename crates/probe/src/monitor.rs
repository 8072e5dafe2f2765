//! A monitor that a warm cache does not fool: it asks through the cache, as readers do, and past it, where the origin has to answer.

mod book;
mod config;
mod day;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{fmt, future::pending, sync::Arc};

use edge_cache_core::{SharedClock, SystemClock};
use edge_cache_warmer::Replay;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::book::Book;
pub use self::{
    config::{CheckConfig, MonitorConfig, MonitorConfigError},
    snapshot::{CheckSnapshot, Day, Finished, Last, MonitorSnapshot, State},
};
use crate::{Ask, Question, Way, outcome::put};

/// Checks that are asked at once: a monitor is no load.
const CONCURRENCY: usize = 4;

/// One check, ready to be asked.
#[derive(Debug)]
struct Check {
    replay: Replay,
    statuses: Vec<u16>,
    body_bytes_max: u64,
    ways: &'static [Way],
    /// Place of its first way among the rows of the book.
    row: usize,
}

/// Asks the endpoints of a [`MonitorConfig`] in rounds, and keeps what came of it in fixed memory. Clones are the same monitor.
pub struct Monitor<A> {
    asker: A,
    config: Arc<MonitorConfig>,
    checks: Arc<[Check]>,
    clock: SharedClock,
    view: View,
}

impl<A: Clone> Clone for Monitor<A> {
    fn clone(&self) -> Self {
        Self {
            asker: self.asker.clone(),
            config: Arc::clone(&self.config),
            checks: Arc::clone(&self.checks),
            clock: Arc::clone(&self.clock),
            view: self.view.clone(),
        }
    }
}

impl<A> fmt::Debug for Monitor<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("checks", &self.checks).finish_non_exhaustive()
    }
}

/// What a monitor has found, for those who only look. Clones see the same.
#[derive(Clone, Debug)]
pub struct View(Arc<Mutex<Book>>);

impl View {
    /// As it is now. The time of it goes with the number of checks: microseconds for a dozen.
    #[must_use]
    pub fn snapshot(&self) -> MonitorSnapshot {
        self.0.lock().snapshot(Instant::now())
    }
}

impl<A> Monitor<A> {
    /// A monitor that asks through `asker`, and has asked for nothing yet. Its day begins now; must be made on a Tokio runtime.
    ///
    /// # Errors
    /// The first key of `config` that breaks its rule.
    pub fn new(config: &MonitorConfig, asker: A) -> Result<Self, MonitorConfigError> {
        let replays = config.replays()?;
        let (mut checks, mut rows) = (Vec::with_capacity(replays.len()), Vec::new());
        for (check, replay) in config.check.iter().zip(replays) {
            let ways: &'static [Way] = if check.past { &[Way::Through, Way::Past] } else { &[Way::Through] };
            let (statuses, body_bytes_max) = (check.statuses.clone(), check.body_bytes_max);
            checks.push(Check { replay, statuses, body_bytes_max, ways, row: rows.len() });
            rows.extend(ways.iter().map(|way| (check.name.clone(), check.path.clone(), *way)));
        }
        let book = Book::new(rows, Instant::now());
        Ok(Self {
            asker,
            config: Arc::new(config.clone()),
            checks: checks.into(),
            clock: Arc::new(SystemClock),
            view: View(Arc::new(Mutex::new(book))),
        })
    }

    /// Tells the time of results by `clock`. Default: the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// For whoever only looks.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// As it is now.
    #[must_use]
    pub fn snapshot(&self) -> MonitorSnapshot {
        self.view.snapshot()
    }
}

impl<A: Ask> Monitor<A> {
    /// Asks in rounds without end, the first at once. Without checks, or where it is not enabled, it only never ends.
    pub async fn run(self) {
        if !self.config.enabled || self.checks.is_empty() {
            return pending().await;
        }
        let mut due = interval(self.config.every);
        // A round that took longer than the time between two is not made up for.
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            self.round().await;
        }
    }

    /// Asks for everything once, and notes each result as it comes; those, in the order of the configuration. Dropped, it gives up what is in
    /// flight, and what was noted stays.
    pub async fn round(&self) -> Vec<Finished> {
        let asked: Vec<_> = (0..self.checks.len()).map(|at| self.clone().check(at)).collect();
        let finished: Vec<Vec<Finished>> = stream::iter(asked).buffered(CONCURRENCY).collect().await;
        self.view.0.lock().round_ends(self.clock.now());
        finished.into_iter().flatten().collect()
    }

    /// Through the cache first: past it, a good answer is stored.
    async fn check(self, at: usize) -> Vec<Finished> {
        let Check { replay, statuses, body_bytes_max, ways, row } = &self.checks[at];
        let mut finished = Vec::with_capacity(ways.len());
        for (way, row) in ways.iter().zip(*row..) {
            let question = Question { replay: replay.clone(), way: *way, body_bytes_max: *body_bytes_max };
            let outcome = put(&self.asker, &question, statuses, self.config.timeout).await;
            finished.push(self.view.0.lock().note(row, &outcome, self.clock.now(), Instant::now()));
        }
        finished
    }
}
