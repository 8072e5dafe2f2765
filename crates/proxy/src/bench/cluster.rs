//! The private database server: seeded once, copied for each mode, and watched.

use std::time::Duration;

use anyhow::Context;
use edge_cache_core::{Clock, SystemClock};
use edge_cache_origin::database::{Database, DatabaseConfig, Value};
use edge_cache_pitchey::{SeedOptions, Seeded};
use edge_cache_sandbox::{Mode as StopMode, Postgres};

use super::args::Args;

/// Copying or vacuuming a large database takes its time.
const STATEMENT: Duration = Duration::from_secs(600);

/// A private Postgres with the seeded data as a template.
#[derive(Debug)]
pub(crate) struct Cluster {
    postgres: Postgres,
    /// The only connection that is not the server's; to another database, so that it is never counted.
    watcher: Database,
}

impl Cluster {
    /// Starts the server and seeds it.
    ///
    /// # Errors
    /// When Postgres is not installed or does not start, or seeding fails.
    pub(crate) async fn start(args: &Args) -> anyhow::Result<(Self, Seeded)> {
        let connections = u16::try_from(args.max_connections).context("--max-connections is too large")?;
        let postgres =
            Postgres::builder().max_connections(connections).setting("shared_buffers", "256MB").start().await?;
        let seeded = seed(postgres.url(), args).await?;
        let watcher = connect(&sibling(postgres.url(), "postgres"), 1).await?;
        Ok((Self { postgres, watcher }, seeded))
    }

    /// Makes a fresh copy of the seeded database; its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn copy(&self, name: &str) -> anyhow::Result<String> {
        let template = self.postgres.url().rsplit('/').next().unwrap_or_default();
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        self.watcher.execute(&sql, &[]).await.with_context(|| format!("the database {name} cannot be created"))?;
        Ok(sibling(self.postgres.url(), name))
    }

    /// Drops a copy, whoever is still connected to it.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn drop_copy(&self, name: &str) -> anyhow::Result<()> {
        let sql = format!("DROP DATABASE {name} WITH (FORCE)");
        self.watcher.execute(&sql, &[]).await.with_context(|| format!("the database {name} cannot be dropped"))?;
        Ok(())
    }

    /// Client connections to a database at this moment.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn connections(&self, name: &str) -> anyhow::Result<u64> {
        const SQL: &str =
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'";
        self.number(SQL, name).await
    }

    /// Transactions in a database so far, as the server's statistics have them: up to a second late.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn transactions(&self, name: &str) -> anyhow::Result<u64> {
        const SQL: &str = "SELECT xact_commit + xact_rollback AS n FROM pg_stat_database WHERE datname = $1";
        self.number(SQL, name).await
    }

    /// Processor time of all the server's processes so far, those that have ended included.
    pub(crate) fn cpu_time(&self) -> Duration {
        self.postgres.cpu_time()
    }

    /// Stops the server.
    ///
    /// # Errors
    /// When it does not stop.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        drop(self.watcher);
        Ok(self.postgres.stop(StopMode::Fast).await?)
    }

    async fn number(&self, sql: &str, name: &str) -> anyhow::Result<u64> {
        let rows = self.watcher.query(sql, &[Value::Text(name.to_owned())]).await?;
        let row = rows.first().context("the statistics have no row for the database")?;
        Ok(u64::try_from(row.int("n")?)?)
    }
}

async fn seed(url: &str, args: &Args) -> anyhow::Result<Seeded> {
    let database = connect(url, 10).await?;
    let now = SystemClock.now();
    edge_cache_pitchey::migrate(&database, now).await.context("the migrations failed")?;
    let options = SeedOptions { pitches: args.pitches, seed: args.seed };
    let seeded = edge_cache_pitchey::seed(&database, options, now).await.context("seeding failed")?;
    // The copies start with statistics and visibility maps, as a database that has run for a while has them.
    database.execute("VACUUM ANALYZE", &[]).await.context("vacuuming failed")?;
    Ok(seeded)
}

async fn connect(url: &str, connections_max: u32) -> anyhow::Result<Database> {
    let acquire_timeout = Duration::from_secs(60);
    let config = DatabaseConfig {
        url: url.to_owned(),
        connections_max,
        acquire_timeout,
        statement_timeout: STATEMENT,
        ..DatabaseConfig::default()
    };
    Ok(Database::connect(config).await?)
}

/// The same server's URL for another database.
fn sibling(url: &str, name: &str) -> String {
    let server = url.rsplit_once('/').map_or(url, |(server, _)| server);
    format!("{server}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_differs_in_the_name_alone() {
        assert_eq!(sibling("postgres://postgres@127.0.0.1:5/pitchey", "x"), "postgres://postgres@127.0.0.1:5/x");
    }
}
