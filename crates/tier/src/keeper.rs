//! Into a tier from outside its fills.

use std::{fmt, sync::Arc};

use edge_cache_core::{CacheKey, Entry, Store};
use futures_util::future::{BoxFuture, FutureExt};

use crate::{
    tier::{layer::Shared, plan::Exchange},
    variants::Variant,
};

/// A tier as somewhere to keep an answer that no fill of its own brought.
#[derive(Clone)]
pub struct Keeper(pub(crate) Arc<dyn Keep>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

/// What a [`Keeper`] can do, whatever its store.
pub(crate) trait Keep: Send + Sync {
    fn body_bytes_max(&self) -> u64;

    /// Adds what the tier chooses for itself to what is known of an exchange.
    fn complete(&self, exchange: &mut Exchange<'_>);

    fn keep(&self, base: CacheKey, entry: Entry, variant: Option<Variant>) -> BoxFuture<'static, ()>;
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
}
