//! A stored response: a head, a body, and what this process knows about it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::HeaderMap;

use crate::{CacheKey, Head, marker::Start};

/// A stored response. Immutable but for a private memo, and cheap to clone.
#[derive(Clone, Debug)]
pub struct Entry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    head: Arc<Head>,
    body: Bytes,
    start: Start,
    /// The marker generation this entry last passed (see [`Markers::judge`](crate::marker::Markers::judge)).
    checked: AtomicU64,
}

impl Entry {
    /// An entry of `head` and `body`. `start` is the node's position from before the origin was read, or for an entry
    /// found in another tier, from before it was read there ([`Start::promoted`]).
    #[must_use]
    pub fn new(head: Arc<Head>, body: Bytes, start: Start) -> Self {
        Self(Arc::new(Inner { head, body, start, checked: AtomicU64::new(0) }))
    }

    /// Everything but the body.
    #[must_use]
    pub fn head(&self) -> &Arc<Head> {
        &self.0.head
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Where this node stood when the entry's fill began.
    #[must_use]
    pub fn start(&self) -> &Start {
        &self.0.start
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

    /// Bytes that `key` and this entry occupy together, with what a map needs to hold them.
    #[must_use]
    pub fn weight_bytes(&self, key: &CacheKey) -> usize {
        /// moka's own cost of an entry: measured as resident bytes over 1 000 000 small entries, rounded up.
        const MAP_OVERHEAD: usize = 256;
        MAP_OVERHEAD + size_of::<Inner>() + key.weight_bytes() + self.0.head.weight_bytes() + self.0.body.len()
    }
}

/// What an inner tier hands up with its response (as a response extension), so that the outer one neither parses nor judges again:
/// the head with its instants and fence, and on a hit the whole entry. Whoever stands outside all tiers sees by it what was served.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// The key it is kept under: that of the variant, where there are several.
    pub key: CacheKey,
    /// The head as the inner tier keeps it.
    pub head: Arc<Head>,
    /// Where the node stood when the answer's fill began there.
    pub start: Start,
    /// The whole entry, when the inner tier answered from one.
    pub entry: Option<Entry>,
    /// Fields of the answer that may not be stored (`no-cache="…"`, `private="…"`): for whoever led the fill.
    pub withheld: Option<Arc<HeaderMap>>,
}
