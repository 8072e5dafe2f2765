//! A shared connection to one server that follows a primary when it moves.
//!
//! The library's own manager keeps to one address, takes a server that has become a replica for a good one, and can be left for good by a
//! refused password. This one asks anew where the primary is.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_core::monotonic_millis;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind,
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
    sentinel::SentinelClient,
};
use tokio::time::timeout;

use super::CONNECT;

/// A connection on which questions have waited for so long while none was answered is replaced, in milliseconds.
const UNANSWERED_MAX_MILLIS: u64 = 2_000;

/// Where the server is.
pub(crate) enum Source {
    Server(Client),
    /// Boxed: it is large, and there is one.
    Sentinel(tokio::sync::Mutex<Box<SentinelClient>>),
}

impl Source {
    pub(super) fn sentinel(client: SentinelClient) -> Self {
        Self::Sentinel(tokio::sync::Mutex::new(Box::new(client)))
    }

    async fn client(&self) -> RedisResult<Client> {
        match self {
            Self::Server(client) => Ok(client.clone()),
            Self::Sentinel(sentinels) => sentinels.lock().await.async_get_client().await,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    source: Source,
    answer_max: Duration,
    current: Mutex<Current>,
    connecting: tokio::sync::Mutex<()>,
    /// Since when questions wait without any being answered; 0 while none does.
    waiting_since: AtomicU64,
}

#[derive(Default)]
struct Current {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that only the one that failed is dropped.
    generation: u64,
    failed: Option<(u64, String)>,
}

const POISONED: &str = "no code panics while it holds the connection";

impl Server {
    pub(super) fn new(source: Source, answer_max: Duration) -> Self {
        Self(Arc::new(Inner {
            source,
            answer_max,
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::new(()),
            waiting_since: AtomicU64::new(0),
        }))
    }

    /// A client of the server as it is found now.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        let found = timeout(CONNECT * 2, self.0.source.client()).await;
        found.unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "the primary was not found in time"))))
    }

    fn current(&self) -> Option<(MultiplexedConnection, u64)> {
        let current = self.0.current.lock().expect(POISONED);
        current.connection.clone().map(|connection| (connection, current.generation))
    }

    async fn connection(&self) -> RedisResult<(MultiplexedConnection, u64)> {
        if let Some((connection, generation)) = self.current() {
            let since = self.0.waiting_since.load(Ordering::Relaxed);
            if since == 0 || monotonic_millis().saturating_sub(since) < UNANSWERED_MAX_MILLIS {
                return Ok((connection, generation));
            }
            self.drop_connection(generation);
        }
        let this = self.clone();
        // In a task of its own: whoever asks waits less long than connecting may take.
        let connecting = tokio::spawn(async move { this.connect(monotonic_millis()).await });
        connecting.await.unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "the runtime is shutting down"))))
    }

    async fn connect(&self, since: u64) -> RedisResult<(MultiplexedConnection, u64)> {
        let _turn = self.0.connecting.lock().await;
        if let Some(current) = self.current() {
            return Ok(current);
        }
        if let Some((at, why)) = &self.0.current.lock().expect(POISONED).failed
            && *at > since
        {
            // Tried while this one waited for its turn.
            return Err(RedisError::from((ErrorKind::Io, "redis cannot be reached", why.clone())));
        }
        // Whoever asks sets the limit: a second timer for each call would tell nothing new.
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        let opened = match self.client().await {
            Ok(client) => client.get_multiplexed_async_connection_with_config(&config).await,
            Err(error) => Err(error),
        };
        let mut current = self.0.current.lock().expect(POISONED);
        self.0.waiting_since.store(0, Ordering::Relaxed);
        match opened {
            Ok(connection) => {
                current.generation += 1;
                current.connection = Some(connection.clone());
                current.failed = None;
                Ok((connection, current.generation))
            }
            Err(error) => {
                current.failed = Some((monotonic_millis(), error.to_string()));
                Err(error)
            }
        }
    }

    fn drop_connection(&self, generation: u64) {
        let mut current = self.0.current.lock().expect(POISONED);
        if current.generation == generation {
            current.connection = None;
        }
    }

    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        self.send(async |connection| connection.send_packed_command(command).await, is_refused).await
    }

    /// Sends by `call`, and looks whether the connection is still good for something afterwards.
    async fn send<T>(
        &self,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
        is_refused: impl Fn(&T) -> bool,
    ) -> RedisResult<T> {
        let (mut connection, generation) = self.connection().await?;
        let now = monotonic_millis().max(1);
        let since = &self.0.waiting_since;
        if since.load(Ordering::Relaxed) == 0 {
            since.store(now, Ordering::Relaxed);
        }
        let long_millis = u64::try_from(self.0.answer_max.as_millis()).unwrap_or(u64::MAX).min(100) / 2;
        let asking = Asking { since: &self.0.waiting_since, began: now, long_millis };
        let answer = call(&mut connection).await;
        asking.answered();
        let gone = match &answer {
            Ok(value) => is_refused(value),
            Err(error) => error.is_unrecoverable_error() || is_readonly(error.kind()),
        };
        if !matches!(&answer, Err(error) if error.is_timeout()) {
            self.0.waiting_since.store(0, Ordering::Relaxed);
        }
        if gone {
            self.drop_connection(generation);
        }
        answer
    }
}

/// A question on its way. Given up by whoever asked before it was long, it says nothing of the connection.
struct Asking<'a> {
    since: &'a AtomicU64,
    began: u64,
    /// Whoever waited for longer had reason to give up.
    long_millis: u64,
}

impl Asking<'_> {
    fn answered(self) {
        std::mem::forget(self);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if monotonic_millis().saturating_sub(self.began) < self.long_millis {
            // Only its own clock: another question may have waited for longer.
            let own = self.since.compare_exchange(self.began, 0, Ordering::Relaxed, Ordering::Relaxed);
            own.unwrap_or_default();
        }
    }
}

fn is_readonly(kind: ErrorKind) -> bool {
    kind == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Whether a server that became a replica said so.
fn is_refused(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::ReadOnly))
}

impl ConnectionLike for Server {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.ask(command))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let any = |values: &Vec<Value>| values.iter().any(is_refused);
        Box::pin(self.send(async move |connection| connection.send_packed_commands(pipeline, offset, count).await, any))
    }

    fn get_db(&self) -> i64 {
        self.current().map_or(0, |(connection, _)| connection.get_db())
    }
}
