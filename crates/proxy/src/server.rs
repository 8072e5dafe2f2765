//! The client side: accepts connections, bounds them, and drains them at shutdown.

mod first_bytes;
mod front;
mod hygiene;
mod interim;
mod small_writes;
mod threads;

use std::{sync::Arc, time::Duration};

use edge_cache::{
    Cached, EdgeCache,
    settings::Settings,
    telemetry::{Metrics, Reading, catalogue},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use self::front::{House, Refused};
pub(crate) use self::threads::Threads;
use crate::{origin::Origin, shutdown::Signals};

/// Places for connections. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    all: usize,
}

impl Places {
    pub(crate) fn new(all: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), all }
    }

    /// Shows them in the metrics.
    pub(crate) fn watch(&self, metrics: &Metrics) {
        let places = self.clone();
        metrics.read_at_scrape(Reading::gauge(&catalogue::CLIENT_CONNECTIONS, move || places.taken() as f64));
    }

    /// Connections that are open.
    pub(crate) fn taken(&self) -> u64 {
        self.all.saturating_sub(self.free.available_permits()) as u64
    }
}

/// Starts the threads that serve `service`, which `cache` stands before.
pub(crate) fn threads(cache: &EdgeCache, service: &Cached<Origin>, settings: &Settings) -> anyhow::Result<Threads> {
    let house = Arc::new(House {
        name: settings.origin.name.clone(),
        refused: Refused::watched(cache.metrics()),
        trusted: settings.cache.trusted.clone(),
        limits: settings.limits.clone(),
    });
    Threads::start(settings.listen.serving_threads(), service, &house)
}

/// Serves on `listener` until a signal, tells `stopping`, then drains until a second one, for at most `limit`. Returns whether everything has ended.
pub(crate) async fn run(
    listener: TcpListener,
    (cache, threads): (&EdgeCache, &mut Threads),
    limit: Duration,
    places: &Places,
    signals: &mut Signals,
    stopping: impl FnOnce(),
) -> bool {
    loop {
        let (stream, place) = tokio::select! {
            accepted = accept(&listener, &places.free) => accepted,
            () = signals.next() => break,
        };
        threads.serve(stream, place);
    }
    stopping();
    drop(listener);
    let all_ended = tokio::select! {
        all_ended = drain(threads, cache, limit) => all_ended,
        () = signals.next() => {
            tracing::warn!("stopped at once by a second signal");
            false
        }
    };
    // What is cut off is written down as what it was.
    threads.cut_off().await;
    all_ended
}

/// The next connection, once there is a place for it. Running out of descriptors passes: it waits instead of spinning.
async fn accept(listener: &TcpListener, free: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // A place is taken when somebody has come for it, so that what is taken is what is open.
    drop(free.acquire().await);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                return (stream, Arc::clone(free).try_acquire_owned().ok());
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Whether everything has ended.
async fn drain(threads: &mut Threads, cache: &EdgeCache, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let requests = timeout_at(deadline, threads.drain()).await;
    if requests.is_err() {
        tracing::warn!(limit_ms = limit.as_millis(), "requests in flight did not end in time");
    }
    let fills = timeout_at(deadline, cache.drain()).await;
    if fills.is_err() {
        tracing::warn!("fills did not end in time");
    }
    requests.is_ok() && fills.is_ok()
}
