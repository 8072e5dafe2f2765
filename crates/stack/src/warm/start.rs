//! The start of a node: what the run before held, then what the tier behind memory has, before anybody asks.

use std::sync::atomic::Ordering;

use edge_cache_core::CacheKey;
use futures_util::{StreamExt, stream};

use super::{Believed, Kept, Warming, snapshot};

/// Keys looked up at once in the tier behind memory.
const AT_ONCE: usize = 16;

impl Warming {
    /// Takes back what the run before held, as far as it is `believed`: of the rest nobody can tell whether it was purged meanwhile, and it is
    /// forgotten. Tells which keys were hot then.
    pub(super) async fn restore(&self, believed: Believed) -> Vec<CacheKey> {
        let Some((path, (_, memory))) = self.snapshot().zip(self.0.memory.as_ref()) else { return Vec::new() };
        let bytes_max = self.0.settings.snapshot_bytes_max;
        let shown = path.display().to_string();
        let taken = tokio::task::spawn_blocking(move || snapshot::take(&path, bytes_max)).await;
        let kept = match taken {
            Ok(Ok(kept)) => kept.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::warn!(file = shown, error = &error as &dyn std::error::Error, "the snapshot is ignored");
                return Vec::new();
            }
            Err(error) => {
                tracing::warn!(file = shown, %error, "the snapshot is ignored");
                return Vec::new();
            }
        };
        if kept.is_empty() {
            return Vec::new();
        }
        let is_believed = |kept: &Kept| match believed {
            Believed::Everything => true,
            Believed::OfOrder(order) => kept.entry.head().fence.incarnation == order,
            Believed::Nothing => false,
        };
        if !kept.iter().any(is_believed) {
            tracing::warn!(file = shown, "the snapshot is ignored: it is not known what was purged meanwhile");
            return Vec::new();
        }
        let (mut hot, mut restored, of) = (Vec::new(), 0, kept.len());
        for Kept { key, entry, hits } in kept.into_iter().filter(is_believed) {
            if hits > 0 && self.is_ours(&key) {
                self.0.hot.restore(&key, entry.head(), hits);
                hot.push(key.clone());
            }
            restored += u64::from(memory.restore(key, &entry, &self.0.began).await);
        }
        self.0.done.restored.fetch_add(restored, Ordering::Relaxed);
        tracing::info!(restored, of, "memory of the run before is back");
        hot
    }

    /// Brings into memory what the tier behind it holds of `keys`, and asks nobody else.
    pub(super) async fn promote(&self, keys: &[CacheKey]) {
        let (Some((_, memory)), Some(further)) = (&self.0.memory, &self.0.further) else { return };
        let moved = keys.iter().cloned().map(|key| {
            let (memory, further) = (memory.clone(), further.clone());
            async move { !memory.is_fresh(&key).await && memory.promote(&further, &key).await }
        });
        let moved = stream::iter(moved).buffer_unordered(AT_ONCE);
        let promoted = moved.filter(|moved| std::future::ready(*moved)).count().await;
        self.0.done.promoted.fetch_add(promoted as u64, Ordering::Relaxed);
    }

    /// How many of `keys` are held fresh, in memory or in what stands in for it.
    pub(super) async fn held(&self, keys: &[CacheKey]) -> usize {
        let Some(tier) = self.0.memory.as_ref().map(|(_, memory)| memory).or(self.0.further.as_ref()) else {
            return keys.len();
        };
        let mut held = 0;
        for key in keys {
            held += usize::from(tier.is_fresh(key).await);
        }
        held
    }
}
