//! Writes that pass the handlers by: triggers leave in the outbox what a row that changed makes stale.
//!
//! A handler names in its answer what it made stale, and the cache purges that before the client has the answer. The triggers do not know
//! that, so the transaction of a handler says who it is: the consumer leaves its rows alone for a while, and whoever purged marks them done.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use edge_cache_origin::database::{Database, DbError};
use tokio::task_local;

use crate::app::App;

/// SQL that makes the triggers.
pub const TRIGGERS: &str = include_str!("../migrations/triggers.postgres.sql");
/// SQL that removes them.
pub const NO_TRIGGERS: &str = include_str!("../migrations/triggers_drop.postgres.sql");
/// Triggers that [`TRIGGERS`] makes.
const TRIGGER_COUNT: i64 = 22;

task_local! {
    /// Who the transactions of this request are.
    static WRITER: String;
}

/// Who wrote (response extension): what its transactions left in the outbox is done as soon as the cache has purged what the answer names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer(pub String);

/// Makes the triggers that leave in the outbox what a row that changed makes stale. The outbox must be there, and the tables.
///
/// # Errors
/// See [`DbError`]; nothing is changed then.
pub async fn install_triggers(db: &Database) -> Result<(), DbError> {
    if count(db).await? == TRIGGER_COUNT {
        // To make them again would wait for every write that runs.
        return Ok(());
    }
    db.batch(TRIGGERS).await
}

/// Removes them.
///
/// # Errors
/// See [`DbError`]; nothing is changed then.
pub async fn drop_triggers(db: &Database) -> Result<(), DbError> {
    db.batch(NO_TRIGGERS).await
}

async fn count(db: &Database) -> Result<i64, DbError> {
    let sql = "SELECT count(*) AS n FROM pg_catalog.pg_trigger \
               WHERE NOT tgisinternal AND tgname LIKE 'pitchey\\_%' AND tgrelid = ANY( \
                   SELECT to_regclass(name) FROM unnest(ARRAY['pitches', 'users', 'pitch_characters', \
                       'pitch_documents', 'content_items', 'ndas']) AS name)";
    db.query(sql, &[]).await?.first().map_or(Ok(0), |row| row.int("n"))
}

/// Gives a write a name of its own.
pub(crate) async fn name(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.options.outbox || request.method().is_safe() {
        return next.run(request).await;
    }
    let writer = format!("{:032x}", rand::random::<u128>());
    let mut response = WRITER.scope(writer.clone(), next.run(request)).await;
    response.extensions_mut().insert(Writer(writer));
    response
}

/// What a transaction of this request says of itself; empty for nothing.
pub(crate) fn settings() -> String {
    // The name is of our making: letters and digits.
    WRITER.try_with(|writer| format!("SET LOCAL edge_cache.writer = '{writer}'")).unwrap_or_default()
}
