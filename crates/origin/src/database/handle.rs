use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::checkout::{Lease, Source};
use super::config::Target;
use super::postgres::PostgresManager;
use super::sqlite::{self, SqliteManager};
use super::{ConfigError, DatabaseConfig, DbError, Dialect, PoolState, Pooling, Row, Transaction, Value};

/// A database and its connections. Clones share them.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    pooling: Pooling,
    statement_timeout: Duration,
    queries: AtomicU64,
}

enum Backend {
    Postgres(Source<PostgresManager>),
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
    /// Connects, and proves it with one real connection, which the pool keeps.
    ///
    /// # Errors
    /// [`OpenError`]; no message holds the password.
    pub async fn connect(config: DatabaseConfig) -> Result<Self, OpenError> {
        let backend = match config.target()? {
            Target::Postgres(postgres) => {
                Backend::Postgres(Source::start(PostgresManager::new(*postgres, &config), &config).await?)
            }
            Target::Sqlite(path) => Backend::Sqlite(Source::start(SqliteManager::new(path, &config), &config).await?),
        };
        let shared = Shared {
            backend,
            pooling: config.pooling,
            statement_timeout: config.statement_timeout,
            queries: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Runs one statement and reads its rows, in one round trip.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        match &self.shared.backend {
            Backend::Postgres(source) => {
                let mut link = open_link(source).await?;
                self.count();
                link.query(sql, params).await
            }
            Backend::Sqlite(source) => {
                let lease = source.checkout().await?;
                self.count();
                let (sql, params) = (sql.to_owned(), params.to_vec());
                let limit = Some(self.shared.statement_timeout);
                sqlite::run(lease, limit, move |connection| sqlite::query(connection, &sql, &params)).await.1
            }
        }
    }

    /// Runs one statement and tells how many rows it changed, in one round trip.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        match &self.shared.backend {
            Backend::Postgres(source) => {
                let mut link = open_link(source).await?;
                self.count();
                link.execute(sql, params).await
            }
            Backend::Sqlite(source) => {
                let lease = source.checkout().await?;
                self.count();
                let (sql, params) = (sql.to_owned(), params.to_vec());
                let limit = Some(self.shared.statement_timeout);
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
        match &self.shared.backend {
            Backend::Postgres(source) => {
                let link = open_link(source).await?;
                Transaction::postgres(self.clone(), link, limit, settings).await
            }
            Backend::Sqlite(source) => {
                let lease = source.checkout().await?;
                Transaction::sqlite(self.clone(), lease, limit).await
            }
        }
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

    /// What the connections are doing.
    #[must_use]
    pub fn state(&self) -> PoolState {
        match &self.shared.backend {
            Backend::Postgres(source) => source.state(),
            Backend::Sqlite(source) => source.state(),
        }
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

/// A connection that the server has not closed meanwhile. Dropping a closed one makes room, so this ends at the latest when all the
/// idle ones have been looked at.
async fn open_link(source: &Source<PostgresManager>) -> Result<Lease<PostgresManager>, DbError> {
    loop {
        let link = source.checkout().await?;
        if !link.is_closed() {
            return Ok(link);
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("dialect", &self.dialect())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
