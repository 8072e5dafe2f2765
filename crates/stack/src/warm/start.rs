//! The start of a node: what the run before held, then what the tier behind memory has, before anybody asks.

use std::sync::atomic::Ordering;

use edge_cache_core::CacheKey;
use futures_util::{StreamExt, stream};

use super::{Believed, Warming, snapshot::Kept};

/// Keys looked up at once in the tier behind memory.
const AT_ONCE: usize = 16;

impl Warming {
    /// Takes back what the run before held, as far as it is `believed`: of the rest nobody can tell whether it was purged meanwhile, and it is
    /// forgotten. Tells which keys were hottest then.
    pub(super) async fn restore(&self, believed: Believed) -> Vec<CacheKey> {
        let (Some(contents), Some((_, memory))) = (self.0.found.lock().take(), &self.0.memory) else {
            return Vec::new();
        };
        let is_believed = |kept: &Kept| match believed {
            Believed::Everything => true,
            Believed::OfOrder(order) => kept.entry.head().fence.incarnation == order,
            Believed::Nothing => false,
        };
        let of = contents.kept.len();
        if of > 0 && !contents.kept.iter().any(is_believed) {
            tracing::warn!("the snapshot is ignored: it is not known what was purged meanwhile");
            return Vec::new();
        }
        let alone_since = contents.is_alone.then_some(&self.0.began);
        let (mut hot, mut restored) = (Vec::new(), 0);
        for Kept { key, entry, hits } in contents.kept.into_iter().filter(is_believed) {
            if hits > 0 && self.is_ours(&key) {
                self.0.hot.restore(&key, entry.head(), hits);
                // The hottest come first.
                if hot.len() < self.0.settings.top {
                    hot.push(key.clone());
                }
            }
            restored += u64::from(memory.restore(key, &entry, alone_since).await);
        }
        if of > 0 {
            self.0.done.restored.fetch_add(restored, Ordering::Relaxed);
            tracing::info!(restored, of, "memory of the run before is back");
        }
        hot
    }

    /// Brings into memory what the tier behind it holds of `keys`, and asks nobody else.
    pub(super) async fn promote(&self, keys: &[CacheKey]) {
        let (Some((_, memory)), Some(further)) = (&self.0.memory, &self.0.further) else { return };
        let moved = keys.iter().cloned().map(|key| {
            let (memory, further) = (memory.clone(), further.clone());
            async move { memory.freshness(&key).await.is_none() && memory.promote(&further, &key).await }
        });
        let moved = stream::iter(moved).buffer_unordered(AT_ONCE);
        let promoted = moved.filter(|moved| std::future::ready(*moved)).count().await;
        self.0.done.promoted.fetch_add(promoted as u64, Ordering::Relaxed);
    }
}
