//! The private database server: seeded once, copied for each mode, and watched.

use std::time::Duration;

use anyhow::Context;
use edge_cache_core::{Clock, SystemClock};
use edge_cache_origin::database::{Database, DatabaseConfig, Value};
use edge_cache_pitchey::{SeedOptions, Seeded};
use edge_cache_sandbox::{Mode as StopMode, Postgres};

use super::catalogue::Catalogue;
use super::learn;
use super::mode::Mode;
use super::server::Server;

/// Copying or vacuuming a large database takes its time.
const STATEMENT: Duration = Duration::from_secs(600);

/// The data that a run is about, and the server that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    /// Pitches to seed.
    pub(crate) pitches: u32,
    pub(crate) seed: u64,
    /// `max_connections` of the server.
    pub(crate) max_connections: u32,
}

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
    pub(crate) async fn start(data: Data) -> anyhow::Result<(Self, Seeded)> {
        let connections = u16::try_from(data.max_connections).context("--max-connections is too large")?;
        let postgres =
            Postgres::builder().max_connections(connections).setting("shared_buffers", "256MB").start().await?;
        let seeded = seed(postgres.url(), data).await?;
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

    /// What the data holds, learnt from a server of its own, so that no measured one has answered before.
    ///
    /// # Errors
    /// When the server fails or the data holds nothing to ask for.
    pub(crate) async fn catalogue(&self, seeded: &Seeded) -> anyhow::Result<Catalogue> {
        const NAME: &str = "bench_learn";
        let tokens = learn::tokens(seeded.tokens.iter().map(|(kind, token)| (&**kind, &**token)))?;
        let url = self.copy(NAME).await?;
        let server = Server::start(Mode::Pooled, &url, "").await?;
        let catalogue = learn::learn(server.address, tokens).await?;
        server.stop().await?;
        self.drop_copy(NAME).await?;
        Ok(catalogue)
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

    /// Puts on disk what is committed: the server's commits do not wait for the disk, and it is about to be killed.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn checkpoint(&self) -> anyhow::Result<()> {
        self.watcher.execute("CHECKPOINT", &[]).await.context("no checkpoint")?;
        Ok(())
    }

    /// Kills every process of the server.
    ///
    /// # Errors
    /// When they do not end.
    pub(crate) async fn kill(&self) -> anyhow::Result<()> {
        Ok(self.postgres.stop(StopMode::Kill).await?)
    }

    /// Starts it again on its port with its data, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn restart(&self) -> anyhow::Result<()> {
        Ok(self.postgres.restart().await?)
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.postgres.port()
    }

    /// How often it has logged that it refused a client because all connections were taken.
    pub(crate) fn refusals(&self) -> u64 {
        // The second where only those for superusers are left.
        const SAYS: [&str; 2] = ["too many clients already", "remaining connection slots"];
        let log = self.postgres.log();
        log.lines().filter(|line| SAYS.iter().any(|words| line.contains(words))).count() as u64
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

async fn seed(url: &str, data: Data) -> anyhow::Result<Seeded> {
    let database = connect(url, 10).await?;
    let now = SystemClock.now();
    edge_cache_pitchey::migrate(&database, now).await.context("the migrations failed")?;
    let options = SeedOptions { pitches: data.pitches, seed: data.seed };
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
