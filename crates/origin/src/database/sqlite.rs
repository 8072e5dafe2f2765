use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bb8::ManageConnection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, InterruptHandle, Statement, ToSql};
use tokio::task::spawn_blocking;

use super::checkout::Lease;
use super::{ConnectError, DatabaseConfig, DbError, Row, Unavailable, Value};

/// Statements that each connection keeps prepared.
const STATEMENTS_KEPT: usize = 128;

/// Opens one SQLite file.
pub(super) struct SqliteManager {
    path: PathBuf,
    busy_timeout: Duration,
}

impl SqliteManager {
    pub(super) fn new(path: PathBuf, config: &DatabaseConfig) -> Self {
        Self { path, busy_timeout: config.statement_timeout }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens SQLite files")]
fn open(path: &std::path::Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(busy_timeout)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

impl ManageConnection for SqliteManager {
    type Connection = Connection;
    type Error = Arc<ConnectError>;

    async fn connect(&self) -> Result<Connection, Self::Error> {
        let refuse = |source| Arc::new(ConnectError { place: format!("sqlite file {}", self.path.display()), source });
        let (path, busy_timeout) = (self.path.clone(), self.busy_timeout);
        match spawn_blocking(move || open(&path, busy_timeout)).await {
            Ok(opened) => opened.map_err(|error| refuse(error.into())),
            Err(error) => Err(refuse(error.into())),
        }
    }

    async fn is_valid(&self, _: &mut Connection) -> Result<(), Self::Error> {
        Ok(())
    }

    /// A transaction that nobody ended goes with its connection.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.is_autocommit()
    }
}

/// Interrupts the statement unless it is done. The lock keeps an interrupt from hitting the connection's next user.
struct Interrupter {
    handle: InterruptHandle,
    done: Arc<Mutex<bool>>,
}

impl Interrupter {
    fn interrupt(&self) {
        let done = self.done.lock().expect("no holder of this lock panics");
        if !*done {
            self.handle.interrupt();
        }
    }
}

impl Drop for Interrupter {
    fn drop(&mut self) {
        self.interrupt();
    }
}

/// Runs `work` on a thread that may block. Past `limit`, or when the caller leaves, the statement is interrupted. The connection comes
/// back unless the work panicked.
pub(super) async fn run<T: Send + 'static>(
    mut lease: Lease<SqliteManager>,
    limit: Option<Duration>,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
) -> (Option<Lease<SqliteManager>>, Result<T, DbError>) {
    let done = Arc::new(Mutex::new(false));
    let interrupter = Interrupter { handle: lease.get_interrupt_handle(), done: Arc::clone(&done) };
    let mut running = spawn_blocking(move || {
        let result = work(&mut lease);
        *done.lock().expect("no holder of this lock panics") = true;
        (lease, result)
    });
    let finished = match limit {
        None => running.await,
        Some(limit) => match tokio::time::timeout(limit, &mut running).await {
            Ok(finished) => finished,
            Err(_) => {
                interrupter.interrupt();
                running.await
            }
        },
    };
    match finished {
        Ok((lease, result)) => (Some(lease), result.map_err(DbError::from)),
        Err(error) => (None, Err(DbError::unavailable(Unavailable::Broken, error))),
    }
}

pub(super) fn query(connection: &Connection, sql: &str, params: &[Value]) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
    let mut answer = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = answer.next()? {
        let values = (0..columns.len()).map(|at| row.get_ref(at).map(value)).collect::<Result<_, _>>()?;
        rows.push(Row::new(Arc::clone(&columns), values));
    }
    Ok(rows)
}

pub(super) fn execute(connection: &Connection, sql: &str, params: &[Value]) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, params)?;
    let changed = statement.raw_execute()?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

/// Inserts `rows` one by one with one statement; the caller has a transaction open.
pub(super) fn insert(
    connection: &Connection,
    sql: &str,
    rows: impl Iterator<Item = Vec<Value>>,
) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut count = 0;
    for row in rows {
        bind(&mut statement, &row)?;
        statement.raw_execute()?;
        count += 1;
    }
    Ok(count)
}

/// Binds by name, since SQLite numbers `$2` by where it first stands and not by its digits.
fn bind(statement: &mut Statement<'_>, params: &[Value]) -> rusqlite::Result<()> {
    for (at, param) in params.iter().enumerate() {
        if let Some(index) = statement.parameter_index(&format!("${}", at + 1))? {
            statement.raw_bind_parameter(index, param)?;
        }
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(truth) => ToSqlOutput::Borrowed(ValueRef::Integer((*truth).into())),
            Value::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Value::Float(number) => ToSqlOutput::Borrowed(ValueRef::Real(*number)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Time(time) => ToSqlOutput::Borrowed(ValueRef::Integer(time.as_millis().saturating_mul(1000))),
            Value::TextList(list) => ToSqlOutput::from(serde_json::Value::from(list.clone()).to_string()),
            Value::Json(json) => ToSqlOutput::from(json.to_string()),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Real(number) => Value::Float(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}
