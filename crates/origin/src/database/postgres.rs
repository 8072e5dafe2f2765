use std::error::Error as StdError;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bb8::ManageConnection;
use bb8_postgres::PostgresConnectionManager;
use bytes::{Bytes, BytesMut};
use edge_cache_core::Timestamp;
use futures_util::SinkExt;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_postgres::config::Host;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

use super::copy_text;
use super::error::ConnectTimeout;
use super::{ConnectError, DatabaseConfig, DbError, Pooling, Row, Unavailable, Value};

/// Bytes of COPY data gathered before they are sent.
const COPY_CHUNK_BYTES: usize = 64 << 10;
/// How long a cancelled statement may take to stop before its connection is dropped as it is.
const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// How much longer than the server's own limit an answer is waited for.
const PATIENCE_BEYOND: Duration = Duration::from_millis(500);

/// bb8-postgres's manager with three things added: a true bound on server connections, a bound on connecting, and statements that
/// nobody waits for any more are cancelled on the server instead of blocking the next user of their connection.
pub(super) struct PostgresManager {
    inner: PostgresConnectionManager<NoTls>,
    place: String,
    connect_timeout: Duration,
    patience: Duration,
    /// One permit for each server connection, held until it is really gone. None: connections are not bounded.
    permits: Option<Arc<Semaphore>>,
}

/// A connection and what is going on on it.
pub(super) struct Link {
    client: Option<Client>,
    /// A statement was sent and its answer has not been read to the end.
    busy: bool,
    /// Between BEGIN and the end of COMMIT or ROLLBACK.
    pub(super) in_transaction: bool,
    /// In a transaction whose statements may take as long as they like.
    pub(super) unlimited: bool,
    /// How long an answer may take. The server's own limit is shorter; this one holds when the server itself does not answer.
    patience: Duration,
    permit: Option<OwnedSemaphorePermit>,
}

impl PostgresManager {
    pub(super) fn new(postgres: tokio_postgres::Config, config: &DatabaseConfig) -> Self {
        let bound = usize::try_from(config.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            place: place(&postgres),
            connect_timeout: config.connect_timeout,
            patience: config.statement_timeout + PATIENCE_BEYOND,
            permits: (config.pooling == Pooling::Pooled).then(|| Arc::new(Semaphore::new(bound))),
            inner: PostgresConnectionManager::new(postgres, NoTls),
        }
    }

    async fn open(&self) -> Result<Link, edge_cache_core::BoxError> {
        let permit = match &self.permits {
            Some(permits) => Some(Arc::clone(permits).acquire_owned().await?),
            None => None,
        };
        let client = self.inner.connect().await?;
        let patience = self.patience;
        Ok(Link { client: Some(client), busy: false, in_transaction: false, unlimited: false, patience, permit })
    }
}

/// No answer came in time, not even the server's own refusal.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Stalled(Duration);

/// The answer of `call`, if it comes within `limit`. Else the link stays busy, so that the pool drops it.
async fn bounded<T>(
    limit: Option<Duration>,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<Result<T, tokio_postgres::Error>, DbError> {
    let Some(limit) = limit else { return Ok(call.await) };
    timeout(limit, call).await.map_err(|_| DbError::unavailable(Unavailable::Broken, Stalled(limit)))
}

/// Where the server is, in words: `postgres at 127.0.0.1:5432, database pitchey`.
fn place(config: &tokio_postgres::Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{} port {port}", path.display()),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("postgres at {}, database {database}", hosts.join(" or "))
}

impl ManageConnection for PostgresManager {
    type Connection = Link;
    type Error = Arc<ConnectError>;

    async fn connect(&self) -> Result<Link, Self::Error> {
        let refuse = |source| Arc::new(ConnectError { place: self.place.clone(), source });
        match timeout(self.connect_timeout, self.open()).await {
            Ok(opened) => opened.map_err(refuse),
            Err(_) => Err(refuse(ConnectTimeout(self.connect_timeout).into())),
        }
    }

    async fn is_valid(&self, link: &mut Link) -> Result<(), Self::Error> {
        let checked = link.client().simple_query("").await;
        checked.map(|_| ()).map_err(|error| Arc::new(ConnectError { place: self.place.clone(), source: error.into() }))
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        if link.busy || link.in_transaction {
            link.abandon();
            return true;
        }
        link.is_closed()
    }
}

impl Link {
    fn client(&self) -> &Client {
        self.client.as_ref().expect("only `abandon` takes the client, and the pool drops the link then")
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Whether nothing is under way, so that a ROLLBACK would be answered at once.
    pub(super) fn is_quiet(&self) -> bool {
        !self.busy && !self.is_closed()
    }

    /// Stops what runs on the server, then hangs up. The permit goes only when the server has stopped: a pool that opened the
    /// replacement earlier would hold one connection too many.
    fn abandon(&mut self) {
        let (Some(client), Ok(runtime)) = (self.client.take(), Handle::try_current()) else { return };
        let permit = self.permit.take();
        runtime.spawn(async move {
            let stop = async {
                client.cancel_token().cancel_query(NoTls).await?;
                client.simple_query("").await
            };
            match timeout(CANCEL_GRACE, stop).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "an abandoned statement was not cancelled cleanly"),
                Err(_) => tracing::warn!("an abandoned statement did not stop in time"),
            }
            drop(client);
            drop(permit);
        });
    }

    fn limit(&self) -> Option<Duration> {
        (!self.unlimited).then_some(self.patience)
    }

    pub(super) async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let params: Vec<Param<'_>> = params.iter().map(Param).collect();
        let typed = typed(&params);
        self.busy = true;
        let answer = bounded(self.limit(), self.client().query_typed(sql, &typed)).await?;
        self.busy = false;
        rows(&answer?)
    }

    pub(super) async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        let params: Vec<Param<'_>> = params.iter().map(Param).collect();
        let typed = typed(&params);
        self.busy = true;
        let answer = bounded(self.limit(), self.client().execute_typed(sql, &typed)).await?;
        self.busy = false;
        Ok(answer?)
    }

    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.busy = true;
        let answer = bounded(self.limit(), self.client().batch_execute(sql)).await?;
        self.busy = false;
        Ok(answer?)
    }

    /// Sends `rows` by COPY in the text format.
    pub(super) async fn copy(
        &mut self,
        table: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<Value>> + Send,
    ) -> Result<u64, DbError> {
        self.busy = true;
        let copied = self.copy_all(&format!("COPY {table} ({}) FROM STDIN", columns.join(", ")), rows).await;
        self.busy = false;
        Ok(copied?)
    }

    async fn copy_all(
        &self,
        sql: &str,
        rows: impl Iterator<Item = Vec<Value>> + Send,
    ) -> Result<u64, tokio_postgres::Error> {
        let mut sink = pin!(self.client().copy_in::<_, Bytes>(sql).await?);
        let mut chunk = BytesMut::with_capacity(COPY_CHUNK_BYTES * 2);
        for row in rows {
            copy_text::encode_row(&row, &mut chunk);
            if chunk.len() >= COPY_CHUNK_BYTES {
                sink.send(chunk.split().freeze()).await?;
            }
        }
        if !chunk.is_empty() {
            sink.send(chunk.freeze()).await?;
        }
        sink.finish().await
    }
}

#[derive(Debug)]
struct Param<'a>(&'a Value);

fn typed<'a>(params: &'a [Param<'a>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params.iter().map(|param| (param as &(dyn ToSql + Sync), param.0.postgres_type())).collect()
}

impl Value {
    fn postgres_type(&self) -> Type {
        match self {
            Value::Null => Type::UNKNOWN,
            Value::Bool(_) => Type::BOOL,
            Value::Int(_) => Type::INT8,
            Value::Float(_) => Type::FLOAT8,
            Value::Text(_) => Type::TEXT,
            Value::Time(_) => Type::TIMESTAMPTZ,
            Value::TextList(_) => Type::TEXT_ARRAY,
            Value::Json(_) => Type::JSONB,
            Value::Bytes(_) => Type::BYTEA,
        }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Bool(truth) => truth.to_sql(ty, out),
            Value::Int(number) => number.to_sql(ty, out),
            Value::Float(number) => number.to_sql(ty, out),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Time(time) => system_time(*time).to_sql(ty, out),
            Value::TextList(list) => list.to_sql(ty, out),
            Value::Json(json) => json.to_sql(ty, out),
            Value::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn system_time(time: Timestamp) -> SystemTime {
    let away = Duration::from_millis(time.as_millis().unsigned_abs());
    match time.as_millis() {
        0.. => SystemTime::UNIX_EPOCH + away,
        _ => SystemTime::UNIX_EPOCH - away,
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timestamp::EPOCH + since,
        Err(before) => Timestamp::EPOCH - before.duration(),
    }
}

fn rows(answer: &[tokio_postgres::Row]) -> Result<Vec<Row>, DbError> {
    let Some(first) = answer.first() else { return Ok(Vec::new()) };
    let columns: Arc<[String]> = first.columns().iter().map(|column| column.name().to_owned()).collect();
    let values = |row| (0..columns.len()).map(|at| value(row, at)).collect::<Result<_, _>>();
    answer.iter().map(|row| values(row).map(|values| Row::new(Arc::clone(&columns), values))).collect()
}

fn value(row: &tokio_postgres::Row, at: usize) -> Result<Value, DbError> {
    let column = &row.columns()[at];
    let value = match *column.type_() {
        Type::BOOL => row.try_get::<_, Option<bool>>(at)?.map(Value::Bool),
        Type::INT2 => row.try_get::<_, Option<i16>>(at)?.map(|number| Value::Int(number.into())),
        Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map(|number| Value::Int(number.into())),
        Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map(Value::Int),
        Type::OID => row.try_get::<_, Option<u32>>(at)?.map(|number| Value::Int(number.into())),
        Type::FLOAT4 => row.try_get::<_, Option<f32>>(at)?.map(|number| Value::Float(number.into())),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(at)?.map(Value::Float),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            row.try_get::<_, Option<String>>(at)?.map(Value::Text)
        }
        Type::TIMESTAMPTZ | Type::TIMESTAMP => {
            row.try_get::<_, Option<SystemTime>>(at)?.map(|time| Value::Time(timestamp(time)))
        }
        Type::TEXT_ARRAY => row.try_get::<_, Option<Vec<String>>>(at)?.map(Value::TextList),
        Type::JSON | Type::JSONB => row.try_get::<_, Option<serde_json::Value>>(at)?.map(Value::Json),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.map(Value::Bytes),
        _ => return Err(DbError::Decode { column: column.name().to_owned(), expected: "of a type that is read here" }),
    };
    Ok(value.unwrap_or(Value::Null))
}
