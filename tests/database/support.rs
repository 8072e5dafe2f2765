use std::time::Duration;

use edge_cache_origin::database::{Database, DatabaseConfig, DbError};
use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Fault, PATIENCE};
use tokio::time::timeout;

/// Longer than any test may take: what ends sooner ended for another reason.
pub(crate) const FOREVER: Duration = Duration::from_secs(3600);

/// How long a connection may take, and twice as long as a way may be silent: here a busy machine must not decide, and yet some tests wait for it to be over.
const ACQUIRE: Duration = Duration::from_secs(3);

pub(crate) fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.to_owned(),
        acquire_timeout: ACQUIRE,
        queue_timeout: PATIENCE,
        statement_timeout: FOREVER,
        ..DatabaseConfig::default()
    }
}

/// The URL of `postgres` by way of `fault`.
pub(crate) fn by_way_of(fault: &Fault, postgres: &Postgres) -> String {
    postgres.url().replace(&format!(":{}/", postgres.port()), &format!(":{}/", fault.address.port()))
}

pub(crate) async fn open(config: DatabaseConfig) -> Database {
    Database::connect(config).await.unwrap()
}

/// Reads a number, in time.
pub(crate) async fn one(db: &Database) -> Result<i64, DbError> {
    let read = timeout(PATIENCE, db.query("SELECT CAST(1 AS bigint) AS one", &[])).await;
    read.expect("an answer or an error")?[0].int("one")
}

/// Statements that the server runs which contain `text`, but this one.
pub(crate) async fn running(watcher: &Database, text: &str) -> i64 {
    let sql = "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%' || $1 || '%' \
               AND pid <> pg_backend_pid()";
    watcher.query(sql, &[text.into()]).await.unwrap()[0].int("n").unwrap()
}
