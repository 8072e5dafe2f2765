//! One connection to its end: until the client leaves, the server drains, or a limit is reached.

use std::{
    future::{Future, ready},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use edge_cache::settings::LimitSettings;
use futures_util::FutureExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulConnection},
};
use pin_project_lite::pin_project;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    clients::{Account, Clients, Held},
    conduct::Conduct,
    counts::Cut,
    first_bytes::FirstBytes,
    front::{Front, Site},
    head_timer::HeadTimer,
    interim::{Interim, WithInterim},
    lane::Lane,
    peer::Peer,
    proxy_protocol::{self, Said},
    rarely::Rarely,
    small_writes::SmallWrites,
    stalled::Stalled,
    stream::Stream,
    threads::Accepted,
    tls::Tls,
};
use crate::{listener::Socket, origin::Origin};

/// Where connections are served: what is served, and whether that goes on.
#[derive(Clone)]
pub(super) struct Hall {
    pub(super) site: Arc<ArcSwap<Site<Origin>>>,
    pub(super) draining: CancellationToken,
}

/// A connection on which HTTP is spoken from here on.
struct Opened {
    stream: Stream,
    peer: Peer,
    account: Option<Arc<Account>>,
    held: (Option<OwnedSemaphorePermit>, Option<Held>),
}

/// Serves a connection to its end.
pub(super) fn serve(hall: Hall, accepted: Accepted) -> impl Future<Output = ()> + Send + 'static {
    let site = hall.site.load_full();
    // Combinators and not one async block: the compiler cannot see through the latter that the boxed errors are `'static`.
    let opened = open_in_time(accepted, Arc::clone(&site), hall.draining.clone());
    opened.then(move |opened| match opened {
        Some(opened) => speak(hall, site, opened).left_future(),
        None => ready(()).right_future(),
    })
}

/// Speaks HTTP until the connection ends.
fn speak(hall: Hall, site: Arc<Site<Origin>>, opened: Opened) -> impl Future<Output = ()> + Send + 'static {
    let limits = &site.house.limits;
    let Opened { stream, peer, account, held } = opened;
    let conduct = Arc::new(Conduct::new());
    let interim = Arc::<Interim>::default();
    // What it occupies it occupies as long as the stream is there, also as a tunnel.
    let stream = Stalled::after(limits.send_timeout, SmallWrites(stream), held);
    let stream = FirstBytes::within(limits.head_timeout, stream, Arc::clone(&conduct));
    let stream = WithInterim::new(stream, Arc::clone(&interim));
    let front = Front { site: hall.site, peer, account, interim, conduct: Arc::clone(&conduct), turn: Arc::default() };
    let (front, timer) = (Arc::new(front), HeadTimer::of(limits.head_timeout));
    let stream = Lane::new(stream, Arc::clone(&front), timer.clone(), limits.headers_max);
    let connection = builder(limits, timer).serve_connection_with_upgrades(TokioIo::new(stream), front).into_owned();
    let served = Served::new(connection, hall.draining.cancelled_owned(), (conduct, limits));
    served.map(move |ended| match ended {
        Ended::Itself(Ok(())) => {}
        Ended::Itself(Err(error)) => tracing::debug!(error = &*error, "connection ended"),
        Ended::Quiet => {}
        Ended::Old => site.house.cut.count(Cut::Age),
        Ended::Stalled => {
            site.house.cut.count(Cut::Stalled);
            tracing::debug!(client = ?peer.address, "cut: it makes no room for its answers");
        }
        Ended::Abusive => {
            site.house.cut.count(Cut::Abuse);
            tracing::debug!(client = ?peer.address, "cut: most of its requests were taken back");
        }
    })
}

/// Comes to where HTTP begins, within the time for a request's head; `None` where that fails.
async fn open_in_time(accepted: Accepted, site: Arc<Site<Origin>>, draining: CancellationToken) -> Option<Opened> {
    let house = &site.house;
    let Accepted { socket, mut peer, tls, proxy_header, mut account, held: (place, mut held) } = accepted;
    let opened = tokio::select! {
        opened = timeout(house.limits.head_timeout, open(socket, tls, proxy_header)) => opened,
        // Nobody waits for an answer on it yet.
        () = draining.cancelled() => return None,
    };
    let (stream, said) = match opened.unwrap_or(Err((Cut::Handshake, io::ErrorKind::TimedOut.into()))) {
        Ok(opened) => opened,
        Err((cut, error)) => {
            house.cut.count(cut);
            tracing::debug!(%error, client = ?peer.address, "a connection did not come about");
            return None;
        }
    };
    match said {
        Said::Itself => {}
        // What comes now comes from somebody of whom nothing is known, and who is not to be believed.
        Said::Unknown => peer = Peer { address: None, in_files: false, ..peer },
        Said::For(address) => {
            peer = Peer { address: Some(address), in_files: false, ..peer };
            let now = Instant::now().into_std();
            account = house.clients.account(address, &house.limits, now).filter(|_| !peer.is_proxy(&house.trust));
            if let Some(account) = &account {
                held = Clients::connect(account, &house.limits);
                if held.is_none() {
                    house.cut.count(Cut::Limit);
                    return None;
                }
            }
        }
    }
    Some(Opened { stream, peer, account, held: (place, held) })
}

/// What HTTP is spoken over, and for whom a proxy connected.
async fn open(socket: Socket, tls: Option<Tls>, proxy_header: bool) -> Result<(Stream, Said), (Cut, io::Error)> {
    let mut socket = socket;
    let said = match (&mut socket, proxy_header) {
        (_, false) => Ok(Said::Itself),
        (Socket::Tcp(stream), true) => proxy_protocol::read(stream).await,
        (Socket::Unix(stream), true) => proxy_protocol::read(stream).await,
    };
    let said = said.map_err(|error| (Cut::ProxyHeader, error))?;
    let stream = match (socket, tls) {
        (Socket::Tcp(stream), Some(tls)) => {
            let stream = tls.clients.accept(stream).await.map_err(|error| (Cut::Handshake, error))?;
            Stream::Tls(Box::new(stream))
        }
        (Socket::Tcp(stream), None) => Stream::Tcp(stream),
        (Socket::Unix(stream), _) => Stream::Unix(stream),
    };
    Ok((stream, said))
}

/// With the parser as it comes: the [`Lane`] reads by it too.
fn builder(limits: &LimitSettings, timer: HeadTimer) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(timer)
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(limits.head_bytes_max)
        .max_headers(limits.headers_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.h2_streams_max)
        .keep_alive_interval(Some(limits.head_timeout))
        .keep_alive_timeout(limits.head_timeout);
    builder
}

pin_project! {
    /// A connection that is served.
    pub(super) struct Served<C> {
        #[pin]
        connection: C,
        #[pin]
        draining: WaitForCancellationFutureOwned,
        timer: Pin<Box<Sleep>>,
        // Calls for the two above.
        rarely: Rarely,
        conduct: Arc<Conduct>,
        limits: Limits,
        // It was asked to end after what is under way.
        asked: bool,
    }
}

/// What holds for one connection.
#[derive(Clone, Copy, Debug)]
struct Limits {
    began: Instant,
    age_max: Option<Duration>,
    idle: Duration,
    send: Duration,
    resets: u32,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended<E> {
    /// By itself.
    Itself(Result<(), E>),
    /// It was twice as old as one may be.
    Old,
    /// It was asked to end, nothing is under way, and it did not.
    Quiet,
    /// Its client made no room for what is there for it.
    Stalled,
    /// Its client took back too many requests.
    Abusive,
}

impl<C: GracefulConnection> Served<C> {
    pub(super) fn new(
        connection: C,
        draining: WaitForCancellationFutureOwned,
        (conduct, limits): (Arc<Conduct>, &LimitSettings),
    ) -> Self {
        let limits = Limits {
            began: Instant::now(),
            age_max: Some(limits.connection_age_max).filter(|age| !age.is_zero()),
            idle: limits.idle_timeout,
            send: limits.send_timeout,
            resets: limits.h2_resets_max,
        };
        let timer = Box::pin(sleep_until(limits.next(Duration::ZERO, Duration::ZERO)));
        Self { connection, draining, timer, rarely: Rarely::new(), conduct, limits, asked: false }
    }
}

impl Limits {
    /// When to look again, after it was quiet, and has left something, for so long.
    fn next(&self, quiet: Duration, left: Duration) -> Instant {
        let wait = self.idle.saturating_sub(quiet).min(self.send.saturating_sub(left)).max(Duration::from_millis(10));
        let next = Instant::now() + wait;
        let ages = self.age_max.map(|age| [self.began + age, self.began + age * 2]);
        let now = Instant::now();
        ages.into_iter().flatten().filter(|at| *at > now).fold(next, Instant::min)
    }

    fn is_old(&self, times: u32) -> bool {
        self.age_max.is_some_and(|age| self.began.elapsed() >= age * times)
    }
}

impl<C: GracefulConnection> Future for Served<C> {
    type Output = Ended<C::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Poll::Ready(ended) = this.connection.as_mut().poll(cx) {
                return Poll::Ready(Ended::Itself(ended));
            }
            if this.conduct.is_abusive(this.limits.resets) {
                return Poll::Ready(Ended::Abusive);
            }
            if !this.rarely.is_called(cx) {
                return Poll::Pending;
            }
            let waker = this.rarely.waker();
            let mut aside = Context::from_waker(&waker);
            if !*this.asked && this.draining.as_mut().poll(&mut aside).is_ready() {
                *this.asked = true;
                this.connection.as_mut().graceful_shutdown();
                this.timer.as_mut().reset(this.limits.next(Duration::ZERO, Duration::ZERO));
                this.rarely.call();
                continue;
            }
            std::task::ready!(this.timer.as_mut().poll(&mut aside));
            this.rarely.call();
            // Not before it was asked: whoever had no time to look for so long has no time to be strict.
            if *this.asked && this.limits.is_old(2) {
                return Poll::Ready(Ended::Old);
            }
            // One answer that is left while others are taken may be a film that somebody has paused: what comes after it goes to another connection, and it has as
            // long again.
            let (stalled, left, send) = (this.conduct.stalled(), this.conduct.left(), this.limits.send);
            if stalled >= send || (*this.asked && left >= send * 2) {
                return Poll::Ready(Ended::Stalled);
            }
            let quiet = this.conduct.idle().unwrap_or_default();
            let is_quiet = quiet >= this.limits.idle;
            if *this.asked && quiet >= this.limits.idle * 2 {
                return Poll::Ready(Ended::Quiet);
            }
            if !*this.asked && (this.limits.is_old(1) || is_quiet || left >= send) {
                *this.asked = true;
                this.connection.as_mut().graceful_shutdown();
            }
            let quiet = if is_quiet { Duration::ZERO } else { quiet };
            let waits = if left >= send { left - send } else { left };
            this.timer.as_mut().reset(this.limits.next(quiet, waits.max(stalled)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, pin::pin};

    use bytes::Bytes;
    use http::Response;
    use http_body_util::Empty;
    use hyper::service::service_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_not_asked_to_end_is_not_cut_however_old() {
        let limits = LimitSettings { connection_age_max: Duration::from_secs(1), ..LimitSettings::default() };
        let (_client, stream) = tokio::io::duplex(64);
        let nothing = service_fn(async |_| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())));
        let connection = builder(&limits, HeadTimer::of(limits.head_timeout))
            .serve_connection_with_upgrades(TokioIo::new(stream), nothing)
            .into_owned();
        let draining = CancellationToken::new().cancelled_owned();
        let served = pin!(Served::new(connection, draining, (Arc::new(Conduct::new()), &limits)));
        // The thread had no time for it meanwhile.
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(matches!(served.await, Ended::Itself(_)));
    }
}
