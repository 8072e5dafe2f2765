//! Purges. They do not travel in the request stack: whoever has a [`Purger`] can purge every tier at once.

use std::sync::Arc;

use edge_cache_core::{
    Bypass, SharedClock, SharedEvents, TagHash,
    marker::{Markers, PurgeKind},
};

use crate::Keying;

/// What to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every entry that the origin tagged so.
    Tag(String),
    /// One URL with all its variants.
    Url {
        /// `http` or `https`.
        scheme: String,
        /// Host and port.
        authority: String,
        /// The path.
        path: String,
        /// The query without its `?`.
        query: String,
    },
    /// Every path of an authority that begins so; rounded up to a whole directory.
    Prefix {
        /// Host and port.
        authority: String,
        /// The path's beginning.
        prefix: String,
    },
    /// Everything.
    All,
}

/// A purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// What.
    pub targets: Vec<Target>,
    /// How far.
    pub kind: PurgeKind,
}

/// What became of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number: entries whose fill began before it are dead.
    pub seq: u64,
    /// Markers raised.
    pub tags: usize,
}

/// Purges every tier of a stack. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Purger {
    markers: Arc<Markers>,
    keying: Keying,
    clock: SharedClock,
    events: SharedEvents,
}

impl Purger {
    /// A purger over the markers that the tiers of a stack share.
    #[must_use]
    pub fn new(markers: Arc<Markers>, keying: Keying, clock: SharedClock, events: SharedEvents) -> Self {
        Self { markers, keying, clock, events }
    }

    /// How this purger, and the stack it belongs to, turns URLs into keys.
    #[must_use]
    pub const fn keying(&self) -> &Keying {
        &self.keying
    }

    /// Purges: when it returns, no read that starts later on this node is answered from what was read from the origin before.
    ///
    /// # Errors
    /// A URL that has no key, and why; nothing is purged then.
    pub fn purge(&self, purge: &Purge) -> Result<Receipt, Bypass> {
        let tags = purge.targets.iter().map(|target| self.tag(target)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.purge_tags(purge.kind, &tags))
    }

    /// Purges by hashed tags.
    pub fn purge_tags(&self, kind: PurgeKind, tags: &[TagHash]) -> Receipt {
        let seq = self.markers.purge(kind, tags, self.clock.now());
        self.events.purged(kind, tags.len());
        Receipt { seq, tags: tags.len() }
    }

    fn tag(&self, target: &Target) -> Result<TagHash, Bypass> {
        Ok(match target {
            Target::Tag(tag) => TagHash::user(tag),
            Target::Url { scheme, authority, path, query } => {
                TagHash::key(&self.keying.locate(scheme, authority, path, query)?.key.parts())
            }
            Target::Prefix { authority, prefix } => {
                TagHash::covering_prefix(&authority.to_ascii_lowercase(), &self.keying.tenant, prefix)
            }
            Target::All => TagHash::all(),
        })
    }
}
