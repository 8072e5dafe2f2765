use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::ConnectError;

/// Remembers the last failed connect, which bb8 otherwise keeps to itself, and wakes those who wait for a connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectErrors {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    last: Mutex<Option<Arc<ConnectError>>>,
    count: AtomicU64,
    failed: watch::Sender<u64>,
}

impl Default for ConnectErrors {
    fn default() -> Self {
        let shared = Shared { last: Mutex::default(), count: AtomicU64::new(0), failed: watch::Sender::new(0) };
        Self { shared: Arc::new(shared) }
    }
}

impl ConnectErrors {
    pub(super) fn record(&self, error: Arc<ConnectError>) {
        let count = self.shared.count.fetch_add(1, Ordering::Relaxed) + 1;
        *self.shared.last.lock().expect("no holder of this lock panics") = Some(error);
        self.shared.failed.send_replace(count);
    }

    pub(super) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Sees the connects that fail from now on.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.shared.failed.subscribe()
    }

    pub(super) fn last(&self) -> Option<Arc<ConnectError>> {
        self.shared.last.lock().expect("no holder of this lock panics").clone()
    }
}

impl bb8::ErrorSink<Arc<ConnectError>> for ConnectErrors {
    fn sink(&self, error: Arc<ConnectError>) {
        tracing::warn!(error = &*error as &dyn std::error::Error, "database connect failed");
        self.record(error);
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<Arc<ConnectError>>> {
        Box::new(self.clone())
    }
}
