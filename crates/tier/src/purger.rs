//! Purges. They do not travel in the request stack: whoever has a [`Purger`] can purge every tier at once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use edge_cache_core::{
    BoxError, Bypass, Entry, PurgeNote, PurgedBy, SharedClock, SharedEvents, TagHash, Timestamp, covering_prefix,
    marker::{Fence, Guard, Markers, Published, PurgeKind, Standing, Start, Ticket, Verdict},
};

use futures_util::future::BoxFuture;

use crate::{Keying, Purge, Target};

/// Tags of one purge that are numbered together.
const TAGS_AT_ONCE: usize = 256;

/// What became of a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Its number: entries whose fill began before it are dead. `None` while the backplane cannot be reached: the purge is applied
    /// on this node and queued for the others.
    pub seq: Option<u64>,
    /// Whether it is done everywhere, as far as the backplane promises; else it counts on this node, and goes on.
    pub acknowledged: bool,
    /// Markers raised.
    pub tags: usize,
}

/// Numbers purges for all who share a tier, and keeps them where other nodes and later runs find them.
pub trait Backplane: std::fmt::Debug + Send + Sync + 'static {
    /// Numbers the purges of `ticket`, and looks whether something that `guard` names was purged since, by any node.
    fn publish(&self, ticket: &Ticket, guard: Option<&Guard>) -> BoxFuture<'static, Result<Numbered, BoxError>>;

    /// Writes down who purged what, and why. Nothing waits for it.
    fn audit(&self, entry: &Audit, receipt: &Receipt);
}

/// A purge that has its number.
pub struct Numbered {
    /// The number.
    pub published: Published,
    /// Ends when no node serves what was purged any more, or with the reason why that is not known.
    pub acknowledged: BoxFuture<'static, Result<(), BoxError>>,
}

impl std::fmt::Debug for Numbered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Numbered").field("published", &self.published).finish_non_exhaustive()
    }
}

/// Who purged what, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How it came.
    pub by: PurgedBy,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What, as it was asked for.
    pub what: String,
    /// How far.
    pub kind: PurgeKind,
}

/// Purges every tier of a stack. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Purger {
    markers: Arc<Markers>,
    /// Shared by all clones: declarations may change.
    keying: Arc<ArcSwap<Keying>>,
    clock: SharedClock,
    events: SharedEvents,
    backplane: Option<Arc<dyn Backplane>>,
}

impl Purger {
    /// A purger over the markers that the tiers of a stack share. Without a backplane the node is alone.
    #[must_use]
    pub fn new(
        markers: Arc<Markers>,
        keying: Keying,
        clock: SharedClock,
        events: SharedEvents,
        backplane: Option<Arc<dyn Backplane>>,
    ) -> Self {
        Self { markers, keying: Arc::new(ArcSwap::from_pointee(keying)), clock, events, backplane }
    }

    /// How this purger, and the stack it belongs to, turns URLs into keys.
    #[must_use]
    pub fn keying(&self) -> Arc<Keying> {
        self.keying.load_full()
    }

    /// Has this purger, and its clones, turn URLs into keys as `keying` says.
    pub fn set_keying(&self, keying: Keying) {
        self.keying.store(Arc::new(keying));
    }

    /// Purges: when it returns, no read that starts later on this node is answered from what was read from the origin before, and with
    /// an acknowledged receipt on no other node either.
    ///
    /// # Errors
    /// A URL that has no key, and why; nothing is purged then.
    pub async fn purge(&self, purge: &Purge) -> Result<Receipt, Bypass> {
        let tags = self.tags(purge)?;
        Ok(self.purge_tags(purge.kind, &tags).await)
    }

    /// The tags that `purge` would raise markers for, hashed.
    ///
    /// # Errors
    /// A URL that has no key, and why.
    pub fn tags(&self, purge: &Purge) -> Result<Vec<TagHash>, Bypass> {
        let mut tags = Vec::with_capacity(purge.targets.len());
        for target in &purge.targets {
            self.tag(target, &mut tags)?;
        }
        Ok(tags)
    }

    /// Whether a purge took an entry altogether.
    #[must_use]
    pub fn is_gone(&self, entry: &Entry) -> bool {
        self.markers.judge(entry) == Verdict::Gone
    }

    /// Whether an entry could still be used, as far as purges go.
    #[must_use]
    pub fn is_live(&self, entry: &Entry) -> bool {
        self.markers.judge(entry) == Verdict::Live
    }

    /// Purges by hashed tags.
    ///
    /// Many tags are purged some at a time: those that wait for a number at once are few, and more become a purge of everything.
    pub async fn purge_tags(&self, kind: PurgeKind, tags: &[TagHash]) -> Receipt {
        let mut receipt = Receipt { acknowledged: true, ..Receipt::default() };
        for tags in tags.chunks(TAGS_AT_ONCE) {
            let Receipt { seq, acknowledged, tags } = self.purge_guarded(kind, tags, None).await.0;
            let acknowledged = acknowledged && receipt.acknowledged;
            receipt = Receipt { seq, acknowledged, tags: receipt.tags + tags };
        }
        receipt
    }

    /// As [`purge_tags`](Self::purge_tags); tells also the start of an answer that is as new as this purge, if `guard` holds.
    pub(crate) async fn purge_guarded(
        &self,
        kind: PurgeKind,
        tags: &[TagHash],
        guard: Option<&Guard>,
    ) -> (Receipt, Option<Start>) {
        self.events.purged(kind, tags.len());
        let Some(backplane) = &self.backplane else {
            let (seq, start) = self.markers.purge_guarded(kind, tags, self.clock.now(), guard);
            return (Receipt { seq: Some(seq), acknowledged: true, tags: tags.len() }, start);
        };
        let guard = guard.filter(|guard| self.markers.holds(guard));
        // At once here; with a number for everybody as soon as it has one.
        let ticket = self.markers.defer(kind, tags);
        let Numbered { published, acknowledged } = match backplane.publish(&ticket, guard).await {
            Ok(numbered) => numbered,
            Err(error) => {
                tracing::warn!(
                    error = &*error,
                    tags = tags.len(),
                    "purge applied here and queued: the backplane is away"
                );
                return (Receipt { tags: tags.len(), ..Receipt::default() }, None);
            }
        };
        let Published { incarnation, seq, guard_holds } = published;
        self.markers.settle(&ticket, incarnation, seq);
        let start = guard.filter(|_| guard_holds).map(|guard| guard.renewed(Fence { incarnation, seq }));
        let acknowledged = match acknowledged.await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = &*error, seq, "purge numbered, and not known to be everywhere");
                false
            }
        };
        (Receipt { seq: Some(seq), acknowledged, tags: tags.len() }, start)
    }

    /// Writes down who purged what, and why: in the log, and where the nodes keep it together.
    pub fn audit(&self, entry: &Audit, receipt: &Receipt) {
        let Audit { by, actor, reason, what, kind } = entry;
        let Receipt { seq, acknowledged, tags } = *receipt;
        tracing::info!(target: "edge_cache::audit", actor, reason, what, kind = kind.as_str(), seq, acknowledged, tags, "purged");
        if let Some(backplane) = &self.backplane {
            backplane.audit(entry, receipt);
        }
        let note =
            PurgeNote { by: *by, kind: *kind, tags, what: what.clone(), actor: actor.clone(), reason: reason.clone() };
        self.events.purge_noted(&note);
    }

    /// Tells of a purge that a write made by its answer.
    pub(crate) fn wrote(&self, what: &str, kind: PurgeKind, tags: usize) {
        let (what, none) = (what.to_owned(), String::new);
        self.events.purge_noted(&PurgeNote { by: PurgedBy::Write, kind, tags, what, actor: none(), reason: none() });
    }

    /// The order that purges are numbered in now; 0 while none is known. Another one says that what was purged before may be lost.
    #[must_use]
    pub fn incarnation(&self) -> u128 {
        self.markers.position().fence.incarnation
    }

    /// What this node may serve.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.markers.standing()
    }

    /// Where this node stands in the order of purges, for whoever must know whether one has become known since; `None` while it is cut off
    /// and cannot know.
    #[must_use]
    pub fn reading(&self) -> Option<Start> {
        match self.markers.standing() {
            Standing::CutOff { .. } => None,
            Standing::Alone | Standing::InStep => Some(self.markers.start()),
        }
    }

    /// Tags whose purges wait for a number.
    #[must_use]
    pub fn waiting_tags(&self) -> u64 {
        self.markers.waiting_tags()
    }

    /// Where this node stands: the start of what is asked of an origin now.
    pub(crate) fn start(&self) -> Start {
        self.markers.start()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The directories whose entries `target` takes, as `HOST/DIRECTORY/`: those of a prefix, in each spelling that keys may have; of anything else none.
    ///
    /// # Errors
    /// It has no key.
    pub fn directories(&self, target: &Target) -> Result<Vec<String>, Bypass> {
        let Target::Prefix { authority, prefix } = target else { return Ok(Vec::new()) };
        let forms = self.keying.load().key_prefixes(prefix)?;
        let authority = authority.to_ascii_lowercase();
        let mut all: Vec<String> = forms.iter().map(|form| authority.clone() + covering_prefix(form)).collect();
        all.dedup();
        Ok(all)
    }

    fn tag(&self, target: &Target, tags: &mut Vec<TagHash>) -> Result<(), Bypass> {
        let keying = self.keying.load();
        match target {
            Target::Tag(tag) => tags.push(TagHash::user(tag)),
            Target::Url { scheme, authority, path, query } => {
                tags.push(TagHash::key(&keying.locate(scheme, authority, path, query)?.key.parts()));
            }
            Target::Prefix { authority, prefix } => {
                let (authority, tenant) = (authority.to_ascii_lowercase(), &keying.tenant);
                let forms = keying.key_prefixes(prefix)?;
                tags.extend(forms.iter().map(|prefix| TagHash::covering_prefix(&authority, tenant, prefix)));
            }
            Target::All => tags.push(TagHash::all()),
        }
        Ok(())
    }
}
