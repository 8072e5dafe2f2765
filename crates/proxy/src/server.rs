//! The client side: accepts connections, bounds them, and drains them at shutdown.

mod first_bytes;
mod front;
mod interim;

use std::{net::IpAddr, sync::Arc, time::Duration};

use edge_cache::{
    Cached, EdgeCache,
    settings::{LimitSettings, Settings},
    telemetry::{Metrics, Reading, catalogue},
};
use futures_util::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt;

use self::{
    first_bytes::FirstBytes,
    front::{Front, House, Refused, Visit},
    interim::{Interim, WithInterim},
};
use crate::{body::ClientBody, origin::Origin, shutdown::Signals};

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

/// Serves `service`, which `cache` stands before, on `listener` until a signal, tells `stopping`, then drains until a second one.
/// Returns whether everything has ended.
pub(crate) async fn run(
    listener: TcpListener,
    cache: &EdgeCache,
    service: Cached<Origin>,
    settings: &Settings,
    places: &Places,
    signals: &mut Signals,
    stopping: impl FnOnce(),
) -> bool {
    let http = builder(&settings.limits);
    let trusted: Arc<[IpAddr]> = settings.cache.trusted.clone().into();
    let house = Arc::new(House {
        uri_bytes_max: settings.limits.uri_bytes_max,
        request_timeout: settings.limits.request_timeout,
        name: settings.origin.name.clone(),
        refused: Refused::watched(cache.metrics()),
    });
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = tokio::select! {
            accepted = accept(&listener, &places.free) => accepted,
            () = signals.next() => break,
        };
        // Those that have ended.
        while connections.try_join_next().is_some() {}
        let client = stream.peer_addr().ok().map(|peer| peer.ip().to_canonical());
        let trusted = client.is_some_and(|client| trusted.contains(&client));
        let interim = Arc::<Interim>::default();
        let visit = Visit { house: Arc::clone(&house), client, trusted, interim: Arc::clone(&interim) };
        let front = Front::new(service.clone().for_connection(), Arc::new(visit));
        let stream = WithInterim::new(FirstBytes::within(settings.limits.head_timeout, stream), interim);
        let front = front.map_request(|request: Request<Incoming>| request.map(ClientBody::from));
        let connection =
            http.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(front)).into_owned();
        // A combinator and not an async block: the compiler cannot see through the latter that the boxed errors are `'static`.
        connections.spawn(graceful.watch(connection).map(move |ended| {
            if let Err(error) = ended {
                tracing::debug!(error = &*error, "connection ended");
            }
            drop(place);
        }));
    }
    stopping();
    drop(listener);
    let all_ended = tokio::select! {
        all_ended = drain(graceful, cache, settings.listen.drain_timeout) => all_ended,
        () = signals.next() => {
            tracing::warn!("stopped at once by a second signal");
            false
        }
    };
    // What is cut off is written down as what it was.
    connections.shutdown().await;
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

fn builder(limits: &LimitSettings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes_max)
        .max_headers(limits.headers_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(limits.head_timeout))
        .keep_alive_timeout(limits.head_timeout);
    builder
}

/// Whether everything has ended.
async fn drain(graceful: GracefulShutdown, cache: &EdgeCache, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let requests = timeout(limit, graceful.shutdown()).await;
    if requests.is_err() {
        tracing::warn!(limit_ms = limit.as_millis(), "requests in flight did not end in time");
    }
    let fills = tokio::time::timeout_at(deadline, cache.drain()).await;
    if fills.is_err() {
        tracing::warn!("fills did not end in time");
    }
    requests.is_ok() && fills.is_ok()
}
