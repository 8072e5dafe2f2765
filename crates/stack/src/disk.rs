//! The disk tier of a node without Redis, and the order of purges that is kept beside it.

use std::{sync::Arc, time::Duration};

use edge_cache_core::{
    BoxError, SharedClock,
    marker::{Guard, Markers, Ticket},
};
use edge_cache_disk::{DiskConfig, DiskError, DiskOrder, DiskStore, Eviction};
use edge_cache_telemetry::{Metrics, Reading, catalogue};
use edge_cache_tier::{Audit, Backplane, Numbered, Receipt};
use futures_util::future::{BoxFuture, FutureExt, ready};

/// Purges that could not be written down are tried again once they are so old: younger ones are being written.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// A folder that outlives the process.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) store: DiskStore,
    order: DiskOrder,
}

impl Disk {
    /// Opens the folder that `config` names; `None` where it names none. Waits for the disk.
    pub(crate) fn open(config: DiskConfig, clock: &SharedClock) -> Result<Option<Self>, DiskError> {
        if !config.is_enabled() {
            return Ok(None);
        }
        let (store, order) = edge_cache_disk::open(config, Arc::clone(clock))?;
        Ok(Some(Self { store, order }))
    }

    /// What this node knows of purges, those of earlier runs included.
    pub(crate) fn markers(&self) -> Arc<Markers> {
        self.order.markers()
    }

    /// What is to be done about once a second: writes what waits, and once more what could not be written down.
    pub(crate) async fn tidy(&self) {
        self.flush().await;
        if let Err(error) = self.publish_waiting(RETRY_AFTER).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a purge counts here and is still not on the disk");
        }
    }

    /// The last of it: purges before entries, because a later run must not find what was purged without the purge.
    pub(crate) async fn end(&self) {
        match self.publish_waiting(Duration::ZERO).await {
            Ok(()) => self.flush().await,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "purges that were queued are not on the disk: the next run does not know of them"
                );
            }
        }
    }

    /// Writes the entries that wait.
    async fn flush(&self) {
        if let Err(error) = self.store.flush().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "what waits for the disk is not on it");
        }
    }

    async fn publish_waiting(&self, at_least: Duration) -> Result<(), DiskError> {
        let markers = self.order.markers();
        for ticket in markers.waiting(at_least) {
            let published = self.order.publish(&ticket, None).await?;
            markers.settle(&ticket, published.incarnation, published.seq);
        }
        Ok(())
    }

    pub(crate) fn watch(&self, metrics: &Metrics) {
        let gauge = |metric, read: fn(&DiskStore) -> f64| {
            let store = self.store.clone();
            Reading::gauge(metric, move || read(&store))
        };
        metrics.read_at_scrape(gauge(&catalogue::DISK_ENTRIES, |store| store.entries() as f64));
        metrics.read_at_scrape(gauge(&catalogue::DISK_WAITING, |store| store.waiting() as f64));
        metrics.read_at_scrape(gauge(&catalogue::DISK_USED, |store| store.used_bytes() as f64));
        metrics.read_at_scrape(gauge(&catalogue::DISK_CAPACITY, |store| store.capacity_bytes() as f64));
        let evictions = [(Eviction::Size, "size"), (Eviction::Expired, "expired"), (Eviction::Damaged, "damaged")];
        for (why, label) in evictions {
            let store = self.store.clone();
            let reading = Reading::counter(&catalogue::DISK_EVICTIONS, move || store.evicted(why));
            metrics.read_at_scrape(reading.labelled(label));
        }
        let reads = gauge(&catalogue::DISK_BREAKER, |store| store.read_breaker().as_gauge());
        metrics.read_at_scrape(reads.labelled("read"));
        let writes = gauge(&catalogue::DISK_BREAKER, |store| store.write_breaker().as_gauge());
        metrics.read_at_scrape(writes.labelled("write"));
    }
}

/// The disk as the purger's backplane: a purge is acknowledged once it outlives the process.
impl Backplane for Disk {
    fn publish(&self, ticket: &Ticket, guard: Option<&Guard>) -> BoxFuture<'static, Result<Numbered, BoxError>> {
        let publish = self.order.publish(ticket, guard);
        async move {
            let published = publish.await?;
            Ok(Numbered { published, acknowledged: ready(Ok(())).boxed() })
        }
        .boxed()
    }

    /// The log has it.
    fn audit(&self, _: &Audit, _: &Receipt) {}
}
