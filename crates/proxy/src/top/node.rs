//! What is known of one node.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{
    feed::{Event, Loss},
    model::{Columns, Sample, State},
    text::Text,
};

/// As many as the feed tells of the past, second by second.
const SAMPLES_MAX: usize = 600;

/// Whether a node tells what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nothing came yet.
    Connecting,
    /// What is known is of now.
    Live,
    /// What is known, if anything, is of before.
    Lost {
        since: Instant,
        /// Of the last try.
        why: Text,
    },
}

/// One node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) admin: String,
    pub(super) status: Status,
    /// As it calls itself.
    pub(super) name: Text,
    pub(super) version: Text,
    pub(super) state: Option<State>,
    /// Oldest first.
    pub(super) samples: VecDeque<Sample>,
    columns: Columns,
}

impl Node {
    /// `admin` is where it was asked for.
    pub(super) fn new(admin: String) -> Self {
        Self {
            admin,
            status: Status::Connecting,
            name: Text::default(),
            version: Text::default(),
            state: None,
            samples: VecDeque::new(),
            columns: Columns::default(),
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.status, Status::Live)
    }

    /// As it calls itself, or where it was asked for.
    pub(super) fn label(&self) -> &str {
        if self.name.as_str().is_empty() { &self.admin } else { self.name.as_str() }
    }

    pub(super) fn hear(&mut self, event: Event, now: Instant) {
        match event {
            Event::Hello(hello) => (self.name, self.version) = (hello.node, hello.version),
            Event::History(history) => {
                self.columns = Columns::of(&history.columns);
                let from = history.fine.rows.len().saturating_sub(SAMPLES_MAX);
                self.samples = history.fine.rows[from..].iter().map(|row| self.columns.sample(row)).collect();
            }
            Event::Now(now) => {
                self.status = Status::Live;
                let sample = self.columns.sample(&now.sample);
                // The history may end with the same second.
                if self.samples.back().is_none_or(|last| last.at != sample.at) {
                    self.samples.push_back(sample);
                }
                if self.samples.len() > SAMPLES_MAX {
                    self.samples.pop_front();
                }
                self.state = Some(now.state);
            }
            Event::Lost(loss) => self.lose(&loss, now),
        }
    }

    fn lose(&mut self, loss: &Loss, now: Instant) {
        let since = match self.status {
            Status::Lost { since, .. } => since,
            Status::Connecting | Status::Live => now,
        };
        self.status = Status::Lost { since, why: Text::of(&loss.reason()) };
    }
}
