use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::{PurgeKind, Verdict};
use crate::TagHash;

/// Most tags that wait for a number; more become one purge of everything.
const TAGS_MAX: usize = 1024;

/// Purges without a number yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// How many tags wait: read on every hit, so that the empty case costs one load.
    waiting: AtomicU64,
    /// Purges begun on this node.
    begun: AtomicU64,
    /// Replaced whole, so that readers take no lock: few wait at once, and most of the time none.
    tags: ArcSwap<HashMap<TagHash, Waiting>>,
    writer: Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    kind: PurgeKind,
    begun: u64,
    /// When the first of the purges began that it stands for.
    since: u64,
}

/// Purges that wait for a number, to be settled once they have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// How far they go.
    pub kind: PurgeKind,
    /// What they purge.
    pub tags: Vec<TagHash>,
    begun: u64,
}

impl Ticket {
    /// A purge of other tags, as far and of the same moment.
    #[must_use]
    pub fn with_tags(&self, tags: Vec<TagHash>) -> Self {
        Self { tags, ..*self }
    }

    /// A purge of everything that stands for this one and went as far as `kind`.
    #[must_use]
    pub fn widened(&self, kind: PurgeKind) -> Self {
        Self { kind: self.kind.max(kind), tags: vec![TagHash::all()], begun: self.begun }
    }

    /// The same purges, at most `tags_max` tags at a time.
    pub fn split(&self, tags_max: usize) -> impl Iterator<Item = Self> {
        self.tags.chunks(tags_max).map(|tags| Self { tags: tags.to_vec(), ..*self })
    }
}

const POISONED: &str = "no code panics while it holds the pending purges";

impl Pending {
    /// How many purges this node has begun: goes into a fill's start.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn add(&self, kind: PurgeKind, tags: &[TagHash], now: u64) -> Ticket {
        let _writing = self.writer.lock().expect(POISONED);
        let mut waiting = HashMap::clone(&self.tags.load());
        let begun = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let (mut kind, mut tags) = (kind, tags.to_vec());
        if waiting.len() + tags.len() > TAGS_MAX {
            // As far as the one that went furthest.
            kind = waiting.drain().map(|(_, waiting)| waiting.kind).max().max(Some(kind)).unwrap_or(kind);
            tags = vec![TagHash::all()];
        }
        for tag in &tags {
            let slot = waiting.entry(*tag).or_insert(Waiting { kind, begun, since: now });
            *slot = Waiting { kind: slot.kind.max(kind), begun, since: slot.since };
        }
        self.replace(waiting);
        Ticket { kind, tags, begun }
    }

    /// Forgets what `ticket` named, unless a later purge named it too, or one that goes further and has no number yet.
    pub(super) fn remove(&self, ticket: &Ticket) {
        let _writing = self.writer.lock().expect(POISONED);
        let mut waiting = HashMap::clone(&self.tags.load());
        for tag in &ticket.tags {
            if waiting.get(tag).is_some_and(|w| w.begun <= ticket.begun && w.kind <= ticket.kind) {
                waiting.remove(tag);
            }
        }
        self.replace(waiting);
    }

    fn replace(&self, waiting: HashMap<TagHash, Waiting>) {
        let count = waiting.len() as u64;
        // What is waited for stands before it is counted.
        self.tags.store(Arc::new(waiting));
        self.waiting.store(count, Ordering::Release);
    }

    /// What has waited since `before`, as one ticket a kind.
    pub(super) fn tickets(&self, before: u64) -> Vec<Ticket> {
        let waiting = self.tags.load();
        let begun = self.begun();
        [PurgeKind::Soft, PurgeKind::Hard]
            .into_iter()
            .map(|kind| {
                let tags =
                    waiting.iter().filter(|(_, w)| w.kind == kind && w.since <= before).map(|(tag, _)| *tag).collect();
                Ticket { kind, tags, begun }
            })
            .filter(|ticket| !ticket.tags.is_empty())
            .collect()
    }

    /// How many tags wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Acquire)
    }

    /// Judges a fill that began when `begun` purges had.
    pub(super) fn judge(&self, begun: u64, tags: &[TagHash]) -> Verdict {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return Verdict::Live;
        }
        let waiting = self.tags.load();
        let hit = tags.iter().filter_map(|tag| waiting.get(tag)).filter(|w| w.begun > begun).map(|w| w.kind).max();
        hit.map_or(Verdict::Live, Verdict::of)
    }
}
