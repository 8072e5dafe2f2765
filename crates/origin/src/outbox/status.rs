use super::{INSTALL, UNINSTALL};
use crate::database::{Database, DbError, Value};

/// What an outbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Rows that wait to be purged.
    pub open: i64,
    /// Seconds since the oldest of them was written.
    pub oldest_seconds: i64,
    /// Rows that are done and kept for a while.
    pub done: i64,
}

/// Makes the outbox in a Postgres database, or leaves it as it is.
///
/// # Errors
/// See [`DbError`]; nothing is changed then.
pub async fn install(database: &Database) -> Result<(), DbError> {
    database.batch(INSTALL).await
}

/// Removes the outbox, with what is open in it.
///
/// # Errors
/// See [`DbError`]: triggers that still write to it. Nothing is changed then.
pub async fn uninstall(database: &Database) -> Result<(), DbError> {
    database.batch(UNINSTALL).await
}

/// Whether the outbox is there.
///
/// # Errors
/// See [`DbError`].
pub async fn is_installed(database: &Database) -> Result<bool, DbError> {
    let sql =
        "SELECT to_regclass('edge_cache.outbox') IS NOT NULL AND to_regclass('edge_cache.state') IS NOT NULL AS there";
    let rows = database.query(sql, &[]).await?;
    rows.first().map_or(Ok(false), |row| row.bool("there"))
}

/// What the outbox holds; `None` if there is none.
///
/// # Errors
/// See [`DbError`].
pub async fn status(database: &Database) -> Result<Option<OutboxStatus>, DbError> {
    if !is_installed(database).await? {
        return Ok(None);
    }
    let sql = "SELECT count(*) FILTER (WHERE done_at IS NULL) AS open, \
                   coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE done_at IS NULL)), 0)::bigint AS oldest, \
                   count(*) FILTER (WHERE done_at IS NOT NULL) AS done FROM edge_cache.outbox";
    let rows = database.query(sql, &[]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(OutboxStatus { open: row.int("open")?, oldest_seconds: row.int("oldest")?, done: row.int("done")? }))
}

/// Marks as done what the write handler `writer` has purged by itself, so that the late copy does not take what was read since.
///
/// # Errors
/// See [`DbError`]: it is purged once more then.
pub async fn done_by(database: &Database, writer: &str) -> Result<(), DbError> {
    let sql = "UPDATE edge_cache.outbox SET done_at = now() WHERE done_at IS NULL AND writer = $1";
    database.execute(sql, &[Value::Text(writer.to_owned())]).await.map(drop)
}
