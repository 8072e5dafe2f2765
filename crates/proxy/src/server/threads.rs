//! The threads that serve clients, each with a runtime of its own: a connection stays on its thread, so nothing that a hit touches passes from
//! one core to another, and no thread wakes another for it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Context;
use arc_swap::{ArcSwap, Guard};
use edge_cache::{Cached, Settings};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    clients::{Account, Held},
    connection::{Hall, serve},
    front::Site,
    peer::Peer,
    tls::Tls,
};
use crate::{
    listener::{Detached, Socket},
    origin::Origin,
};

/// A connection that was accepted.
pub(super) struct Accepted<S = Socket> {
    pub(super) socket: S,
    pub(super) peer: Peer,
    /// With what TLS is spoken on it, if it is.
    pub(super) tls: Option<Tls>,
    /// Whether it begins with a PROXY header.
    pub(super) proxy_header: bool,
    /// Of the peer, where something is limited.
    pub(super) account: Option<Arc<Account>>,
    /// What it occupies until it ends.
    pub(super) held: (Option<OwnedSemaphorePermit>, Option<Held>),
}

impl<S> Accepted<S> {
    fn map<T>(self, change: impl FnOnce(S) -> io::Result<T>) -> io::Result<Accepted<T>> {
        let Self { socket, peer, tls, proxy_header, account, held } = self;
        Ok(Accepted { socket: change(socket)?, peer, tls, proxy_header, account, held })
    }
}

/// What is never sent: these channels say all by being dropped.
type Never = std::convert::Infallible;

/// Threads that serve. Dropped, they end, and what runs on them with them.
#[derive(Debug)]
pub(crate) struct Threads(Vec<Thread>);

#[derive(Debug)]
struct Thread {
    /// Dropped to say that no more come, and that what is there is to end.
    accepted: Option<mpsc::UnboundedSender<(Accepted<Detached>, Open)>>,
    site: Arc<ArcSwap<Site<Origin>>>,
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
    pub(super) fn start(count: usize, site: &Site<Origin>) -> anyhow::Result<Self> {
        let start = |at| Thread::start(at, site.apart());
        (0..count).map(start).collect::<io::Result<_>>().map(Self).context("cannot start the threads that serve")
    }

    /// Serves `service` as `settings` say, from the next request on.
    pub(crate) fn change(&self, service: &Cached<Origin>, settings: &Settings) {
        let site = Site { cached: service.clone(), house: self.site().house.with(settings) };
        for thread in &self.0 {
            thread.site.store(Arc::new(site.apart()));
        }
    }

    /// What is served.
    pub(super) fn site(&self) -> Guard<Arc<Site<Origin>>> {
        self.0.first().expect("settings have at least one thread").site.load()
    }

    /// Gives a connection to the thread that has the fewest.
    pub(super) fn serve(&self, accepted: Accepted) {
        let alive = |thread: &&Thread| thread.accepted.as_ref().is_some_and(|accepted| !accepted.is_closed());
        let least = self.0.iter().filter(alive).min_by_key(|thread| thread.open.load(Ordering::Relaxed));
        let Some(Thread { accepted: Some(thread), open, .. }) = least else {
            return tracing::error!("no thread is left to serve a connection");
        };
        match accepted.map(Socket::detach) {
            Ok(accepted) => {
                let sent = thread.send((accepted, Open::new(open)));
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
    fn start(at: usize, site: Site<Origin>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (accepted, incoming) = mpsc::unbounded_channel();
        let (all_done, drained) = oneshot::channel();
        let (cut, cut_off) = oneshot::channel();
        let (over, served) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let open = Arc::<AtomicUsize>::default();
        let site = Arc::new(ArcSwap::from_pointee(site));
        let hall = Hall { site: Arc::clone(&site), draining: CancellationToken::new() };
        let serve = async move {
            run(hall, incoming, all_done, cut_off).await;
            drop(over);
            // Whatever else runs here goes on until it is dropped.
            drop(ended.await);
        };
        thread::Builder::new().name(format!("serve-{at}")).spawn(move || Runtime::block_on(&runtime, serve))?;
        let (accepted, drained, cut, served) = (Some(accepted), Some(drained), Some(cut), Some(served));
        Ok(Self { accepted, site, open, drained, cut, served, _end: end })
    }
}

/// What those who were taken in last have to be heard.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(10);

/// What a thread does.
async fn run(
    hall: Hall,
    mut incoming: mpsc::UnboundedReceiver<(Accepted<Detached>, Open)>,
    all_done: oneshot::Sender<Never>,
    cut_off: oneshot::Receiver<Never>,
) {
    let mut connections = JoinSet::new();
    while let Some((accepted, open)) = incoming.recv().await {
        // Those that have ended.
        while connections.try_join_next().is_some() {}
        match accepted.map(Detached::attach) {
            Ok(accepted) => {
                let serving = serve(hall.clone(), accepted);
                connections.spawn(async move {
                    serving.await;
                    drop(open);
                });
            }
            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
        }
    }
    // The runtime hears meanwhile what the last of them have sent: who has not been read at all counts as idle, and is closed.
    tokio::time::sleep(LAST_WORDS).await;
    hall.draining.cancel();
    tokio::select! {
        () = async { while connections.join_next().await.is_some() {} } => {}
        _ = cut_off => {}
    }
    drop(all_done);
    connections.shutdown().await;
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
