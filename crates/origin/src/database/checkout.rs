use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bb8::{ManageConnection, Pool, PooledConnection};
use futures_util::FutureExt;

use super::connect_errors::ConnectErrors;
use super::{ConnectError, DatabaseConfig, DbError, PoolState, Pooling, Unavailable};

/// Hands out the connections of one manager, kept in a bounded pool or opened for each caller.
pub(super) struct Source<M: Manager> {
    pool: Pool<M>,
    pooling: Pooling,
    connections_max: u32,
    errors: ConnectErrors,
    /// Connections that [`Pooling::PerRequest`] has open now, and has opened.
    own: Arc<Own>,
    waiting: AtomicU64,
    /// Connections that `prove` opened, which are not in the pool's own count.
    proven: AtomicU64,
    /// Connections that the manager gave up for their age, which the pool takes for broken.
    aged: Arc<AtomicU64>,
    idling: parking_lot::Mutex<()>,
}

/// Counts one caller that waits for a connection, however the wait ends.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Own {
    open: AtomicU64,
    created: AtomicU64,
}

/// The managers here: connects fail with a shareable error.
pub(super) trait Manager: ManageConnection<Error = Arc<ConnectError>> {}
impl<M: ManageConnection<Error = Arc<ConnectError>>> Manager for M {}

/// A connection on loan; dropping it gives it back, or closes it where it is not fit for the next caller.
pub(super) enum Lease<M: Manager> {
    Pooled(PooledConnection<'static, M>),
    Own { connection: M::Connection, _counted: Counted },
}

/// Counts one connection that the pool does not.
pub(super) struct Counted(Arc<Own>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<M: Manager> Source<M> {
    /// Connects at the first use.
    pub(super) fn new(manager: M, config: &DatabaseConfig, aged: Arc<AtomicU64>) -> Self {
        let errors = ConnectErrors::default();
        let pool = Pool::builder()
            .max_size(config.connections_max)
            .connection_timeout(config.acquire_timeout)
            .max_lifetime(config.lifetime_max)
            .idle_timeout(config.idle_timeout)
            .test_on_check_out(false)
            .retry_connection(false)
            // The connection used last is the one that the server's caches and ours know best; the others age out.
            .queue_strategy(bb8::QueueStrategy::Lifo)
            .error_sink(Box::new(errors.clone()))
            .build_unchecked(manager);
        Self {
            pool,
            pooling: config.pooling,
            connections_max: config.connections_max,
            errors,
            own: Arc::default(),
            waiting: AtomicU64::new(0),
            proven: AtomicU64::new(0),
            aged,
            idling: parking_lot::Mutex::new(()),
        }
    }

    /// Opens one connection, so that a wrong address or password shows now, and keeps it.
    pub(super) async fn prove(&self) -> Result<(), DbError> {
        let first = self.pool.dedicated_connection().await.map_err(refused)?;
        self.proven.fetch_add(1, Ordering::Relaxed);
        if self.pooling == Pooling::Pooled {
            self.pool.add(first).map_err(|_| DbError::Unavailable { reason: Unavailable::Broken, source: None })?;
        }
        Ok(())
    }

    /// A connection that is open and idle, if there is one.
    pub(super) fn idle(&self) -> Option<Lease<M>> {
        // One at a time: who finds it gone would open another.
        let _alone = self.idling.lock();
        if self.pool.state().idle_connections == 0 {
            return None;
        }
        // It has one, so it is handed out at the first poll.
        self.pool.get_owned().now_or_never()?.ok().map(Lease::Pooled)
    }

    pub(super) async fn checkout(&self) -> Result<Lease<M>, DbError> {
        match self.pooling {
            Pooling::Pooled => self.pooled().await,
            Pooling::PerRequest => {
                let opened = self.pool.dedicated_connection().await;
                let connection = opened.map_err(|error| {
                    self.errors.record(Arc::clone(&error));
                    refused(error)
                })?;
                self.own.open.fetch_add(1, Ordering::Relaxed);
                self.own.created.fetch_add(1, Ordering::Relaxed);
                Ok(Lease::Own { connection, _counted: Counted(Arc::clone(&self.own)) })
            }
        }
    }

    async fn pooled(&self) -> Result<Lease<M>, DbError> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let mut failed = self.errors.watch();
        let before = self.errors.count();
        let get = self.pool.get_owned();
        tokio::pin!(get);
        loop {
            tokio::select! {
                biased;
                got = &mut get => return got.map(Lease::Pooled).map_err(|_| self.gave_up(before)),
                changed = failed.changed() => {
                    // A failed connect is the answer only where there is no other connection to wait for.
                    if changed.is_err() || self.pool.state().connections == 0 {
                        return Err(self.gave_up(before));
                    }
                }
            }
        }
    }

    fn gave_up(&self, before: u64) -> DbError {
        match self.errors.last() {
            Some(error) if self.errors.count() > before => refused(error),
            _ => DbError::Unavailable { reason: Unavailable::PoolTimeout, source: None },
        }
    }

    pub(super) fn state(&self) -> PoolState {
        let pool = self.pool.state();
        let stats = &pool.statistics;
        let own = u32::try_from(self.own.open.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let aged = self.aged.load(Ordering::Relaxed);
        let own_created = self.own.created.load(Ordering::Relaxed);
        PoolState {
            connections_max: match self.pooling {
                Pooling::Pooled => self.connections_max,
                Pooling::PerRequest => 0,
            },
            connections: pool.connections + own,
            idle: pool.idle_connections,
            in_use: pool.connections.saturating_sub(pool.idle_connections) + own,
            waiting: self.waiting.load(Ordering::Relaxed),
            checkouts: stats.get_started + own_created,
            waits: stats.get_waited + stats.get_timed_out,
            wait_time: stats.get_wait_time,
            timeouts: stats.get_timed_out,
            created: stats.connections_created + own_created + self.proven.load(Ordering::Relaxed),
            closed_broken: (stats.connections_closed_broken + stats.connections_closed_invalid).saturating_sub(aged),
            closed_aged: stats.connections_closed_max_lifetime + stats.connections_closed_idle_timeout + aged,
            connect_errors: self.errors.count(),
        }
    }
}

fn refused(error: Arc<ConnectError>) -> DbError {
    DbError::unavailable(Unavailable::Connect, error)
}

impl<M: Manager> Deref for Lease<M> {
    type Target = M::Connection;
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Pooled(connection) => connection,
            Self::Own { connection, .. } => connection,
        }
    }
}

impl<M: Manager> DerefMut for Lease<M> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Pooled(connection) => connection,
            Self::Own { connection, .. } => connection,
        }
    }
}
