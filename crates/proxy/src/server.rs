//! The client side: accepts connections, bounds them, and drains them at shutdown.
//!
//! What one connection of HTTP is made of, from the socket up (`connection.rs`):
//!
//! | | | why it stands there |
//! |---|---|---|
//! | `stream` | TCP, TLS or a socket in the file system | |
//! | `small_writes` | joins the pieces of small answers | next to what writes, so that all above may hand out pieces |
//! | `stalled` | ends it where the client takes nothing | below all that writes; holds the connection's places, also as a tunnel |
//! | `first_bytes` | ends it where the client says nothing | before anybody tells by these bytes what is spoken |
//! | `interim` | writes 1xx | sees every byte and flush of the server: only between two messages may it write |
//! | `lane` | answers plain hits of HTTP/1.1 | sees every byte that the server gets, and its flushes: only in between is the connection its own |
//! | hyper's server | HTTP/1 and HTTP/2 | |
//! | `front` | settles who asks, and asks the cache | |
//!
//! They tell each other by `conduct` (what a client of HTTP/2 has under way), `turn` (whose request it is, the lane's or the server's) and `head_timer` (since when a
//! head is waited for).

mod clients;
mod conduct;
mod connection;
mod counts;
mod first_bytes;
mod front;
mod glance;
mod head_timer;
mod house;
mod hygiene;
mod interim;
mod lane;
mod peer;
mod proxy_protocol;
mod rarely;
mod small_writes;
mod stalled;
mod stream;
mod threads;
mod tls;
mod turn;

use std::{sync::Arc, time::Duration};

use edge_cache::{
    Cached, EdgeCache,
    settings::Settings,
    telemetry::{Metrics, Reading, catalogue},
};
use futures_util::future::join_all;
use tokio::{
    io::AsyncWriteExt,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::unconstrained,
    time::{Instant, sleep, timeout_at},
};

use self::{clients::Clients, counts::Cut, front::Site, house::House, peer::Peer, threads::Accepted};
pub(crate) use self::{
    stalled::Stalled,
    stream::Stream,
    threads::Threads,
    tls::{Tls, certificate},
};
use crate::{
    listener::{Listener, Socket},
    origin::Origin,
    shutdown::{Heard, Signals},
};

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
    let site = Site { cached: service.clone(), house: House::empty(cache.metrics()).with(settings) };
    Threads::start(settings.listen.serving_threads(), &site)
}

/// Where clients connect, and with what TLS is spoken there.
pub(crate) struct Doors {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) tls: Option<Tls>,
}

/// Serves at `doors` until a signal to stop, and calls `reload`, if there is one, at each one to reload. Then it calls `stopping`, and drains until a second one, for at most `limit`. Returns whether everything has ended.
pub(crate) async fn run(
    doors: Doors,
    (cache, threads): (&EdgeCache, &mut Threads),
    limit: Duration,
    places: &Places,
    signals: &mut Signals,
    (mut reload, stopping): (Option<impl FnMut(&Threads, Option<&Tls>)>, impl FnOnce()),
) -> bool {
    let mut admitting = join_all(doors.listeners.iter().map(|listener| {
        let (threads, tls) = (&*threads, doors.tls.as_ref().filter(|_| listener.tls));
        async move {
            loop {
                let (socket, place) = accept(listener, &places.free).await;
                if let Some(accepted) = admit(threads, socket, tls, place) {
                    threads.serve(accepted);
                }
            }
        }
    }));
    loop {
        tokio::select! {
            _never = &mut admitting => {}
            heard = signals.heard() => match (heard, &mut reload) {
                (Heard::Reload, Some(reload)) => reload(threads, doors.tls.as_ref()),
                // Without a configuration to read again it is what it was made for: whoever started this has gone.
                _ => break,
            },
        }
    }
    drop(admitting);
    admit_waiting(&doors, threads, places).await;
    stopping();
    drop(doors);
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
async fn accept(listener: &Listener, free: &Arc<Semaphore>) -> (Socket, Option<OwnedSemaphorePermit>) {
    // A place is taken when somebody has come for it, so that what is taken is what is open.
    drop(free.acquire().await);
    loop {
        match listener.accept().await {
            // Not awaited where there is one: whoever stops waiting here, at a stop, would drop a client that was accepted.
            Ok(socket) => match Arc::clone(free).try_acquire_owned() {
                Ok(place) => return (socket, Some(place)),
                // Another listener has taken the last one meanwhile: this client waits as if it had not been accepted yet.
                Err(_) => return (socket, Arc::clone(free).acquire_owned().await.ok()),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Longest time for taking those in who have connected, as far as the kernel goes, and whom nobody has accepted.
const LAST_CALL: Duration = Duration::from_millis(50);

/// Takes them in before the listeners close, which would reset their connections, requests and all.
async fn admit_waiting(doors: &Doors, threads: &Threads, places: &Places) {
    let end = Instant::now() + LAST_CALL;
    for listener in &doors.listeners {
        let tls = doors.tls.as_ref().filter(|_| listener.tls);
        while let Ok(place) = Arc::clone(&places.free).try_acquire_owned()
            // As many as there are: not only those for which this task has a turn left.
            && let Ok(Ok(socket)) = timeout_at(end.min(Instant::now() + LAST_CALL / 10), unconstrained(listener.accept())).await
        {
            if let Some(accepted) = admit(threads, socket, tls, Some(place)) {
                threads.serve(accepted);
            }
        }
    }
}

/// What is known of a new connection; `None` where its client has as many as it may.
fn admit(
    threads: &Threads,
    socket: Socket,
    tls: Option<&Tls>,
    place: Option<OwnedSemaphorePermit>,
) -> Option<Accepted> {
    let site = threads.site();
    let House { trust, clients, limits, cut, .. } = &site.house;
    let address = socket.peer();
    let peer = Peer { address, in_files: address.is_none(), secure: tls.is_some() };
    let is_proxy = peer.is_proxy(trust);
    // What a proxy asks it asks for others.
    let client = address.filter(|_| !is_proxy);
    let account = client.and_then(|client| clients.account(client, limits, Instant::now().into_std()));
    let held = match &account {
        Some(account) => match Clients::connect(account, limits) {
            Some(held) => Some(held),
            None => {
                cut.count(Cut::Limit);
                if tls.is_none() {
                    tokio::spawn(turn_away(socket));
                }
                return None;
            }
        },
        None => None,
    };
    let proxy_header = is_proxy && trust.proxy_header;
    Some(Accepted { socket, peer, tls: tls.cloned(), proxy_header, account, held: (place, held) })
}

/// Says why, to whoever listens: it fits into any socket's buffer.
async fn turn_away(socket: Socket) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let written = match socket {
        Socket::Tcp(mut stream) => stream.write_all(ANSWER).await,
        Socket::Unix(mut stream) => stream.write_all(ANSWER).await,
    };
    if let Err(error) = written {
        tracing::debug!(%error, "a client that was turned away did not hear it");
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
