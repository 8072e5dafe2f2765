//! The threads that serve clients, each with a runtime of its own: a connection stays on its thread, so nothing that a hit touches passes from
//! one core to another, and no thread wakes another for it.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Context;
use edge_cache::{Cached, settings::LimitSettings};
use futures_util::FutureExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinSet,
};

use super::{
    first_bytes::FirstBytes,
    front::{Front, House},
    interim::{Interim, WithInterim},
    small_writes::SmallWrites,
};
use crate::origin::Origin;

/// A connection that was accepted.
struct Accepted {
    stream: std::net::TcpStream,
    place: Option<OwnedSemaphorePermit>,
    open: Open,
}

/// What is never sent: these channels say all by being dropped.
type Never = std::convert::Infallible;

/// Threads that serve. Dropped, they end, and what runs on them with them.
#[derive(Debug)]
pub(crate) struct Threads(Vec<Thread>);

#[derive(Debug)]
struct Thread {
    /// Dropped to say that no more come, and that what is there is to end.
    accepted: Option<mpsc::UnboundedSender<Accepted>>,
    /// Connections that are open.
    open: Arc<AtomicUsize>,
    /// Ends when the requests in flight have.
    drained: Option<oneshot::Receiver<Never>>,
    /// Dropped to cut off what is left.
    cut: Option<oneshot::Sender<Never>>,
    /// Ends when nothing is served any more.
    served: Option<oneshot::Receiver<Never>>,
    /// Dropped to end the thread.
    _end: oneshot::Sender<Never>,
}

impl Threads {
    /// Starts `count` of them.
    pub(super) fn start(count: usize, service: &Cached<Origin>, house: &Arc<House>) -> anyhow::Result<Self> {
        let start = |at| Thread::start(at, service.clone().apart(), Arc::clone(house));
        (0..count).map(start).collect::<io::Result<_>>().map(Self).context("cannot start the threads that serve")
    }

    /// Gives a connection to the thread that has the fewest.
    pub(super) fn serve(&self, stream: TcpStream, place: Option<OwnedSemaphorePermit>) {
        let alive = |thread: &&Thread| thread.accepted.as_ref().is_some_and(|accepted| !accepted.is_closed());
        let least = self.0.iter().filter(alive).min_by_key(|thread| thread.open.load(Ordering::Relaxed));
        let Some(Thread { accepted: Some(accepted), open, .. }) = least else {
            return tracing::error!("no thread is left to serve a connection");
        };
        match stream.into_std() {
            Ok(stream) => {
                let sent = accepted.send(Accepted { stream, place, open: Open::new(open) });
                drop(sent.inspect_err(|_| tracing::error!("a thread that serves has ended")));
            }
            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
        }
    }

    /// Takes no more connections, and waits until the requests in flight have ended.
    pub(super) async fn drain(&mut self) {
        for thread in &mut self.0 {
            thread.accepted = None;
        }
        for drained in self.0.iter_mut().filter_map(|thread| thread.drained.as_mut()) {
            // It ends without a word.
            drop(drained.await);
        }
    }

    /// Cuts off what is left.
    pub(super) async fn cut_off(&mut self) {
        for thread in &mut self.0 {
            (thread.accepted, thread.cut) = (None, None);
        }
        for served in self.0.iter_mut().filter_map(|thread| thread.served.as_mut()) {
            drop(served.await);
        }
    }
}

impl Thread {
    fn start(at: usize, service: Cached<Origin>, house: Arc<House>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (accepted, incoming) = mpsc::unbounded_channel();
        let (all_done, drained) = oneshot::channel();
        let (cut, cut_off) = oneshot::channel();
        let (over, served) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let open = Arc::<AtomicUsize>::default();
        let serving = Serving { cached: Arc::new(service), house };
        let serve = async move {
            serving.run(incoming, all_done, cut_off).await;
            drop(over);
            // Whatever else runs here goes on until it is dropped.
            drop(ended.await);
        };
        thread::Builder::new().name(format!("serve-{at}")).spawn(move || Runtime::block_on(&runtime, serve))?;
        let (accepted, drained, cut, served) = (Some(accepted), Some(drained), Some(cut), Some(served));
        Ok(Self { accepted, open, drained, cut, served, _end: end })
    }
}

/// What a thread serves.
struct Serving {
    cached: Arc<Cached<Origin>>,
    house: Arc<House>,
}

impl Serving {
    async fn run(
        self,
        mut incoming: mpsc::UnboundedReceiver<Accepted>,
        all_done: oneshot::Sender<Never>,
        cut_off: oneshot::Receiver<Never>,
    ) {
        let http = builder(&self.house.limits);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        while let Some(Accepted { stream, place, open }) = incoming.recv().await {
            // Those that have ended.
            while connections.try_join_next().is_some() {}
            match TcpStream::from_std(stream) {
                Ok(stream) => {
                    connections.spawn(self.connection(stream, (open, place), &http, &graceful));
                }
                Err(error) => tracing::warn!(%error, "cannot serve a connection"),
            }
        }
        tokio::select! {
            () = graceful.shutdown() => {}
            _ = cut_off => {}
        }
        drop(all_done);
        connections.shutdown().await;
    }

    /// Serves one connection to its end.
    fn connection(
        &self,
        stream: TcpStream,
        held: (Open, Option<OwnedSemaphorePermit>),
        http: &auto::Builder<TokioExecutor>,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        let client = stream.peer_addr().ok().map(|peer| peer.ip().to_canonical());
        let interim = Arc::<Interim>::default();
        let front = Front {
            cached: Arc::clone(&self.cached),
            house: Arc::clone(&self.house),
            client,
            trusted: client.is_some_and(|client: IpAddr| self.house.trusted.contains(&client)),
            interim: Arc::clone(&interim),
        };
        let stream = FirstBytes::within(self.house.limits.head_timeout, SmallWrites(stream));
        let stream = WithInterim::new(stream, interim);
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), front).into_owned();
        // A combinator and not an async block: the compiler cannot see through the latter that the boxed errors are `'static`.
        graceful.watch(connection).map(move |ended| {
            if let Err(error) = ended {
                tracing::debug!(error = &*error, "connection ended");
            }
            drop(held);
        })
    }
}

/// Counts a connection until it is dropped, however it ends.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
