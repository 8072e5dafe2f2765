//! Connections to one origin, each used again once its answer is over.
//!
//! Of hyper's own connections, and not of a client above them: what a request costs is then one lock and one look at who is idle, a connection that its origin
//! closed while it was idle is told from one that broke at work, and a request that no connection took comes back to be sent by another.

use std::{
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
use tokio::time::{Instant, sleep};

use super::{
    UpstreamConfig,
    connector::{Connector, Usage},
    failed::Failed,
    secure::Secure,
    target::Target,
};

/// The connections to one origin.
#[derive(Debug)]
pub(super) struct Pool<B> {
    connector: Connector,
    idle: Arc<Mutex<Idle<B>>>,
    idle_max: usize,
    idle_timeout: Duration,
}

/// Those that have had an answer, the last one at the end: idle, or about to be once its body is over, or closed by the origin meanwhile.
#[derive(Debug)]
struct Idle<B> {
    kept: Vec<Kept<B>>,
    /// A task closes those that are kept for too long.
    is_swept: bool,
}

#[derive(Debug)]
struct Kept<B> {
    connection: Connection<B>,
    since: Instant,
}

#[derive(Debug)]
struct Connection<B> {
    sender: SendRequest<B>,
    usage: Usage,
}

impl<B> Pool<B>
where
    B: Body + Default + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Connections to `target`, none of them yet; by TLS, where `secure` is given.
    pub(super) fn new(config: &UpstreamConfig, target: &Target, secure: Option<Secure>) -> Self {
        Self {
            connector: Connector::new(target, config.connect_timeout, secure),
            idle: Arc::new(Mutex::new(Idle { kept: Vec::new(), is_swept: false })),
            idle_max: config.idle_connections_max,
            idle_timeout: config.idle_timeout,
        }
    }

    /// Sends a request, which is taken if that began, and waits for the head of its answer. `now` is when that is.
    ///
    /// # Errors
    /// There was no connection, or it ended early.
    pub(super) async fn ask(&self, req: &mut Request<B>, now: Instant) -> Result<Response<Incoming>, Failed> {
        while let Some(mut connection) = self.take(now) {
            let sent = connection.sender.try_send_request(std::mem::take(req)).await;
            match sent {
                Ok(response) => return Ok(self.answered(connection, response)),
                Err(mut error) => match error.take_message() {
                    // Its origin has closed it between our look and its.
                    Some(unsent) => *req = unsent,
                    None => return Err(connection.broken(error.into_error())),
                },
            }
        }
        self.ask_anew(req).await
    }

    /// The same on a connection of its own, for what met a dead one.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) async fn ask_anew(&self, req: &mut Request<B>) -> Result<Response<Incoming>, Failed> {
        // Rare, and large: not part of the future of every request.
        let mut connection = Box::pin(self.connect()).await?;
        match connection.sender.send_request(std::mem::take(req)).await {
            Ok(response) => Ok(self.answered(connection, response)),
            Err(error) => Err(connection.broken(error)),
        }
    }

    /// The same, and the connection is closed after it.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub(super) async fn ask_once(&self, req: Request<B>) -> Result<Response<Incoming>, Failed> {
        let mut connection = self.connect().await?;
        connection.sender.send_request(req).await.map_err(|error| connection.broken(error))
    }

    async fn connect(&self) -> Result<Connection<B>, Failed> {
        let stream = self.connector.connect().await.map_err(Failed::Unconnected)?;
        let usage = stream.inner().usage();
        let (sender, work) = http1::handshake(stream).await.map_err(|error| Failed::Unconnected(error.into()))?;
        // How it ends is told to whoever waits for an answer on it.
        tokio::spawn(work.with_upgrades().map(drop));
        Ok(Connection { sender, usage })
    }

    /// An idle connection, the one that was used last: the others may come to be too many.
    fn take(&self, now: Instant) -> Option<Connection<B>> {
        let mut idle = self.idle.lock();
        for at in (0..idle.kept.len()).rev() {
            let kept = &idle.kept[at];
            if kept.connection.sender.is_closed() || now.saturating_duration_since(kept.since) >= self.idle_timeout {
                idle.kept.remove(at);
            } else if kept.connection.sender.is_ready() {
                return Some(idle.kept.remove(at).connection);
            }
        }
        None
    }

    fn answered(&self, connection: Connection<B>, response: Response<Incoming>) -> Response<Incoming> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.keep(connection);
        }
        response
    }

    /// Keeps a connection for its next request. The answer to the last may still be coming: then it is not ready.
    fn keep(&self, connection: Connection<B>) {
        if self.idle_max == 0 {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.kept.len() >= self.idle_max {
            idle.kept.retain(|kept| !kept.connection.sender.is_closed());
        }
        if idle.kept.len() >= self.idle_max {
            idle.kept.remove(0);
        }
        idle.kept.push(Kept { connection, since: Instant::now() });
        if !std::mem::replace(&mut idle.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.idle), self.idle_timeout));
        }
    }
}

impl<B> Connection<B> {
    fn broken(&self, error: hyper::Error) -> Failed {
        Failed::Broken { error, died_unanswered: self.usage.died_unanswered() }
    }
}

/// Closes connections that nobody used for `timeout`, until none is left.
async fn sweep<B>(idle: Weak<Mutex<Idle<B>>>, timeout: Duration) {
    loop {
        sleep(timeout).await;
        let Some(idle) = idle.upgrade() else { return };
        let (mut idle, now) = (idle.lock(), Instant::now());
        idle.kept.retain(|kept| !kept.connection.sender.is_closed() && now.duration_since(kept.since) < timeout);
        if idle.kept.is_empty() {
            idle.is_swept = false;
            return;
        }
    }
}
