//! Into a tier from outside its fills.

use std::{fmt, sync::Arc};

use edge_cache_core::{
    CacheKey, Entry, Freshness, Head, Judgement, Kind, Store,
    marker::{Standing, Start, Verdict},
};
use futures_util::future::{BoxFuture, FutureExt};

use crate::{
    tier::{layer::Shared, plan::Exchange},
    variants::{Variant, VariantIndex},
};

/// A tier as somewhere to keep an answer that no fill of its own brought.
#[derive(Clone)]
pub struct Keeper(pub(crate) Arc<dyn Keep>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    /// The life of the fresh answer that the tier holds under `key`, of the whole resource or of one variant; `None` where it holds none.
    pub async fn freshness(&self, key: &CacheKey) -> Option<Freshness> {
        self.0.fresh(key.clone()).await.map(|entry| entry.head().freshness)
    }

    /// Brings what `from` holds fresh under `key` into this tier, with its instants and its fence. Nobody is asked for what `from` does not
    /// hold. Tells whether this tier has it now.
    pub async fn promote(&self, from: &Self, key: &CacheKey) -> bool {
        let Some(entry) = from.0.fresh(key.clone()).await else { return false };
        let variant = key.is_variant().then(|| Variant::of_key(key)).flatten();
        if key.is_variant() && variant.is_none() || self.0.has_newer(key.clone(), &entry).await {
            return false;
        }
        self.0.keep(key.base(), entry, variant).await;
        true
    }

    /// Takes back what an earlier run of this process held under `key`, with its instants. It is judged by the purges of the order that it was
    /// kept in. Where that ended with that run, which was alone as this one is, it counts as what was read at `alone_since`, a moment of
    /// this run from before anything was served: whoever kept it must have seen to it that it was not purged until then. What is newer is
    /// left. Tells whether it is of any use.
    pub async fn restore(&self, key: CacheKey, entry: &Entry, alone_since: Option<&Start>) -> bool {
        let Some(entry) = self.0.admit(entry, alone_since) else { return false };
        let Some(entry) = self.0.beside(key.clone(), entry).await else { return false };
        self.0.keep(key, entry, None).await;
        true
    }
}

/// What a [`Keeper`] can do, whatever its store.
pub(crate) trait Keep: Send + Sync {
    fn body_bytes_max(&self) -> u64;

    /// Adds what the tier chooses for itself to what is known of an exchange.
    fn complete(&self, exchange: &mut Exchange<'_>);

    fn keep(&self, base: CacheKey, entry: Entry, variant: Option<Variant>) -> BoxFuture<'static, ()>;

    /// The whole answer under `key` that could be served as a hit.
    fn fresh(&self, key: CacheKey) -> BoxFuture<'static, Option<Entry>>;

    /// Whether something live that is newer lies under `key` by now.
    fn has_newer(&self, key: CacheKey, entry: &Entry) -> BoxFuture<'static, bool>;

    /// `entry` in view of what lies under `key` by now: `None` where that is newer, both of them where they lead to variants.
    fn beside(&self, key: CacheKey, entry: Entry) -> BoxFuture<'static, Option<Entry>>;

    /// An entry of another run as one of this one, unless it was purged or nobody can know.
    fn admit(&self, entry: &Entry, alone_since: Option<&Start>) -> Option<Entry>;
}

impl<St: Store> Keep for Arc<Shared<St>> {
    fn body_bytes_max(&self) -> u64 {
        self.store.body_bytes_max()
    }

    fn complete(&self, exchange: &mut Exchange<'_>) {
        (exchange.unit, exchange.keep_tags) = (self.rng.unit(), self.config.keep_tags);
    }

    fn keep(&self, base: CacheKey, entry: Entry, variant: Option<Variant>) -> BoxFuture<'static, ()> {
        crate::tier::keep(Arc::clone(self), base, entry, variant).boxed()
    }

    fn fresh(&self, key: CacheKey) -> BoxFuture<'static, Option<Entry>> {
        let shared = Self::clone(self);
        async move {
            if key.is_variant() {
                // A variant that its index does not lead to any more is dead.
                let index = shared.found(shared.store.get(&key.base()).await)?;
                let index = (index.head().kind == Kind::VariantIndex).then(|| VariantIndex::decode(index.body()))??;
                index.holds(&key).then_some(())?;
            }
            let entry = shared.found(shared.store.get(&key).await)?;
            let head = entry.head();
            let is_fresh = matches!(head.freshness.judge(shared.clock.now()), Judgement::Fresh { .. });
            (head.kind == Kind::Response && is_fresh && shared.markers.judge(&entry) == Verdict::Live).then_some(entry)
        }
        .boxed()
    }

    fn has_newer(&self, key: CacheKey, entry: &Entry) -> BoxFuture<'static, bool> {
        let (shared, stored) = (Self::clone(self), entry.head().freshness.stored);
        async move {
            let held = shared.found(shared.store.get(&key).await);
            held.is_some_and(|held| {
                held.head().freshness.stored >= stored && shared.markers.judge(&held) == Verdict::Live
            })
        }
        .boxed()
    }

    fn beside(&self, key: CacheKey, entry: Entry) -> BoxFuture<'static, Option<Entry>> {
        let shared = Self::clone(self);
        async move {
            if entry.head().kind != Kind::VariantIndex {
                return (!shared.has_newer(key, &entry).await).then_some(entry);
            }
            let Some(held) = shared.found(shared.store.get(&key).await) else { return Some(entry) };
            let newer = VariantIndex::decode(held.body()).filter(|_| held.head().kind == Kind::VariantIndex)?;
            let older = VariantIndex::decode(entry.body())?;
            let all = older.followed_by(newer)?;
            let mut head = Head::clone(held.head());
            head.freshness.error_until = head.freshness.last_use().max(entry.head().freshness.last_use());
            Some(Entry::new(head, all.encode(), held.start()))
        }
        .boxed()
    }

    fn admit(&self, entry: &Entry, alone_since: Option<&Start>) -> Option<Entry> {
        let entry = match self.markers.standing() {
            // Only who numbers its purges itself has orders that end with it.
            Standing::Alone if !self.markers.knows(&entry.head().fence) => {
                let alone_since = alone_since?;
                let head = Head { fence: alone_since.fence, ..Head::clone(entry.head()) };
                Entry::new(head, entry.body().clone(), *alone_since)
            }
            _ => self.markers.admit(entry)?,
        };
        (self.markers.judge(&entry) == Verdict::Live).then_some(entry)
    }
}
