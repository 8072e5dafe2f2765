//! Connections to one origin, each used again once its answer is over.
//!
//! Of hyper's own connections, and not of a client above them: what a request costs is then one lock and one look at who is idle, a connection that its origin
//! closed while it was idle is told from one that broke at work, and a request that no connection took comes back to be sent by another.

mod in_use;

use std::{
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use edge_cache_core::BoxError;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

pub(super) use self::in_use::InUse;
use super::{
    UpstreamConfig,
    connector::{Connector, Usage},
    failed::Failed,
    secure::Secure,
    target::Target,
};

/// The head of an answer, and the connection that its body comes on.
pub(super) type Answer = (Response<Incoming>, InUse);

/// How long a connection lives on for the rest of a request that was answered already.
const UNREAD_MAX: Duration = Duration::from_secs(5);

/// The connections to one origin. Clones share them.
#[derive(Debug)]
pub(super) struct Pool<B> {
    shared: Arc<Shared<B>>,
}

// Not derived: `B` is only named, not held.
impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<B> {
    connector: Connector,
    idle: Mutex<Idle<B>>,
    /// One came to be idle.
    freed: Notify,
    idle_max: usize,
    idle_timeout: Duration,
}

/// Those whose answers are over, the last one at the end; the origin may have closed some meanwhile.
#[derive(Debug)]
struct Idle<B> {
    kept: Vec<Kept<B>>,
    /// A task closes those that are kept for too long.
    is_swept: bool,
}

#[derive(Debug)]
struct Kept<B> {
    connection: Box<Connection<B>>,
    since: Instant,
}

/// A connection. Boxed once, and not each time that it changes hands.
#[derive(Debug)]
struct Connection<B> {
    sender: SendRequest<B>,
    /// The task that reads and writes.
    work: AbortHandle,
    usage: Usage,
    pool: Weak<Shared<B>>,
}

impl<B> Pool<B>
where
    B: Body + Default + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Connections to `target`, none of them yet; by TLS, where `secure` is given.
    pub(super) fn new(config: &UpstreamConfig, target: &Target, secure: Option<Secure>) -> Self {
        let shared = Shared {
            connector: Connector::new(target, config.connect_timeout, secure),
            idle: Mutex::new(Idle { kept: Vec::new(), is_swept: false }),
            freed: Notify::new(),
            idle_max: config.idle_connections_max,
            idle_timeout: config.idle_timeout,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sends a request, which is taken if that began, and waits for the head of its answer. `now` is when that is.
    ///
    /// # Errors
    /// There was no connection, or it ended early.
    pub(super) async fn ask(&self, req: &mut Request<B>, now: Instant) -> Result<Answer, Failed> {
        loop {
            let (connection, is_new) = match self.shared.take(now) {
                Some(connection) => (connection, false),
                // Rare, and large: not part of the future of every request.
                None => Box::pin(self.shared.connect_or_wait()).await?,
            };
            match send(connection, req).await {
                // Its origin has closed it between our look and its: another one takes the request.
                Err(Failed::Unconnected(_)) if !is_new => {}
                sent => return sent,
            }
        }
    }

    /// The same on a connection of its own, for what met a dead one.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) async fn ask_anew(&self, req: &mut Request<B>) -> Result<Answer, Failed> {
        let connection = self.shared.connect().await?;
        send(connection, req).await
    }

    /// The same, and the connection is closed after it.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) async fn ask_once(&self, req: Request<B>) -> Result<Response<Incoming>, Failed> {
        let mut connection = self.shared.connect().await?;
        connection.sender.send_request(req).await.map_err(|error| connection.broken(error))
    }
}

/// Sends a request on a connection. One that did not take it is as good as none: then the request is still here.
async fn send<B>(mut connection: Box<Connection<B>>, req: &mut Request<B>) -> Result<Answer, Failed>
where
    B: Body + Default + Send + Unpin + 'static,
{
    match connection.sender.try_send_request(std::mem::take(req)).await {
        Ok(response) => Ok(answered(connection, response)),
        Err(mut error) => match error.take_message() {
            Some(unsent) => {
                *req = unsent;
                Err(Failed::Unconnected(error.into_error().into()))
            }
            None => Err(connection.broken(error.into_error())),
        },
    }
}

fn answered<B: Send + 'static>(connection: Box<Connection<B>>, response: Response<Incoming>) -> Answer {
    let in_use = match response.status() {
        // What it speaks now is another protocol.
        StatusCode::SWITCHING_PROTOCOLS => {
            connection.usage.tunnels();
            InUse::nothing()
        }
        _ => InUse::of(connection),
    };
    (response, in_use)
}

impl<B> Shared<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// A new connection, or one that comes to be idle while it is made, and whether it is new: an origin that takes no new ones may still answer on those it
    /// has.
    async fn connect_or_wait(self: &Arc<Self>) -> Result<(Box<Connection<B>>, bool), Failed> {
        let mut connecting = pin!(self.connect());
        loop {
            // It hears of all that come to be idle from here on, and the look after that finds those before.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(connection) = self.take(Instant::now()) {
                return Ok((connection, false));
            }
            tokio::select! {
                biased;
                made = &mut connecting => return Ok((made?, true)),
                () = freed => {}
            }
        }
    }

    async fn connect(self: &Arc<Self>) -> Result<Box<Connection<B>>, Failed> {
        let stream = self.connector.connect().await.map_err(Failed::Unconnected)?;
        let usage = stream.inner().usage();
        let (sender, work) = http1::handshake(stream).await.map_err(|error| Failed::Unconnected(error.into()))?;
        // How it ends is told to whoever waits for an answer on it.
        let work = tokio::spawn(work.with_upgrades().map(drop)).abort_handle();
        Ok(Box::new(Connection { sender, work, usage, pool: Arc::downgrade(self) }))
    }
}

impl<B> Shared<B> {
    /// An idle connection, the one that was used last: the others may come to be too many.
    fn take(&self, now: Instant) -> Option<Box<Connection<B>>> {
        let mut idle = self.idle.lock();
        for at in (0..idle.kept.len()).rev() {
            let Kept { connection, since } = idle.kept.remove(at);
            if connection.sender.is_ready() && now.saturating_duration_since(since) < self.idle_timeout {
                return Some(connection);
            }
        }
        None
    }
}

impl<B> Connection<B> {
    fn broken(&self, error: hyper::Error) -> Failed {
        Failed::Broken { error, died_unanswered: self.usage.died_unanswered() }
    }
}

impl<B: Send + 'static> Connection<B> {
    /// Gives it back once it can take another request, now mostly: its origin may have answered before it had read all of the last one. How long that takes is its
    /// client's affair, and the connection is none of those that are counted: after a while it is closed.
    fn give_back(mut self: Box<Self>) {
        if self.sender.is_ready() {
            self.keep();
        } else if !self.sender.is_closed() && Handle::try_current().is_ok() {
            tokio::spawn(async move {
                match timeout(UNREAD_MAX, self.sender.ready()).await {
                    Ok(Ok(())) => self.keep(),
                    Ok(Err(_)) => {}
                    Err(_) => self.work.abort(),
                }
            });
        }
    }

    /// Keeps it among as many as may be idle.
    fn keep(self: Box<Self>) {
        let Some(pool) = self.pool.upgrade().filter(|pool| pool.idle_max > 0) else { return };
        let mut idle = pool.idle.lock();
        if idle.kept.len() >= pool.idle_max {
            idle.kept.retain(|kept| !kept.connection.sender.is_closed());
        }
        if idle.kept.len() >= pool.idle_max {
            idle.kept.remove(0);
        }
        idle.kept.push(Kept { connection: self, since: Instant::now() });
        // A body may be dropped where no runtime is.
        let begins = !idle.is_swept && Handle::try_current().is_ok();
        idle.is_swept |= begins;
        // What is spawned ends at once where the runtime does, and locks then.
        drop(idle);
        if begins {
            tokio::spawn(Sweep(Arc::downgrade(&pool)).run(pool.idle_timeout));
        }
        pool.freed.notify_one();
    }
}

/// The task that closes connections which nobody uses. However it ends, another can begin.
struct Sweep<B>(Weak<Shared<B>>);

impl<B> Sweep<B> {
    /// Closes those that nobody used for `timeout`, until none is left.
    async fn run(mut self, timeout: Duration) {
        loop {
            sleep(timeout).await;
            let Some(pool) = self.0.upgrade() else { return };
            let (mut idle, now) = (pool.idle.lock(), Instant::now());
            idle.kept.retain(|kept| !kept.connection.sender.is_closed() && now.duration_since(kept.since) < timeout);
            if idle.kept.is_empty() {
                // Said while nobody can come between.
                idle.is_swept = false;
                self.0 = Weak::new();
                return;
            }
        }
    }
}

impl<B> Drop for Sweep<B> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.idle.lock().is_swept = false;
        }
    }
}

#[cfg(test)]
mod tests;
