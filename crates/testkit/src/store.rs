use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use edge_cache_core::{CacheKey, Entry, Store, StoreError, TierName};

/// A store that fails while it is told to, and counts what it is asked. Its answers never come at once, like those of a store behind
/// a network.
#[derive(Clone, Debug)]
pub struct FlakyStore<St> {
    inner: St,
    name: TierName,
    failing: Arc<AtomicBool>,
    gets: Arc<AtomicUsize>,
    puts: Arc<AtomicUsize>,
}

impl<St: Store> FlakyStore<St> {
    /// `inner` under the name of another tier.
    #[must_use]
    pub fn new(inner: St, name: TierName) -> Self {
        Self { inner, name, failing: Arc::default(), gets: Arc::default(), puts: Arc::default() }
    }

    /// From now on every operation fails, or none does.
    pub fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// Look-ups so far.
    #[must_use]
    pub fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    /// Entries put so far.
    #[must_use]
    pub fn puts(&self) -> usize {
        self.puts.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.failing.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable { tier: self.name, source: "told to fail".into() }),
            false => Ok(()),
        }
    }
}

impl<St: Store> Store for FlakyStore<St> {
    type Get = Pin<Box<dyn Future<Output = Result<Option<Entry>, StoreError>> + Send>>;
    type Put = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

    fn name(&self) -> TierName {
        self.name
    }

    fn body_bytes_max(&self) -> u64 {
        self.inner.body_bytes_max()
    }

    fn get(&self, key: &CacheKey) -> Self::Get {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let (this, key) = (self.clone(), key.clone());
        Box::pin(async move {
            tokio::task::yield_now().await;
            this.check()?;
            this.inner.get(&key).await
        })
    }

    fn put(&self, key: CacheKey, entry: Entry, keep: Duration) -> Self::Put {
        self.puts.fetch_add(1, Ordering::SeqCst);
        let this = self.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            this.check()?;
            this.inner.put(key, entry, keep).await
        })
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        let (this, key) = (self.clone(), key.clone());
        Box::pin(async move {
            tokio::task::yield_now().await;
            this.check()?;
            this.inner.remove(&key).await
        })
    }
}
