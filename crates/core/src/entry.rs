//! A stored response: a head, a body, and what this process knows about it.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::HeaderMap;

use crate::{
    CacheKey, Head,
    marker::{Since, Start},
};

/// A stored response. Immutable but for a private memo, and cheap to clone.
#[derive(Clone, Debug)]
pub struct Entry(Arc<Inner>);

/// There are millions of them: each is one piece of memory, and nothing is in it twice.
#[derive(Debug)]
struct Inner {
    head: Head,
    body: Bytes,
    since: Since,
    /// The marker generation this entry last passed (see [`Markers::judge`](crate::marker::Markers::judge)).
    checked: AtomicU64,
}

impl Entry {
    /// An entry of `head` and `body`. `start` is the node's position from before the origin was read, or for an entry
    /// found in another tier, from before it was read there ([`Start::promoted`]). Its fence is the head's.
    #[must_use]
    pub fn new(head: Head, body: Bytes, start: Start) -> Self {
        Self(Arc::new(Inner { head, body, since: start.since(), checked: AtomicU64::new(0) }))
    }

    /// Everything but the body.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.0.head
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Where this node stood when the entry's fill began.
    #[must_use]
    pub fn start(&self) -> Start {
        self.0.since.at(self.0.head.fence)
    }

    /// The marker generation at which this entry was last found alive; 0 for never.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.0.checked.load(Ordering::Relaxed)
    }

    /// Remembers that the entry is alive at `generation`.
    pub fn set_checked(&self, generation: u64) {
        self.0.checked.store(generation, Ordering::Relaxed);
    }

    /// A mark by which this entry can be told from any other, without being held.
    #[must_use]
    pub fn mark(&self) -> EntryMark {
        EntryMark(Arc::downgrade(&self.0))
    }

    /// A number that no other entry has now: its place in memory.
    #[must_use]
    pub fn place(&self) -> usize {
        // Places are multiples of its size at least.
        Arc::as_ptr(&self.0).addr() / size_of::<Inner>()
    }

    /// Bytes that this entry and a key of [so many](CacheKey::weight_bytes) occupy together, with what a map needs to hold them.
    #[must_use]
    pub fn weight_bytes(&self, key_bytes: usize) -> usize {
        /// moka's own cost of an entry: measured as resident bytes over 1 000 000 small entries, rounded up.
        const MAP_OVERHEAD: usize = 256;
        MAP_OVERHEAD + size_of::<Inner>() + key_bytes + self.0.head.referred_bytes() + self.0.body.len()
    }
}

/// Tells an [`Entry`] from any other. No other can have its place in memory; head and body are not held.
#[derive(Clone, Debug)]
pub struct EntryMark(Weak<Inner>);

impl EntryMark {
    /// Whether it is of `entry`.
    #[must_use]
    pub fn is_of(&self, entry: &Entry) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&entry.0))
    }

    /// Whether nobody has its entry any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// What an inner tier hands up with its response (as a response extension), so that the outer one neither parses nor judges again:
/// the head with its instants and fence, and on a hit the whole entry. Whoever stands outside all tiers sees by it what was served.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// The key it is kept under: that of the variant, where there are several.
    pub key: CacheKey,
    /// What the inner tier answered from.
    pub from: Source,
    /// Where the node stood when the answer's fill began there.
    pub start: Start,
    /// Fields of the answer that may not be stored (`no-cache="…"`, `private="…"`): for whoever led the fill.
    pub withheld: Option<Arc<HeaderMap>>,
}

/// What a tier answers from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An entry.
    Entry(Entry),
    /// A fill whose body is on its way: the head as the tier will keep it.
    Fill(Arc<Head>),
}

impl Handoff {
    /// The head as the inner tier keeps it.
    #[must_use]
    pub fn head(&self) -> &Head {
        match &self.from {
            Source::Entry(entry) => entry.head(),
            Source::Fill(head) => head,
        }
    }

    /// The whole entry, when the inner tier answered from one.
    #[must_use]
    pub const fn entry(&self) -> Option<&Entry> {
        match &self.from {
            Source::Entry(entry) => Some(entry),
            Source::Fill(_) => None,
        }
    }

    /// The head alone.
    #[must_use]
    pub fn into_head(self) -> Arc<Head> {
        match self.from {
            Source::Entry(entry) => Arc::new(entry.head().clone()),
            Source::Fill(head) => head,
        }
    }
}
