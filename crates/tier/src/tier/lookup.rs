use edge_cache_core::{CacheKey, Entry, Fwd, Judgement, Kind, Store, StoreError, marker::Verdict};
use http::HeaderMap;

use super::layer::Shared;
use crate::variants::VariantIndex;

/// What a tier holds for a request.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The key to fill: the variant's where the selecting headers are known, else the base key.
    pub(crate) key: CacheKey,
    /// The entry, unless a purge took it.
    pub(crate) entry: Option<(Entry, Verdict)>,
    /// Why the request goes forward, should it.
    pub(crate) fwd: Fwd,
    /// Whether something was left alone because this node cannot know whether it was purged.
    pub(super) cut_off: bool,
    /// The request's own key, where the entry is another variant in the language that it prefers: such an entry is served or left alone.
    pub(super) own: Option<CacheKey>,
}

impl<St: Store> Shared<St> {
    /// Follows the variant index, if `first` is one, and asks whether a purge took what is found.
    pub(crate) async fn look_up(
        &self,
        base: &CacheKey,
        first: Result<Option<Entry>, StoreError>,
        headers: &HeaderMap,
    ) -> Lookup {
        let Some(entry) = self.found(first) else { return Lookup::missing(base.clone(), Fwd::UriMiss) };
        if entry.head().kind != Kind::VariantIndex {
            return self.judged(base.clone(), entry);
        }
        let Some(index) = VariantIndex::decode(entry.body()) else {
            return Lookup::missing(base.clone(), Fwd::UriMiss);
        };
        let key = index.select(base, headers);
        if index.holds(&key)
            && let Some(entry) = self.found(self.store.get(&key).await)
        {
            return self.judged(key, entry);
        }
        match index.select_by_language(base, headers) {
            Some(other) => {
                let found = self.same_language(other).await;
                found.map_or(Lookup::missing(key.clone(), Fwd::VaryMiss), |found| Lookup { own: Some(key), ..found })
            }
            None => Lookup::missing(key, Fwd::VaryMiss),
        }
    }

    /// A variant stored for another `Accept-Language`, if it can be served as it is: it is no matter for a fill.
    async fn same_language(&self, key: CacheKey) -> Option<Lookup> {
        let lookup = self.judged(key.clone(), self.found(self.store.get(&key).await)?);
        let (entry, verdict) = lookup.entry.as_ref()?;
        let fresh = matches!(entry.head().freshness.judge(self.clock.now()), Judgement::Fresh { .. });
        (fresh && *verdict == Verdict::Live).then_some(lookup)
    }

    fn judged(&self, key: CacheKey, entry: Entry) -> Lookup {
        match self.markers.judge(&entry) {
            Verdict::Gone => Lookup::missing(key, Fwd::UriMiss),
            verdict => {
                let cut_off = verdict == Verdict::CutOff;
                Lookup { key, entry: Some((entry, verdict)), fwd: Fwd::Stale, cut_off, own: None }
            }
        }
    }
}

impl Lookup {
    const fn missing(key: CacheKey, fwd: Fwd) -> Self {
        Self { key, entry: None, fwd, cut_off: false, own: None }
    }
}
