//! What tiers report as it happens; the metric catalogue implements it.

use std::{fmt, sync::Arc, time::Duration};

use crate::{TierName, marker::PurgeKind};

/// A listener to what goes on inside the tiers. Every method must be cheap and must not block.
pub trait Events: fmt::Debug + Send + Sync + 'static {
    /// A store failed; the request went on as on a miss.
    fn store_failed(&self, tier: TierName, operation: &'static str) {
        let _unheard = (tier, operation);
    }
    /// A fill ended: `took` from the inward call to the last byte; `stored` tells whether it was kept.
    fn filled(&self, tier: TierName, took: Duration, stored: bool) {
        let _unheard = (tier, took, stored);
    }
    /// A fill failed: no answer, a server error, or a body that ended early.
    fn fill_failed(&self, tier: TierName) {
        let _unheard = tier;
    }
    /// A fresh entry is asked for anew before its end.
    fn refreshed_early(&self, tier: TierName) {
        let _unheard = tier;
    }
    /// A purge has ended, and this is what is to be said of it.
    fn purge_noted(&self, note: &PurgeNote) {
        let _unheard = note;
    }
    /// A purge of `tags` tags was applied.
    fn purged(&self, kind: PurgeKind, tags: usize) {
        let _unheard = (kind, tags);
    }
}

/// How a purge came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgedBy {
    /// Somebody asked for it.
    Api,
    /// The database's outbox named it.
    Outbox,
    /// The answer to a write named it.
    Write,
    /// A route's declaration was found to be wrong.
    Distrust,
}

impl PurgedBy {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Outbox => "outbox",
            Self::Write => "write",
            Self::Distrust => "distrust",
        }
    }
}

/// What is told of a purge that was made on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeNote {
    /// How it came.
    pub by: PurgedBy,
    /// How far it goes.
    pub kind: PurgeKind,
    /// Tags that it named.
    pub tags: usize,
    /// What was purged, as it was asked for; of a write its method and path.
    pub what: String,
    /// Who purged.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// A listener shared by a whole stack.
pub type SharedEvents = Arc<dyn Events>;

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {}
