use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use edge_cache_core::BoxError;
use futures_util::SinkExt;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Liveness;
use super::liveness::Session;
use super::values::{Param, rows, typed};
use crate::database::error::Silent;
use crate::database::{DbError, Row, Unavailable, Value, copy_text};
use crate::work::Work;

/// Bytes of COPY data gathered before they are sent.
const COPY_CHUNK_BYTES: usize = 64 << 10;
/// How long a cancelled statement may take to stop before its connection is dropped as it is.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// A connection and what is going on on it.
pub(crate) struct Link {
    client: Option<Client>,
    tls: MakeRustlsConnect,
    liveness: Liveness,
    session: Session,
    /// A statement was sent and its answer has not been read to the end.
    busy: bool,
    /// Between BEGIN and the end of COMMIT or ROLLBACK.
    pub(crate) in_transaction: bool,
    /// In a transaction whose statements may take as long as they like.
    pub(crate) unlimited: bool,
    /// Not to be used again.
    spent: bool,
    /// How long an answer may take.
    patience: Duration,
    /// Through a pooler, where no server enforces it.
    is_pooled: bool,
    expires: Instant,
    permit: Option<OwnedSemaphorePermit>,
}

/// No answer came in time, not even the server's own refusal.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Stalled(Duration);

/// The statement took longer than it may, by the client's clock.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the statement took longer than {0:?}")]
pub(crate) struct Slow(Duration);

/// Whoever asked does not need the answer any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request's deadline has passed")]
struct Late;

impl Link {
    pub(super) fn new(
        client: Client,
        tls: MakeRustlsConnect,
        (liveness, session): (Liveness, Session),
        (patience, is_pooled): (Duration, bool),
        expires: Instant,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            client: Some(client),
            tls,
            liveness,
            session,
            busy: false,
            in_transaction: false,
            unlimited: false,
            spent: false,
            patience,
            is_pooled,
            expires,
            permit,
        }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("only `abandon` takes the client, and the pool drops the link then")
    }

    /// Whether nothing can be sent on it any more, or should.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed) || self.liveness.is_of_before(&self.session)
    }

    /// Whether nothing is under way, so that a ROLLBACK would be answered at once.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.busy && !self.is_closed()
    }

    /// It is closed when it is given back.
    pub(crate) fn spend(&mut self) {
        self.spent = true;
    }

    /// Whether the next user must not have it. What runs on it is stopped.
    pub(super) fn is_unfit(&mut self) -> bool {
        if self.busy || self.in_transaction {
            self.abandon();
            return true;
        }
        self.spent || self.is_closed()
    }

    /// Whether it has lived long enough.
    pub(super) fn is_aged(&self) -> bool {
        Instant::now() >= self.expires
    }

    /// Stops what runs on the server, then hangs up. The permit goes only when the server has stopped: a pool that opened the
    /// replacement earlier would hold one connection too many. Of a server that is gone nothing is expected.
    fn abandon(&mut self) {
        let (Some(client), Ok(runtime)) = (self.client.take(), Handle::try_current()) else { return };
        let permit = self.permit.take();
        if Liveness::has_lost(&self.session) {
            return;
        }
        let (tls, liveness, session) = (self.tls.clone(), self.liveness.clone(), self.session.clone());
        runtime.spawn(async move {
            let stop = async {
                liveness.cancel(&client.cancel_token(), tls).await?;
                client.simple_query("").await.map_err(BoxError::from)
            };
            tokio::select! {
                stopped = timeout(CANCEL_GRACE, stop) => match stopped {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::debug!(error = &*error, "an abandoned statement was not cancelled cleanly"),
                    Err(_) => tracing::warn!("an abandoned statement did not stop in time"),
                },
                () = liveness.silence(&session) => {}
            }
            drop(client);
            drop(permit);
        });
    }

    /// The answer of `call`, if it comes in time and the server stays. Else the link stays busy, so that the pool drops it.
    async fn bounded<T>(
        &self,
        deadline: Option<Instant>,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<Result<T, tokio_postgres::Error>, DbError> {
        let limit = if self.unlimited { None } else { Some(Instant::now() + self.patience) };
        let (until, is_late) = match (limit, deadline) {
            (Some(limit), Some(deadline)) => (limit.min(deadline), deadline < limit),
            (Some(limit), None) => (limit, false),
            (None, _) => {
                return tokio::select! {
                    biased;
                    answer = call => Ok(answer),
                    () = self.liveness.silence(&self.session) => Err(DbError::unavailable(Unavailable::Broken, Silent)),
                };
            }
        };
        tokio::select! {
            biased;
            answer = call => Ok(answer),
            () = sleep_until(until) => Err(if is_late {
                DbError::Timeout { source: Late.into() }
            } else if self.is_pooled {
                // It was asked meanwhile whether it is there, and is: the statement is slow, and nobody else could tell.
                DbError::Timeout { source: Slow(self.patience).into() }
            } else {
                DbError::unavailable(Unavailable::Stalled, Stalled(self.patience))
            }),
            () = self.liveness.silence(&self.session) => Err(DbError::unavailable(Unavailable::Broken, Silent)),
        }
    }

    pub(super) async fn ping(&self) -> Result<(), tokio_postgres::Error> {
        self.client().simple_query("").await.map(drop)
    }

    pub(crate) async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let params: Vec<Param<'_>> = params.iter().map(Param).collect();
        let typed = typed(&params);
        self.busy = true;
        let answer = self.bounded(deadline(), self.client().query_typed(sql, &typed)).await?;
        self.busy = false;
        rows(&answer?)
    }

    pub(crate) async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        let params: Vec<Param<'_>> = params.iter().map(Param).collect();
        let typed = typed(&params);
        self.busy = true;
        let answer = self.bounded(deadline(), self.client().execute_typed(sql, &typed)).await?;
        self.busy = false;
        Ok(answer?)
    }

    pub(crate) async fn batch(&mut self, sql: &str) -> Result<(), DbError> {
        self.busy = true;
        let answer = self.bounded(deadline(), self.client().batch_execute(sql)).await?;
        self.busy = false;
        Ok(answer?)
    }

    /// Ends the transaction. Its own deadline counts no more: what was asked for is either done or not, and should be known.
    pub(crate) async fn end(&mut self, sql: &str) -> Result<(), DbError> {
        self.busy = true;
        let answer = self.bounded(None, self.client().batch_execute(sql)).await?;
        self.busy = false;
        answer?;
        self.in_transaction = false;
        self.unlimited = false;
        Ok(())
    }

    /// Sends `rows` by COPY in the text format.
    pub(crate) async fn copy(
        &mut self,
        table: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<Value>> + Send,
    ) -> Result<u64, DbError> {
        self.busy = true;
        let sql = format!("COPY {table} ({}) FROM STDIN", columns.join(", "));
        let copied = tokio::select! {
            biased;
            copied = self.copy_all(&sql, rows) => copied,
            () = self.liveness.silence(&self.session) => {
                return Err(DbError::unavailable(Unavailable::Broken, Silent));
            }
        };
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

fn deadline() -> Option<Instant> {
    Work::end()
}
