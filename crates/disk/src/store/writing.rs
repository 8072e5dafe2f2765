//! The way of a value to the disk: it waits, and is written with others.

use std::sync::{Arc, atomic::Ordering};

use edge_cache_breaker::{Permit, State};
use edge_cache_core::{BoxError, StoreError, marker::Fence};
use tokio::time::timeout;

use super::{
    DiskStore, Eviction, blocking,
    buffer::{Batch, Value},
    segments::is_full,
    unavailable,
};

impl DiskStore {
    /// Takes a value, and writes if it is time to.
    pub(super) async fn keep(&self, digest: u128, value: Value, fence: Option<Fence>) -> Result<(), StoreError> {
        let state = self.0.writes.state();
        if state == State::Open {
            return Err(unavailable("its breaker is open"));
        }
        let (wait, due, most) = (self.0.config.timeout, self.0.batch_bytes, self.most());
        // One batch may wait while another is written, and no more.
        if self.0.buffer.lock().bytes() >= most {
            timeout(wait, self.write(due)).await.map_err(unavailable)?.map_err(unavailable)?;
        }
        let waiting = {
            let mut buffer = self.0.buffer.lock();
            if buffer.bytes() >= most {
                return Err(unavailable("more waits than it can write"));
            }
            buffer.put(digest, value, fence)
        };
        let due = match state {
            // Else nobody would learn that the disk is well again before a whole batch has come.
            State::HalfOpen => 0,
            _ => due,
        };
        // While a batch is being written, whoever puts next comes to this one.
        let is_writing = self.0.writing.available_permits() == 0;
        if waiting < due || (due > 0 && is_writing && waiting < most) {
            return Ok(());
        }
        match timeout(wait, self.write(due)).await {
            Ok(written) => written.map_err(unavailable),
            // It is taken, and the write goes on.
            Err(_) => Ok(()),
        }
    }

    /// Bytes that may wait.
    pub(super) fn most(&self) -> usize {
        2 * self.0.batch_bytes
    }

    /// Writes a batch, if at least `due` bytes wait. Whoever ceases to wait for it leaves it going, and the breaker hears of its end.
    pub(super) async fn write(&self, due: usize) -> Result<(), BoxError> {
        let place = Arc::clone(&self.0.writing).acquire_owned().await?;
        // Another may have written it while this one waited.
        let waiting = self.0.buffer.lock().bytes();
        if waiting == 0 || waiting < due {
            return Ok(());
        }
        let permit = self.0.writes.try_acquire()?;
        let this = self.clone();
        blocking(place, move || this.write_batch(permit)).await?
    }

    fn write_batch(&self, permit: Permit) -> Result<(), BoxError> {
        let Some(batch) = self.0.buffer.lock().take() else { return Ok(()) };
        let mut writing = Writing { store: self, permit: Some(permit), is_kept: false };
        self.write_values(&batch)?;
        writing.kept();
        self.tend()?;
        writing.done();
        Ok(())
    }

    /// Writes the values. If the disk is full the oldest give way, once.
    fn write_values(&self, batch: &Batch) -> Result<(), BoxError> {
        let mut values: Vec<_> = batch.values.iter().collect();
        values.sort_unstable_by_key(|(digest, _)| **digest);
        let write = || {
            // Before the entries: a later run must begin above every fence that it finds.
            batch.fences.iter().try_for_each(|fence| self.0.order.given(*fence))?;
            let values = values.iter().map(|(digest, value)| (**digest, value.to_bytes()));
            let went = self.0.segments.write(values, self.0.order.kept(), self.0.clock.now())?;
            self.count(Eviction::Size).fetch_add(went, Ordering::Relaxed);
            Ok::<_, BoxError>(())
        };
        match write() {
            Err(error) if is_full(&*error) => {
                self.give_way();
                // Why it failed is what it said first: the rest comes of that.
                write().map_err(|_| error)
            }
            written => written,
        }
    }

    /// Keeps what is on the disk within its budget, and merges it.
    fn tend(&self) -> Result<(), BoxError> {
        let tended = self.0.segments.evict().and_then(|went| {
            self.count(Eviction::Size).fetch_add(went, Ordering::Relaxed);
            self.0.segments.merge()
        });
        match tended {
            Ok(is_damaged) => {
                self.count(Eviction::Damaged).fetch_add(u64::from(is_damaged), Ordering::Relaxed);
                self.0.reserve.restore();
                Ok(())
            }
            Err(error) if is_full(&error) => {
                self.give_way();
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes room on a disk that is full, which others may have filled.
    fn give_way(&self) {
        // Dropping tables needs some itself.
        self.0.reserve.release();
        match self.0.segments.give_way() {
            Ok(went) => {
                self.count(Eviction::Size).fetch_add(went, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "the disk is full, and the disk tier cannot give way"),
        }
    }
}

/// A batch on its way: however it ends, a panic included, the next can be taken, and the breaker hears of it.
struct Writing<'a> {
    store: &'a DiskStore,
    permit: Option<Permit>,
    is_kept: bool,
}

impl Writing<'_> {
    /// The values are on the disk.
    fn kept(&mut self) {
        self.is_kept = true;
        self.store.0.buffer.lock().written();
    }

    /// And all is well with it.
    fn done(mut self) {
        if let Some(permit) = self.permit.take() {
            permit.success();
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.store.0.buffer.lock().lost();
        }
        if let Some(permit) = self.permit.take() {
            permit.failure();
        }
    }
}
