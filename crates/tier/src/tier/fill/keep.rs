//! Into the store.

use std::sync::Arc;

use edge_cache_core::{CacheKey, Entry, Head, Kind, PackedHeaders, Store};
use edge_cache_policy::vary;
use http::header;

use crate::{
    tier::layer::Shared,
    variants::{Variant, VariantIndex},
};

/// Puts an entry, and the index that leads to it, into the store.
pub(crate) async fn keep<St: Store>(shared: Arc<Shared<St>>, base: CacheKey, entry: Entry, variant: Option<Variant>) {
    if entry.body().len() as u64 > shared.store.body_bytes_max() {
        return;
    }
    let head = entry.head();
    if shared.store.is_shared() && head.fence.incarnation == 0 {
        // Filled while the shared order of purges was not known: nobody could judge it.
        return;
    }
    let validators = head.headers.get(&header::ETAG).or(head.headers.get(&header::LAST_MODIFIED)).is_some();
    let grace = if validators { shared.config.keep_validators } else { std::time::Duration::ZERO };
    let away =
        if head.freshness.stale_allowed { shared.config.stale_if_disconnected } else { std::time::Duration::ZERO };
    let last_use = (head.freshness.last_use() + grace).max(head.freshness.fresh_until + away);
    let keep_for = last_use.since(shared.clock.now());
    if keep_for.is_zero() {
        return;
    }
    let failed = |result: Result<(), edge_cache_core::StoreError>| {
        if let Err(error) = result {
            shared.events.store_failed(shared.store.name(), "put");
            tracing::debug!(tier = %shared.store.name(), error = &error as &dyn std::error::Error, "put failed");
        }
    };
    let Some(Variant { mut index, key, accept_language }) = variant else {
        return failed(shared.store.put(base, entry, keep_for).await);
    };
    let known = shared.store.get(&base).await.ok().flatten().filter(|known| known.head().kind == Kind::VariantIndex);
    if let Some(known) = known.as_ref().and_then(|known| VariantIndex::decode(known.body()))
        && known.names == index.names
    {
        index.variants = known.variants;
    }
    let language = head.headers.get(&header::CONTENT_LANGUAGE).and_then(vary::content_language);
    let changed = index.note(&key, language.zip(accept_language));
    let mut index_head = Head { kind: Kind::VariantIndex, headers: PackedHeaders::default(), ..Head::clone(head) };
    let start = entry.start();
    failed(shared.store.put(key, entry, keep_for).await);
    // The index outlives its variants: it is written anew with each new one, and kept as long as the longest-lived.
    let until = known.as_ref().map_or(shared.clock.now(), |known| known.head().freshness.last_use());
    if changed || until < index_head.freshness.last_use() {
        let keep_for = keep_for.max(until.since(shared.clock.now()) + grace.max(away));
        index_head.freshness.error_until = index_head.freshness.last_use().max(until);
        let entry = Entry::new(index_head, index.encode(), start);
        failed(shared.store.put(base, entry, keep_for).await);
    }
}
