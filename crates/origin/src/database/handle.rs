use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use edge_cache_core::{Priority, SharedRng, SystemRng};
use tokio::time::sleep;

use super::chain::Chain;
use super::checkout::Source;
use super::endpoint::Lent;
use super::replica;
use super::retry::Retries;
use super::sqlite::{self, SqliteManager};
use super::target::Target;
use super::{
    ConfigError, DatabaseConfig, DbError, Dialect, EndpointState, PoolState, Pooling, Purges, Row, Transaction,
    Unavailable, Value,
};
use crate::permits::{Permit, Permits};
use crate::work::Work;

/// A database and its connections. Clones share them.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    pooling: Pooling,
    statement_timeout: Duration,
    permits: Permits,
    retries: Retries,
    rng: SharedRng,
    queries: AtomicU64,
}

enum Backend {
    Postgres(Chain),
    Sqlite(Source<SqliteManager>),
}

/// Why [`Database::connect`] gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A key of the configuration breaks its rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be reached; the sources say where it should be and why not.
    #[error(transparent)]
    Connect(#[from] DbError),
}

impl Database {
    /// Connects, and proves it with one real connection, which the pool keeps: by the first URL that leads there.
    ///
    /// # Errors
    /// [`OpenError`]; no message holds the password.
    pub async fn connect(config: DatabaseConfig) -> Result<Self, OpenError> {
        let rng: SharedRng = Arc::new(SystemRng);
        let targets = config.targets()?;
        let backend = match &targets.0[0] {
            Target::Sqlite(path) => {
                let source = Source::new(SqliteManager::new(path.clone(), &config), &config, Arc::default());
                source.prove().await?;
                Backend::Sqlite(source)
            }
            Target::Postgres(_) => {
                let chain = Chain::new(targets, &config, &rng);
                chain.prove().await?;
                Backend::Postgres(chain)
            }
        };
        let permits = usize::try_from(config.connections_max).unwrap_or(usize::MAX);
        let shared = Shared {
            backend,
            pooling: config.pooling,
            statement_timeout: config.statement_timeout,
            permits: Permits::new(permits, config.queue_max, config.queue_timeout),
            retries: Retries::default(),
            rng,
            queries: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Reads: one statement that changes nothing, in one round trip. It is sent again, here or by the next URL, when its connection broke.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let _permit = self.permit().await?;
        let began = tokio::time::Instant::now();
        let rows = match &self.shared.backend {
            Backend::Postgres(chain) => self.read(chain, sql, params).await,
            Backend::Sqlite(source) => self.read_file(source, sql, params).await,
        };
        Work::note("database", || {
            let took = began.elapsed().as_secs_f64() * 1000.0;
            match &rows {
                Ok(rows) => format!("{} rows in {took:.1} ms", rows.len()),
                Err(error) => format!("failed after {took:.1} ms: {error}"),
            }
        });
        rows
    }

    async fn read_file(
        &self,
        source: &Source<SqliteManager>,
        sql: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, DbError> {
        let lease = source.checkout().await?;
        self.count();
        let (sql, params) = (sql.to_owned(), params.to_vec());
        let limit = Some(self.limit());
        sqlite::run(lease, limit, move |connection| sqlite::query(connection, &sql, &params)).await.1
    }

    async fn read(&self, chain: &Chain, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.shared.retries.asked();
        let mut attempts = 0;
        loop {
            let error = match self.read_along(chain, sql, params).await {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            // While the way is being felt for again, nobody presses on.
            let pause = match chain.is_calm() && self.shared.pooling == Pooling::Pooled {
                true => self.shared.retries.pause(&error, attempts, self.shared.rng.unit()),
                false => None,
            };
            let Some(pause) = pause else { return Err(error) };
            if Work::end().is_some_and(|until| tokio::time::Instant::now() + pause >= until) {
                return Err(error);
            }
            tracing::debug!(error = &error as &dyn std::error::Error, ?pause, "a read is sent again");
            sleep(pause).await;
            attempts += 1;
        }
    }

    /// By a replica if one is new enough, else along the ways, until one answers.
    async fn read_along(&self, chain: &Chain, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        if !chain.replicas.is_empty() {
            self.prove_replicas(chain);
            if let Some(mut lent) = chain.lend_replica().await {
                self.count();
                match lent.query(sql, params).await {
                    Err(error) if error.is_unavailable() || is_cancelled_by_replay(&error) => {}
                    done => return done,
                }
            }
        }
        let mut walk = chain.walk();
        loop {
            let mut lent = walk.next().await?;
            self.count();
            match lent.query(sql, params).await {
                // Where none is left, the walk tells why the first came to nothing.
                Err(error) if error.is_unavailable() => walk.note(error),
                done => return done,
            }
        }
    }

    /// Sees in the background whether replicas are as far as the primary.
    fn prove_replicas(&self, chain: &Chain) {
        for at in chain.replicas.unproven() {
            let this = self.clone();
            let work = Work { priority: Priority::Refresh, ..Work::default() };
            tokio::spawn(work.run(async move {
                let Backend::Postgres(chain) = &this.shared.backend else { return };
                let position = async {
                    let _permit = this.permit().await?;
                    let mut lent = chain.walk().next().await?;
                    this.count();
                    let rows = lent.query(replica::POSITION, &[]).await?;
                    drop(lent);
                    chain.make_room_for_replica(at);
                    rows.first().map_or(Ok(String::new()), |row| row.text("lsn"))
                };
                chain.replicas.prove(at, position).await;
            }));
        }
    }

    /// What this process knows of purges: a replica is read only where it holds what they were for. To be told once.
    pub fn follow_purges(&self, purges: Box<Purges>) {
        if let Backend::Postgres(chain) = &self.shared.backend {
            chain.replicas.follow(purges);
        }
    }

    /// A write has ended, for good or ill.
    pub(super) fn wrote(&self) {
        if let Backend::Postgres(chain) = &self.shared.backend {
            chain.replicas.wrote();
        }
    }

    /// Runs one statement and tells how many rows it changed, in one round trip. It is sent once.
    ///
    /// # Errors
    /// See [`DbError`]. After [`Unavailable::Broken`], [`Unavailable::Stalled`] and [`DbError::Timeout`] it is not known whether it was run.
    pub async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        let _permit = self.permit().await?;
        match &self.shared.backend {
            Backend::Postgres(chain) => {
                let mut walk = chain.walk();
                loop {
                    let mut lent = walk.next().await?;
                    self.count();
                    let answer = lent.execute(sql, params).await;
                    self.wrote();
                    match answer {
                        Err(error) if is_undone(&error) => walk.note(error),
                        done => return done,
                    }
                }
            }
            Backend::Sqlite(source) => {
                let lease = source.checkout().await?;
                self.count();
                let (sql, params) = (sql.to_owned(), params.to_vec());
                let limit = Some(self.limit());
                sqlite::run(lease, limit, move |connection| sqlite::execute(connection, &sql, &params)).await.1
            }
        }
    }

    /// Begins a transaction: read committed on Postgres, with the write lock taken at once on SQLite.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn begin(&self) -> Result<Transaction, DbError> {
        self.begin_with("").await
    }

    /// Begins a transaction with settings of its own on Postgres: `SET LOCAL name = 'value'`, in the same round trip. SQLite has none.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn begin_with(&self, settings: &str) -> Result<Transaction, DbError> {
        self.begin_limited(Some(self.shared.statement_timeout), settings).await
    }

    /// Begins a transaction whose statements may take as long as they need: for migrations and seeding.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn begin_long(&self) -> Result<Transaction, DbError> {
        self.begin_limited(None, "SET LOCAL statement_timeout = 0").await
    }

    async fn begin_limited(&self, limit: Option<Duration>, settings: &str) -> Result<Transaction, DbError> {
        let permit = self.permit().await?;
        match &self.shared.backend {
            Backend::Postgres(chain) => {
                let mut walk = chain.walk();
                loop {
                    let mut link = walk.next().await?;
                    match self.begin_on(&mut link, limit, settings).await {
                        Ok(()) => return Ok(Transaction::postgres(self.clone(), link, limit, permit)),
                        // Nothing has been done in it.
                        Err(error) if error.is_unavailable() => walk.note(error),
                        Err(error) => return Err(error),
                    }
                }
            }
            Backend::Sqlite(source) => {
                let lease = source.checkout().await?;
                Transaction::sqlite(self.clone(), lease, limit, permit).await
            }
        }
    }

    async fn begin_on(&self, link: &mut Lent, limit: Option<Duration>, settings: &str) -> Result<(), DbError> {
        self.count();
        link.in_transaction = true;
        link.batch(&format!("BEGIN; {settings}")).await?;
        link.unlimited = limit.is_none();
        Ok(())
    }

    async fn permit(&self) -> Result<Option<Permit>, DbError> {
        if self.shared.pooling == Pooling::PerRequest {
            return Ok(None);
        }
        let permit = self.shared.permits.acquire().await;
        permit.map(Some).map_err(|overloaded| DbError::unavailable(Unavailable::Overloaded, overloaded))
    }

    /// How long a statement may take, the deadline of the work that it is for in mind.
    fn limit(&self) -> Duration {
        let left = Work::end().map(|until| until.saturating_duration_since(tokio::time::Instant::now()));
        left.map_or(self.shared.statement_timeout, |left| left.min(self.shared.statement_timeout))
    }

    /// Runs several statements, parted by `;`, in one transaction without a time limit: for migrations.
    ///
    /// # Errors
    /// See [`DbError`]; nothing is changed then.
    pub async fn batch(&self, sql: &str) -> Result<(), DbError> {
        let mut tx = self.begin_long().await?;
        tx.batch(sql).await?;
        tx.commit().await
    }

    /// The SQL that this database speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match &self.shared.backend {
            Backend::Postgres(_) => Dialect::Postgres,
            Backend::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Whether connections are kept.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.shared.pooling
    }

    /// What the connections are doing, over all ways to the database.
    #[must_use]
    pub fn state(&self) -> PoolState {
        match &self.shared.backend {
            Backend::Postgres(chain) => {
                chain.states().iter().fold(PoolState::default(), |all, endpoint| all.beside(&endpoint.pool))
            }
            Backend::Sqlite(source) => source.state(),
        }
    }

    /// The ways to the database, in the order in which they are tried; none for SQLite.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointState> {
        match &self.shared.backend {
            Backend::Postgres(chain) => chain.states(),
            Backend::Sqlite(_) => Vec::new(),
        }
    }

    /// The permits that statements and transactions need, for whoever governs them.
    #[must_use]
    pub fn permits(&self) -> &Permits {
        &self.shared.permits
    }

    /// Statements sent so far; BEGIN and COMMIT count, connecting does not.
    #[must_use]
    pub fn queries_total(&self) -> u64 {
        self.shared.queries.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) {
        self.shared.queries.fetch_add(1, Ordering::Relaxed);
    }
}

/// A standby cancels what stands in the way of what it replays (40001); the primary does not.
fn is_cancelled_by_replay(error: &DbError) -> bool {
    matches!(error, DbError::Contention { .. })
}

/// Whether a write that failed so was certainly not done.
fn is_undone(error: &DbError) -> bool {
    error.unavailability() == Some(Unavailable::ReadOnly)
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("dialect", &self.dialect())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
