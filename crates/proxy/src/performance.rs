//! The performance page: what happens each second, a day of it in memory, and the feed that shows it live.

pub(crate) mod assets;
mod feed;
mod history;
mod numbers;
pub(crate) mod process;
mod row;
mod state;
mod totals;

use std::{sync::Arc, time::Duration};

use edge_cache::core::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::{
    sync::broadcast,
    time::{MissedTickBehavior, interval},
};

pub(crate) use self::{
    feed::Feed,
    state::Sources,
    totals::{Totals, Way},
};
use self::{history::History, row::Row};

/// Between two rows of the feed.
const STEP: Duration = Duration::from_secs(1);
/// Rows that a reader of the feed may be late by without missing one.
const LATE_MAX: usize = 16;

/// What is measured of the process, second by second. Clones share it. Somebody must [run](Self::run) it.
#[derive(Clone)]
pub(crate) struct Performance(Arc<Inner>);

struct Inner {
    sources: Sources,
    history: Mutex<History>,
    /// The last rows, as they are sent; written only while somebody listens.
    now: broadcast::Sender<Arc<str>>,
}

impl Performance {
    pub(crate) fn new(sources: Sources) -> Self {
        let (now, _) = broadcast::channel(LATE_MAX);
        Self(Arc::new(Inner { sources, history: Mutex::default(), now }))
    }

    /// Measures, without end.
    pub(crate) async fn run(self) {
        let mut beat = interval(STEP);
        // A second that was missed is part of the next one, which says how long it was.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.tick().await;
        let mut before = self.0.sources.totals();
        loop {
            beat.tick().await;
            let now = self.0.sources.totals();
            self.step(&before, &now);
            before = now;
        }
    }

    fn step(&self, before: &Totals, now: &Totals) {
        let row = Row::between(before, now);
        self.0.history.lock().push(row, before, now);
        if self.0.now.receiver_count() > 0 {
            let text = self.now(&row, now);
            // Whoever listened may have left meanwhile.
            self.0.now.send(text.into()).ok();
        }
    }

    /// The message of one second.
    fn now(&self, row: &Row, now: &Totals) -> String {
        let mut text = String::from("{\"sample\":");
        row.write(&mut text);
        text.push_str(",\"state\":");
        text.push_str(&self.0.sources.state(now).to_string());
        text.push('}');
        text
    }
}

/// Now, as a Unix time in seconds.
pub(crate) fn unix_now() -> f64 {
    SystemClock.now().as_millis() as f64 / 1000.0
}
