use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_core::BoxError;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Entry, OutboxConfig, Purges};
use crate::database::{ConfigError, DatabaseConfig, PostgresTarget, Target, add_options};

/// How long the other side may be quiet before it is asked whether it is there.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// How much longer than the server's own limit an answer is waited for.
const PATIENCE_BEYOND: Duration = Duration::from_secs(2);
/// Rows read at a time.
const BATCH: i64 = 500;
/// The lock that one consumer holds: the number only has to be the same everywhere.
const LOCK: i64 = 3_343_222_432;
/// After a wake-up: so that one look finds what several writes left.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// The lag of one that has not looked.
const UNKNOWN: u64 = u64::MAX;
/// After a wake-up others are kept back for this long.
const UNANNOUNCED: Duration = Duration::from_millis(50);
/// How often what is old is deleted.
const TIDY: Duration = Duration::from_secs(10);
/// How often one that stands by tries to take over.
const STAND_BY: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Reads the outbox of a Postgres database, over a connection of its own.
#[derive(Debug)]
pub struct Consumer {
    ways: Vec<Way>,
    connect_timeout: Duration,
    /// How long an answer may take. The server's own limit is shorter.
    patience: Duration,
    config: OutboxConfig,
    progress: Arc<Progress>,
}

/// One way to the database.
struct Way {
    postgres: Config,
    tls: MakeRustlsConnect,
    name: String,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Way {
    /// With settings that poolers refuse: through one that shares a session among clients there is neither a lock nor a notification.
    fn new(target: PostgresTarget) -> Self {
        let PostgresTarget { direct: mut postgres, plain: _, tls, name } = target;
        postgres.application_name("edge-cache outbox").keepalives_idle(QUIET_MAX).tcp_user_timeout(QUIET_MAX);
        // Of a consumer whose machine is gone the server must hear soon too: until then nobody else gets the lock.
        let quiet = QUIET_MAX.as_secs();
        let ours = format!("-c tcp_keepalives_idle={quiet} -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3");
        add_options(&mut postgres, &format!("{ours} -c tcp_user_timeout={}", quiet * 1000));
        Self { postgres, tls, name }
    }
}

/// What a consumer did so far.
#[derive(Debug)]
pub struct Progress {
    leads: AtomicBool,
    lag_millis: AtomicU64,
    done: AtomicU64,
    failures: AtomicU64,
    /// Once it has: who was told before.
    caught_up: OnceLock<Option<String>>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            leads: AtomicBool::new(false),
            lag_millis: AtomicU64::new(UNKNOWN),
            done: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            caught_up: OnceLock::new(),
        }
    }
}

impl Progress {
    /// Whether it is the one that reads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    /// Since the oldest row that is not done was written, at the last look; `None` for one that does not read. Rows that their writers
    /// still mean to purge do not count.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        let lag = self.lag_millis.load(Ordering::Acquire);
        (self.leads() && lag != UNKNOWN).then(|| Duration::from_millis(lag))
    }

    /// Whether everything that was written before this process took over has been purged, and if so, whom the consumer before it had told
    /// ([`Purges::told_to`]); `Some(None)` where there was none.
    #[must_use]
    pub fn caught_up(&self) -> Option<Option<&str>> {
        self.caught_up.get().map(Option::as_deref)
    }

    /// Rows done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Times that it had to begin anew.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// A connection, and the task that drives it.
struct Session {
    client: Client,
    wake: Arc<Notify>,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Consumer {
    /// A consumer of the outbox in the database that `database` names: over the first of its URLs that is no pooler, or over the one that
    /// `config` names.
    ///
    /// # Errors
    /// When that is no Postgres.
    pub fn new(database: &DatabaseConfig, config: OutboxConfig) -> Result<Self, ConfigError> {
        let named = DatabaseConfig { url: config.url.clone(), fallback_urls: Vec::new(), ..database.clone() };
        let chain = if config.url.is_empty() { database } else { &named };
        let mut ways = Vec::new();
        for target in chain.targets()?.0 {
            let Target::Postgres(target) = target else {
                let rule = "must be a Postgres database where outbox.enabled is set";
                return Err(ConfigError::new("url", database.redacted_url(), rule));
            };
            ways.push(Way::new(*target));
        }
        let (connect_timeout, patience) = (database.connect_timeout, database.statement_timeout + PATIENCE_BEYOND);
        Ok(Self { ways, connect_timeout, patience, config, progress: Arc::default() })
    }

    /// What it did so far.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Consumes without end: spawn it, and drop it to stop.
    pub async fn run(self, purges: impl Purges) {
        let mut pause = RETRY_MIN;
        loop {
            let began = Instant::now();
            let Err(error) = self.session(&purges).await;
            self.progress.leads.store(false, Ordering::Release);
            self.progress.lag_millis.store(UNKNOWN, Ordering::Release);
            self.progress.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(error = &*error, "the outbox cannot be consumed: trying again");
            pause = if began.elapsed() > RETRY_MAX { RETRY_MIN } else { (pause * 2).min(RETRY_MAX) };
            sleep(pause).await;
        }
    }

    /// Along the ways, until one leads to a server.
    async fn open(&self) -> Result<Session, BoxError> {
        let mut why = None;
        for way in &self.ways {
            let opened = timeout(self.connect_timeout, async {
                let session = Session::open(way).await?;
                Ok(session.is_on_primary().await?.then_some(session))
            });
            let error: BoxError = match opened.await {
                Ok(Ok(Some(session))) => return Ok(session),
                Ok(Ok(None)) => "the server is a standby".into(),
                Ok(Err::<_, tokio_postgres::Error>(error)) => error.into(),
                Err(elapsed) => elapsed.into(),
            };
            tracing::debug!(way = way.name, error = &*error, "no way to the outbox");
            why.get_or_insert(error);
        }
        Err(why.unwrap_or_else(|| "there is no way to the database".into()))
    }

    async fn session(&self, purges: &impl Purges) -> Result<std::convert::Infallible, BoxError> {
        let session = self.open().await?;
        while !timeout(self.patience, session.take_lock()).await?? {
            sleep(STAND_BY).await;
        }
        self.progress.leads.store(true, Ordering::Release);
        timeout(self.patience, session.client.batch_execute("LISTEN edge_cache_outbox")).await??;
        let (mut tidied, began) = (Instant::now(), Instant::now());
        let mut told_before = None;
        loop {
            let overdue = began.elapsed() > self.config.grace;
            let read = self.look(&session, purges, &mut told_before).await?;
            if let Some(before) = &told_before
                && read < BATCH
                && self.progress.caught_up.get().is_none()
                && (overdue || timeout(self.patience, session.is_empty()).await??)
            {
                // Whoever wrote before, and promised to purge by himself, has had his time.
                drop(self.progress.caught_up.set(before.clone()));
            }
            if tidied.elapsed() > TIDY {
                timeout(self.patience, session.tidy(self.config.keep)).await??;
                tidied = Instant::now();
            }
            // Who writes soon after another sends no wake-up.
            let pause = if read == 0 { self.config.poll } else { self.config.poll.min(UNANNOUNCED) };
            if read < BATCH && timeout(pause, session.wake.notified()).await.is_ok() {
                sleep(DEBOUNCE).await;
            }
        }
    }

    /// Purges what is not done. Tells how many rows were read; the first time also who was told before.
    async fn look(
        &self,
        session: &Session,
        purges: &impl Purges,
        told_before: &mut Option<Option<String>>,
    ) -> Result<i64, BoxError> {
        let told_to = purges.told_to();
        if let Some(told_to) = &told_to {
            let before = timeout(self.patience, session.again_if_lost(told_to, self.config.keep)).await??;
            told_before.get_or_insert(before);
        }
        let (entries, lag) = timeout(self.patience, session.open_entries(self.config.grace)).await??;
        self.progress.lag_millis.store(lag, Ordering::Release);
        if told_to.is_none() {
            // Nobody could be told for certain.
            return Ok(0);
        }
        if entries.is_empty() {
            return Ok(0);
        }
        purges.purge(&entries).await?;
        let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
        let done = "UPDATE edge_cache.outbox SET done_at = now() WHERE id = ANY($1)";
        timeout(self.patience, session.client.execute(done, &[&ids])).await??;
        self.progress.done.fetch_add(ids.len() as u64, Ordering::Relaxed);
        Ok(i64::try_from(ids.len()).unwrap_or(BATCH))
    }
}

impl Session {
    #[expect(
        clippy::disallowed_methods,
        reason = "notifications cannot come through a pool; it is counted among its connections"
    )]
    async fn open(way: &Way) -> Result<Self, tokio_postgres::Error> {
        let (client, mut connection) = way.postgres.connect(way.tls.clone()).await?;
        let wake = Arc::new(Notify::new());
        let driver = tokio::spawn({
            let wake = Arc::clone(&wake);
            async move {
                while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                    match message {
                        Ok(AsyncMessage::Notification(_)) => wake.notify_one(),
                        Ok(_) => {}
                        // The next statement fails, and says why.
                        Err(_) => break,
                    }
                }
                wake.notify_one();
            }
        });
        Ok(Self { client, wake, driver })
    }

    /// Whether it leads to a primary: on a standby nothing can be marked as done.
    async fn is_on_primary(&self) -> Result<bool, tokio_postgres::Error> {
        self.client.query_one("SELECT NOT pg_is_in_recovery()", &[]).await?.try_get(0)
    }

    async fn take_lock(&self) -> Result<bool, tokio_postgres::Error> {
        self.client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?.try_get(0)
    }

    /// Whether nothing is left to be done.
    async fn is_empty(&self) -> Result<bool, tokio_postgres::Error> {
        let sql = "SELECT NOT EXISTS (SELECT FROM edge_cache.outbox WHERE done_at IS NULL)";
        self.client.query_one(sql, &[]).await?.try_get(0)
    }

    /// Makes what was done of late not done, if whoever was told has lost it. Tells who that was.
    async fn again_if_lost(&self, told_to: &str, keep: Duration) -> Result<Option<String>, tokio_postgres::Error> {
        let sql = "SELECT value FROM edge_cache.state WHERE name = 'incarnation'";
        let known: Option<String> = self.client.query_opt(sql, &[]).await?.map(|row| row.try_get(0)).transpose()?;
        if known.as_deref() == Some(told_to) {
            return Ok(known);
        }
        // In one statement, so that whoever dies in between leaves both for the next.
        let sql = "WITH lost AS (UPDATE edge_cache.outbox SET done_at = NULL \
                       WHERE $2 AND done_at > now() - $3::bigint * interval '1 millisecond') \
                   INSERT INTO edge_cache.state (name, value) VALUES ('incarnation', $1) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.client.execute(sql, &[&told_to, &known.is_some(), &millis(keep)]).await?;
        Ok(known)
    }

    /// What is not done, and the age of the oldest in milliseconds.
    async fn open_entries(&self, grace: Duration) -> Result<(Vec<Entry>, u64), tokio_postgres::Error> {
        let sql = "SELECT id, kind, tags, actor, reason, \
                       (extract(epoch FROM clock_timestamp() - created_at) * 1000)::bigint AS age \
                   FROM edge_cache.outbox WHERE done_at IS NULL \
                       AND (writer IS NULL OR created_at < clock_timestamp() - $1::bigint * interval '1 millisecond') \
                   ORDER BY id LIMIT $2";
        let rows = self.client.query(sql, &[&millis(grace), &BATCH]).await?;
        let mut oldest = 0;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            oldest = oldest.max(row.try_get::<_, i64>("age")?);
            entries.push(Entry {
                id: row.try_get("id")?,
                hard: row.try_get::<_, &str>("kind")? == "hard",
                tags: row.try_get("tags")?,
                actor: row.try_get("actor")?,
                reason: row.try_get("reason")?,
            });
        }
        Ok((entries, u64::try_from(oldest).unwrap_or(0)))
    }

    async fn tidy(&self, keep: Duration) -> Result<(), tokio_postgres::Error> {
        let sql = "DELETE FROM edge_cache.outbox WHERE done_at < now() - $1::bigint * interval '1 millisecond'";
        self.client.execute(sql, &[&millis(keep)]).await.map(drop)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
