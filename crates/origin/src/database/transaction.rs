use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use super::checkout::Lease;
use super::endpoint::Lent;
use super::sqlite::{self, SqliteManager};
use super::{Database, DbError, Dialect, Row, Unavailable, Value};
use crate::permits::Permit;

/// How long a dropped transaction may take to roll back before its connection is closed instead.
const ROLLBACK_GRACE: Duration = Duration::from_secs(1);

/// A transaction. Dropped without [`commit`](Self::commit) it changes nothing, and its connection is rolled back or closed before anyone
/// else gets it.
pub struct Transaction {
    database: Database,
    limit: Option<Duration>,
    connection: Connection,
    /// Given back last, when the connection is.
    permit: Option<Permit>,
}

enum Connection {
    Postgres(Option<Lent>),
    Sqlite(Option<Lease<SqliteManager>>),
}

/// The connection went with a statement that panicked or was left in the middle.
fn gone() -> DbError {
    DbError::Unavailable { reason: Unavailable::Broken, source: None }
}

impl Transaction {
    /// A transaction that has begun on `link`.
    pub(super) fn postgres(database: Database, link: Lent, limit: Option<Duration>, permit: Option<Permit>) -> Self {
        Self { database, limit, connection: Connection::Postgres(Some(link)), permit }
    }

    pub(super) async fn sqlite(
        database: Database,
        lease: Lease<SqliteManager>,
        limit: Option<Duration>,
        permit: Option<Permit>,
    ) -> Result<Self, DbError> {
        let mut tx = Self { database, limit, connection: Connection::Sqlite(Some(lease)), permit };
        tx.batch("BEGIN IMMEDIATE").await?;
        Ok(tx)
    }

    /// The SQL that the database speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.database.dialect()
    }

    /// Runs one statement and reads its rows.
    ///
    /// # Errors
    /// See [`DbError`]. On Postgres every later statement fails as well.
    pub async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.database.count();
        match &mut self.connection {
            Connection::Postgres(link) => link.as_mut().ok_or_else(gone)?.query(sql, params).await,
            Connection::Sqlite(lease) => {
                let (sql, params) = (sql.to_owned(), params.to_vec());
                on_sqlite(lease, self.limit, move |connection| sqlite::query(connection, &sql, &params)).await
            }
        }
    }

    /// Runs one statement and tells how many rows it changed.
    ///
    /// # Errors
    /// See [`DbError`]. On Postgres every later statement fails as well.
    pub async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        self.database.count();
        match &mut self.connection {
            Connection::Postgres(link) => link.as_mut().ok_or_else(gone)?.execute(sql, params).await,
            Connection::Sqlite(lease) => {
                let (sql, params) = (sql.to_owned(), params.to_vec());
                on_sqlite(lease, self.limit, move |connection| sqlite::execute(connection, &sql, &params)).await
            }
        }
    }

    /// Runs several statements parted by `;`, without parameters.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.database.count();
        match &mut self.connection {
            Connection::Postgres(link) => link.as_mut().ok_or_else(gone)?.batch(sql).await,
            Connection::Sqlite(lease) => {
                let sql = sql.to_owned();
                on_sqlite(lease, self.limit, move |connection| connection.execute_batch(&sql)).await
            }
        }
    }

    /// Inserts `rows` into `columns` of `table` and tells how many: by COPY on Postgres, with one prepared statement on SQLite.
    ///
    /// # Errors
    /// See [`DbError`].
    pub async fn insert_rows(
        &mut self,
        table: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<Value>> + Send + 'static,
    ) -> Result<u64, DbError> {
        self.database.count();
        match &mut self.connection {
            Connection::Postgres(link) => link.as_mut().ok_or_else(gone)?.copy(table, columns, rows).await,
            Connection::Sqlite(lease) => {
                let places: Vec<String> = (1..=columns.len()).map(|at| format!("${at}")).collect();
                let sql = format!("INSERT INTO {table} ({}) VALUES ({})", columns.join(", "), places.join(", "));
                on_sqlite(lease, self.limit, move |connection| sqlite::insert(connection, &sql, rows)).await
            }
        }
    }

    /// Makes it all lasting.
    ///
    /// # Errors
    /// See [`DbError`]. After [`DbError::Unavailable`] it is not known whether it is lasting.
    pub async fn commit(mut self) -> Result<(), DbError> {
        self.end("COMMIT").await
    }

    /// Undoes it all, and keeps the connection.
    ///
    /// # Errors
    /// See [`DbError`]; it is undone all the same.
    pub async fn rollback(mut self) -> Result<(), DbError> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, sql: &str) -> Result<(), DbError> {
        match &mut self.connection {
            Connection::Postgres(link) => {
                self.database.count();
                let ended = link.as_mut().ok_or_else(gone)?.end(sql).await;
                self.database.wrote();
                ended
            }
            Connection::Sqlite(_) => self.batch(sql).await,
        }
    }
}

async fn on_sqlite<T: Send + 'static>(
    slot: &mut Option<Lease<SqliteManager>>,
    limit: Option<Duration>,
    work: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, DbError> {
    let lease = slot.take().ok_or_else(gone)?;
    let (lease, result) = sqlite::run(lease, limit, work).await;
    *slot = lease;
    result
}

impl Drop for Transaction {
    /// A SQLite connection is closed by its pool when it is still in a transaction, and so is a Postgres connection in the middle of a
    /// statement. One that is quiet is worth the round trip that saves it: handlers leave on every rule that a caller breaks.
    fn drop(&mut self) {
        let Connection::Postgres(slot) = &mut self.connection else { return };
        let Some(mut link) = slot.take().filter(|link| link.in_transaction && link.is_quiet()) else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let permit = self.permit.take();
        runtime.spawn(async move {
            let _permit = permit;
            // Else the pool sees that it is still in a transaction, and closes it.
            drop(timeout(ROLLBACK_GRACE, link.end("ROLLBACK")).await);
        });
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("database", &self.database).finish_non_exhaustive()
    }
}
