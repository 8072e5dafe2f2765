//! Looks at the servers while they are under load.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::readings::Readings;
use crate::load::client::Client;
use crate::load::cluster::Cluster;
use crate::load::scrape::get;

/// How often.
const EVERY: Duration = Duration::from_millis(200);
/// A server that does not tell its metrics in this time has told none at that moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one look saw.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// When it began, after the start of the load.
    pub(crate) at: Duration,
    /// When it had seen everything.
    pub(crate) done: Duration,
    /// Client connections, counted by Postgres itself; `None` while it is away.
    pub(crate) connections: Option<u64>,
    /// `None` where the server did not answer.
    pub(crate) readings: Option<Readings>,
}

/// Where to look.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub(crate) cluster: &'a Cluster,
    /// The name of the database.
    pub(crate) database: &'a str,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    /// Set while Postgres is stopped: a question to it would hang.
    pub(crate) away: &'a Cell<bool>,
}

impl Watch<'_> {
    /// Looks until `end`.
    pub(crate) async fn until(&self, start: Instant, end: Instant) -> Vec<Sample> {
        let mut ticks = interval_at(start, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut client = Client::new(self.admin);
        let mut samples = Vec::new();
        loop {
            ticks.tick().await;
            let at = start.elapsed();
            if start + at >= end {
                return samples;
            }
            let (connections, readings) = tokio::join!(self.connections(), self.readings(&mut client));
            samples.push(Sample { at, done: start.elapsed(), connections, readings });
        }
    }

    async fn connections(&self) -> Option<u64> {
        if self.away.get() {
            return None;
        }
        // Not cut short by a timeout: that would cost the only connection that a full server still grants.
        self.cluster.connections(self.database).await.ok()
    }

    async fn readings(&self, client: &mut Client) -> Option<Readings> {
        let answer = timeout(PATIENCE, get(client, self.admin, "/metrics", None)).await;
        match answer {
            Ok(Ok(text)) => Some(Readings::parse(&String::from_utf8_lossy(&text))),
            Ok(Err(_)) => None,
            Err(_) => {
                client.hang_up();
                None
            }
        }
    }
}
