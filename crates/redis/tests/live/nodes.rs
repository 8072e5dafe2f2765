//! Nodes that follow each other.

use std::{ops::Deref, sync::Arc, time::Duration};

use edge_cache_core::TagHash;
use edge_cache_core::marker::{Markers, Published, PurgeKind};
use edge_cache_redis::{Acknowledge, BackplaneError, Certainty, Delivery, RedisBackplane, RedisConfig, RedisStore};
use tokio::task::JoinHandle;

/// A lease that is over soon.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// A node that follows until it is dropped.
pub(crate) struct Node {
    pub(crate) markers: Arc<Markers>,
    pub(crate) backplane: RedisBackplane,
    pub(crate) store: RedisStore,
    following: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Deref for Node {
    type Target = Markers;

    fn deref(&self) -> &Markers {
        &self.markers
    }
}

pub(crate) fn config(url: &str) -> RedisConfig {
    RedisConfig { lease: LEASE, ..crate::patient(url) }
}

impl Node {
    /// A node that follows, and is in step.
    pub(crate) async fn start(config: RedisConfig) -> Self {
        let node = Self::start_alone(config);
        while !node.is_in_step() {
            tokio::task::yield_now().await;
        }
        node
    }

    /// A node that follows, whether Redis is there or not.
    pub(crate) fn start_alone(config: RedisConfig) -> Self {
        let markers = Arc::new(Markers::shared(config.lease, config.acknowledge == Acknowledge::Strict));
        let store = RedisStore::new(config).unwrap();
        let backplane = store.backplane(Arc::clone(&markers)).unwrap();
        let following = tokio::spawn(backplane.clone().follow());
        Self { markers, backplane, store, following }
    }

    pub(crate) fn is_in_step(&self) -> bool {
        self.markers.in_step() && self.backplane.following().subscribed
    }

    /// From now on the node hears and says nothing, as a process that is halted.
    pub(crate) fn halt(&self) {
        self.following.abort();
    }

    /// Numbers a purge.
    pub(crate) async fn publish(&self, kind: PurgeKind, tag: &str) -> Result<Delivery, BackplaneError> {
        let ticket = self.markers.defer(kind, &[TagHash::user(tag)]);
        let delivery = self.backplane.publish(&ticket, None).await?;
        let Published { incarnation, seq, .. } = delivery.published;
        self.markers.settle(&ticket, incarnation, seq);
        Ok(delivery)
    }

    /// Purges, and waits for the acknowledgement.
    pub(crate) async fn purge(&self, kind: PurgeKind, tag: &str) -> Result<Certainty, BackplaneError> {
        let delivery = self.publish(kind, tag).await?;
        self.backplane.acknowledge(delivery).await
    }

    /// Waits until Redis knows that no lease of an earlier order can be left.
    pub(crate) async fn settled(&self) {
        while self.purge(PurgeKind::Soft, "settling").await.unwrap() == Certainty::LeasesOver {}
    }
}
