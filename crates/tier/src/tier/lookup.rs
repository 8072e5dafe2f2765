use edge_cache_core::{CacheKey, Entry, Fwd, Kind, Store, StoreError, marker::Verdict};
use http::HeaderMap;

use super::layer::Shared;
use crate::variants::VariantIndex;

/// What a tier holds for a request.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The key to fill: the variant's where the selecting headers are known, else the base key.
    pub(super) key: CacheKey,
    /// The entry, unless a purge took it.
    pub(super) entry: Option<(Entry, Verdict)>,
    /// Why the request goes forward, should it.
    pub(super) fwd: Fwd,
}

impl<St: Store> Shared<St> {
    /// Follows the variant index, if `first` is one, and asks whether a purge took what is found.
    pub(super) async fn look_up(
        &self,
        base: &CacheKey,
        first: Result<Option<Entry>, StoreError>,
        headers: &HeaderMap,
    ) -> Lookup {
        let Some(entry) = self.found(first) else { return Lookup::missing(base.clone(), Fwd::UriMiss) };
        if entry.head().kind == Kind::Response {
            return self.judged(base.clone(), entry);
        }
        let Some(index) = VariantIndex::decode(entry.body()) else {
            return Lookup::missing(base.clone(), Fwd::UriMiss);
        };
        let key = index.select(base, headers);
        if !index.holds(&key) {
            return Lookup::missing(key, Fwd::VaryMiss);
        }
        match self.found(self.store.get(&key).await) {
            Some(entry) => self.judged(key, entry),
            None => Lookup::missing(key, Fwd::VaryMiss),
        }
    }

    fn judged(&self, key: CacheKey, entry: Entry) -> Lookup {
        match self.markers.judge(&entry) {
            Verdict::Gone => Lookup::missing(key, Fwd::UriMiss),
            verdict => Lookup { key, entry: Some((entry, verdict)), fwd: Fwd::Stale },
        }
    }
}

impl Lookup {
    const fn missing(key: CacheKey, fwd: Fwd) -> Self {
        Self { key, entry: None, fwd }
    }
}
