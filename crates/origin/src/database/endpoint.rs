//! One way to a Postgres: its pool, its breaker, and what is known of the server.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use edge_cache_breaker::{Breaker, Permit, State};
use edge_cache_core::SharedRng;
use tokio::sync::Semaphore;

use super::checkout::{Lease, Source};
use super::error::Silent;
use super::postgres::{Link, Liveness, PostgresManager, Slow};
use super::target::PostgresTarget;
use super::{DatabaseConfig, DbError, EndpointState, Role, Row, Unavailable, Value};

/// One way to a Postgres.
pub(super) struct Endpoint {
    name: String,
    source: Source<PostgresManager>,
    breaker: Breaker,
    liveness: Liveness,
}

impl Endpoint {
    /// A way whose server may take `patience` to say that it is there.
    pub(super) fn new(
        target: PostgresTarget,
        config: &DatabaseConfig,
        patience: Duration,
        budget: Option<Arc<Semaphore>>,
        rng: SharedRng,
    ) -> Self {
        let name = target.name.clone();
        let breaker = Breaker::named(name.clone(), config.breaker());
        let liveness = Liveness::new(target.plain.clone(), patience, breaker.clone());
        let manager = PostgresManager::new(target, config, budget, liveness.clone(), rng);
        let aged = manager.aged();
        Self { name, source: Source::new(manager, config, aged), breaker, liveness }
    }

    /// Connects once, to see.
    pub(super) async fn prove(&self) -> Result<(), DbError> {
        self.source.prove().await
    }

    /// A connection, unless this way is left alone.
    pub(super) async fn lend(self: &Arc<Self>) -> Result<Lent, DbError> {
        let permit = match self.breaker.try_acquire() {
            Ok(permit) => permit,
            Err(open) => {
                // Not while it is on trial: the connections are what it is tried with.
                if self.breaker.state() == State::Open {
                    self.rest();
                }
                return Err(DbError::unavailable(Unavailable::BreakerOpen, open));
            }
        };
        match self.open_link().await {
            Ok(link) => Ok(Lent { link, endpoint: Arc::clone(self), permit: Some(permit) }),
            Err(error) => {
                // No connection in time may be a burst of connects on a busy machine: by itself it says little.
                let weak = error.unavailability() == Some(Unavailable::PoolTimeout);
                self.failed(permit, weak);
                Err(error)
            }
        }
    }

    /// A connection that the server has not closed meanwhile. Dropping a closed one makes room, so this ends at the latest when all the
    /// idle ones have been looked at.
    async fn open_link(&self) -> Result<Lease<PostgresManager>, DbError> {
        let session = self.liveness.session();
        loop {
            let link = tokio::select! {
                biased;
                link = self.source.checkout() => link?,
                () = self.liveness.silence(&session) => return Err(DbError::unavailable(Unavailable::Broken, Silent)),
            };
            if !link.is_closed() {
                return Ok(link);
            }
        }
    }

    fn failed(&self, permit: Permit, weak: bool) {
        if weak {
            permit.weak_failure();
        } else {
            permit.failure();
        }
        if self.breaker.state() == State::Open {
            self.rest();
        }
    }

    /// Closes what is idle: connections are of more use on another way.
    fn rest(&self) {
        while self.close_one() {}
    }

    /// Closes an idle connection, if there is one.
    pub(super) fn close_one(&self) -> bool {
        let idle = self.source.idle();
        idle.map(|mut link| link.spend()).is_some()
    }

    pub(super) fn has_idle(&self) -> bool {
        self.source.state().idle > 0
    }

    /// Whether it is used without reserve.
    pub(super) fn is_trusted(&self) -> bool {
        self.breaker.state() == State::Closed
    }

    /// Whether it may be asked, be it on trial.
    pub(super) fn may_be_asked(&self) -> bool {
        self.breaker.state() != State::Open
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn state(&self, role: Role) -> EndpointState {
        EndpointState {
            name: self.name.clone(),
            role,
            breaker: self.breaker.state(),
            breaker_opened: self.breaker.counts().opened,
            pool: self.source.state(),
        }
    }
}

/// A connection on loan. What its statements come to is told to the breaker.
pub(super) struct Lent {
    link: Lease<PostgresManager>,
    endpoint: Arc<Endpoint>,
    /// Of the breaker, until the first answer.
    permit: Option<Permit>,
}

impl Deref for Lent {
    type Target = Link;
    fn deref(&self) -> &Link {
        &self.link
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

impl Lent {
    pub(super) async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let answer = self.link.query(sql, params).await;
        self.heard(answer)
    }

    pub(super) async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        let answer = self.link.execute(sql, params).await;
        self.heard(answer)
    }

    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        let answer = self.link.batch(sql).await;
        self.heard(answer)
    }

    pub(super) async fn end(&mut self, sql: &str) -> Result<(), DbError> {
        let answer = self.link.end(sql).await;
        self.heard(answer)
    }

    pub(super) async fn copy(
        &mut self,
        table: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<Value>> + Send,
    ) -> Result<u64, DbError> {
        let answer = self.link.copy(table, columns, rows).await;
        self.heard(answer)
    }

    fn heard<T>(&mut self, answer: Result<T, DbError>) -> Result<T, DbError> {
        let first = self.permit.take();
        match &answer {
            Err(DbError::Unavailable { reason: Unavailable::ReadOnly, .. }) => {
                // Not ill, but no primary any more: its other connections are not to one either. Says nothing to the breaker.
                if !self.link.is_closed() {
                    self.endpoint.liveness.recycle();
                }
                drop(first);
            }
            Err(DbError::Unavailable { reason, source }) => {
                // A connection that ended may have been idle, and others with it: whether its server is there the next connects tell.
                let is_silent = source.as_ref().is_some_and(|source| source.is::<Silent>());
                let weak = *reason == Unavailable::Broken && !is_silent;
                // A later statement of a transaction is no probe.
                let later = || self.endpoint.is_trusted().then(|| self.endpoint.breaker.try_acquire().ok()).flatten();
                if let Some(permit) = first.or_else(later) {
                    self.endpoint.failed(permit, weak);
                }
            }
            Err(DbError::Timeout { source }) if source.is::<Slow>() => {
                if let Some(permit) = first {
                    self.endpoint.failed(permit, true);
                }
            }
            // The request ended before its answer.
            Err(DbError::Timeout { .. }) if !self.link.is_quiet() => drop(first),
            // It answered, be it with a refusal.
            Ok(_) | Err(_) => first.map_or((), Permit::success),
        }
        answer
    }
}
