//! What is broken on purpose, and how it is mended.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use edge_cache_sandbox::Redis;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use tokio::time::{Instant, sleep_until};

use super::phases::{Schedule, Times};
use super::way::Way;
use crate::load::client::Client;
use crate::load::cluster::Cluster;

/// How late a slow database answers.
const LATE: Duration = Duration::from_millis(500);
/// What is to outlive the fault is put on disk this long before it.
const AHEAD: Duration = Duration::from_secs(1);

/// What is broken on purpose.
#[derive(Debug)]
pub(crate) enum Fault<'a> {
    /// Killed, then started again, empty.
    RedisKilled(&'a Redis),
    /// Halted.
    RedisHalted(&'a Redis),
    /// Killed, then started again with its data; what the server at `admin` holds is purged softly.
    DatabaseKilled {
        cluster: &'a Cluster,
        admin: SocketAddr,
        /// Set while it is away.
        away: &'a Cell<bool>,
    },
    /// Answers late.
    DatabaseSlow(&'a Way),
}

impl Fault<'_> {
    /// Breaks and mends when it is time.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(crate) async fn drive(&self, start: Instant, schedule: Schedule) -> anyhow::Result<Times> {
        let at = |second: u32| start + Duration::from_secs(u64::from(second));
        sleep_until(at(schedule.fault) - AHEAD).await;
        if let Self::DatabaseKilled { cluster, .. } = self {
            cluster.checkpoint().await?;
        }
        sleep_until(at(schedule.fault)).await;
        let from = start.elapsed();
        self.begin().await.context("the fault cannot be made")?;
        sleep_until(at(schedule.heal)).await;
        let mending = start.elapsed();
        self.end().await.context("the fault cannot be mended")?;
        Ok(Times { from, mending, healed: start.elapsed() })
    }

    async fn begin(&self) -> anyhow::Result<()> {
        match *self {
            Self::RedisKilled(redis) => redis.kill().await?,
            Self::RedisHalted(redis) => redis.pause().await?,
            Self::DatabaseKilled { cluster, admin, away } => {
                away.set(true);
                cluster.kill().await?;
                // After the kill, so that nothing is fetched anew before it.
                purge(admin).await?;
            }
            Self::DatabaseSlow(way) => way.delay(LATE),
        }
        Ok(())
    }

    async fn end(&self) -> anyhow::Result<()> {
        match *self {
            Self::RedisKilled(redis) => redis.restart().await?,
            Self::RedisHalted(redis) => redis.resume().await?,
            Self::DatabaseKilled { cluster, away, .. } => {
                cluster.restart().await?;
                away.set(false);
            }
            Self::DatabaseSlow(way) => way.delay(Duration::ZERO),
        }
        Ok(())
    }
}

/// Makes every entry ask the origin, as time would: what may be served when that fails still may.
async fn purge(admin: SocketAddr) -> anyhow::Result<()> {
    const BODY: &str = r#"{"all":true,"actor":"drill","reason":"origin-down"}"#;
    let request = Request::post("/purge").header(HOST, admin.to_string()).header(CONTENT_TYPE, "application/json");
    let request = request.body(BODY.into()).context("no valid request")?;
    let answer = Client::new(admin).send(request, true).await;
    let answer = answer.map_err(|failure| anyhow::anyhow!("POST /purge: {failure}"))?;
    if !answer.status().is_success() {
        bail!("POST /purge: status {}", answer.status());
    }
    Ok(())
}
