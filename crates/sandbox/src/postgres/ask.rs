//! Questions to a private Postgres over a connection of their own.

use crate::Error;
use std::{os::unix::ffi::OsStrExt, path::Path, time::Duration};
use tokio::{runtime, time::timeout};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// For one connection that asks whether the server is there; a local server needs a fraction.
const PROBE: Duration = Duration::from_secs(2);

/// Whether the server on `port` works on the folder `data`: another may have had the port first.
pub(super) fn is_ready(port: u16, data: &Path) -> bool {
    on_own_runtime(async {
        let asked = timeout(PROBE, async {
            let client = connect(port, "postgres").await?;
            let row = client.query_one("SELECT current_setting('data_directory')", &[]).await?;
            row.try_get::<_, String>(0).map_err(Error::from)
        });
        Ok(asked.await.is_ok_and(|answer| answer.is_ok_and(|folder| folder.as_bytes() == data.as_os_str().as_bytes())))
    })
    .unwrap_or(false)
}

/// Whether the PgBouncer on `port` was started with this file.
pub(crate) fn is_pooler(port: u16, file: &Path) -> bool {
    on_own_runtime(async {
        let asked = timeout(PROBE, async {
            let client = connect(port, "pgbouncer").await?;
            Ok::<_, Error>(client.simple_query("SHOW CONFIG").await?)
        });
        let is_ours = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                row.get(0) == Some("conffile")
                    && row.get(1).is_some_and(|value| value.as_bytes() == file.as_os_str().as_bytes())
            }
            _ => false,
        };
        Ok(asked.await.is_ok_and(|answer| answer.is_ok_and(|messages| messages.iter().any(is_ours))))
    })
    .unwrap_or(false)
}

/// Creates an empty database; `name` needs no quoting beyond its case.
pub(super) fn create_database(port: u16, name: &str) -> Result<(), Error> {
    on_own_runtime(async {
        let client = connect(port, "postgres").await?;
        client.batch_execute(&format!("CREATE DATABASE \"{name}\"")).await?;
        Ok(())
    })
}

/// Whether the standby on `port` has become a primary within `patience`.
pub(super) fn promote(port: u16, patience: Duration) -> Result<bool, Error> {
    on_own_runtime(async {
        let asked = timeout(patience, async {
            let client = connect(port, "postgres").await?;
            let row = client.query_one("SELECT pg_promote()", &[]).await?;
            row.try_get(0).map_err(Error::from)
        });
        asked.await.unwrap_or(Ok(false))
    })
}

/// The caller's runtime may be shutting down or have its clock paused; this one lives as long as
/// the question.
fn on_own_runtime<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    runtime::Builder::new_current_thread().enable_all().build().map_err(Error::io("start a runtime"))?.block_on(work)
}

#[expect(clippy::disallowed_methods, reason = "a server of our own, before any pool exists")]
async fn connect(port: u16, database: &str) -> Result<Client, Error> {
    let (client, connection) = Config::new()
        .host("127.0.0.1")
        .port(port)
        .user("postgres")
        .dbname(database)
        .connect_timeout(PROBE)
        .connect(NoTls)
        .await?;
    // An error of the connection reaches the client's own calls.
    tokio::spawn(connection);
    Ok(client)
}
