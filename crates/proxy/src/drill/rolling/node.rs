//! A node of the fleet: a server that is restarted with what it left in its folder.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::seat::Seat;
use crate::load::client::Client;
use crate::load::metrics::samples;
use crate::load::scrape::get;
use crate::load::server::{Server, folder};

/// Connections of one node: both together have as many as the one of the other drills.
const CONNECTIONS: u64 = crate::drill::POOL / 2;
/// Warming is given up long before.
const READY: Duration = Duration::from_secs(60);

/// What a node is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind<'a> {
    pub(super) database_url: &'a str,
    /// Empty where there is none.
    pub(super) redis_url: &'a str,
    /// Whether it is warmed: from a snapshot, and from Redis.
    pub(super) warmed: bool,
}

impl Behind<'_> {
    fn config(self, snapshot: &str) -> String {
        let warm = if self.warmed { format!("snapshot = \"{snapshot}\"") } else { "enabled = false".to_owned() };
        let Self { database_url, redis_url, .. } = self;
        format!(
            "[listen]\naddress = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n\
             [origin]\nkind = \"pitchey\"\n\n\
             [database]\nurl = \"{database_url}\"\nconnections_max = {CONNECTIONS}\n\n\
             [redis]\nurl = \"{redis_url}\"\n\n\
             [warm]\n{warm}\n"
        )
    }
}

/// A restart. Instants are after the start of the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Restart {
    /// When the node was told to stop.
    pub(crate) told: Duration,
    /// When its process had ended.
    pub(crate) ended: Duration,
    /// When the next one listened.
    pub(crate) listening: Duration,
    /// When it wanted requests.
    pub(crate) ready: Duration,
    /// Entries that it took from the snapshot; absent where it is not warmed.
    pub(crate) restored: Option<f64>,
    /// Entries that it took from Redis before anybody asked.
    pub(crate) promoted: Option<f64>,
    /// Keys that were hot when it began.
    pub(crate) hot: Option<f64>,
    /// Of these, the ones that it held fresh when it was ready.
    pub(crate) held: Option<f64>,
}

/// A node in its seat.
#[derive(Debug)]
pub(super) struct Node {
    server: Server,
    config: String,
    seat: Arc<Seat>,
}

impl Node {
    /// Starts one that holds nothing, and waits until it wants requests.
    ///
    /// # Errors
    /// When it does not start, or never wants any.
    pub(super) async fn start(behind: Behind<'_>, seat: Arc<Seat>) -> anyhow::Result<Self> {
        let folder = folder()?;
        let config = behind.config(&folder.path().join("snapshot").to_string_lossy());
        let server = Server::start_in(folder, &config).await?;
        let node = Self { server, config, seat };
        node.sit().await.map(|()| node)
    }

    /// Stops it and starts it again with the same configuration; ends once it wants requests.
    ///
    /// # Errors
    /// When it does not stop, does not start, or never wants any.
    pub(super) async fn restart(self, start: Instant) -> anyhow::Result<(Self, Restart)> {
        let told = start.elapsed();
        // The balancer finds out by itself.
        let folder = self.server.end().await?;
        self.seat.leave();
        let ended = start.elapsed();
        let server = Server::start_in(folder, &self.config).await?;
        let node = Self { server, ..self };
        let listening = start.elapsed();
        node.sit().await?;
        let ready = start.elapsed();
        let [restored, promoted, hot, held] = node.warmth().await?;
        Ok((node, Restart { told, ended, listening, ready, restored, promoted, hot, held }))
    }

    /// Stops it for good.
    ///
    /// # Errors
    /// When it does not stop.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        self.seat.leave();
        self.server.stop().await
    }

    async fn sit(&self) -> anyhow::Result<()> {
        self.seat.take(self.server.address, self.server.admin);
        let ready = timeout(READY, self.seat.ready()).await;
        ready.map_err(|_| anyhow!("a node that was started wants no requests after {READY:?}"))
    }

    /// Entries from the snapshot, and from Redis; keys that are hot, and that it holds. Absent where nobody warms it.
    async fn warmth(&self) -> anyhow::Result<[Option<f64>; 4]> {
        const NAMES: [&str; 4] = [
            "edge_cache_warm_restored_total",
            "edge_cache_warm_promoted_total",
            "edge_cache_warm_hot",
            "edge_cache_warm_held",
        ];
        let admin = self.server.admin;
        let text = get(&mut Client::new(admin), admin, "/metrics", None).await?;
        let text = String::from_utf8_lossy(&text);
        let value = |name| samples(&text).find(|sample| sample.name == name).map(|sample| sample.value);
        Ok(NAMES.map(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_passes_differ_in_warming_alone() {
        let behind = |warmed| Behind { database_url: "postgres://x", redis_url: "", warmed };
        let (without, with) = (behind(false).config("/s"), behind(true).config("/s"));
        assert!(
            without.contains("connections_max = 5\n") && without.ends_with("[warm]\nenabled = false\n"),
            "{without}"
        );
        assert_eq!(without.replace("enabled = false", "snapshot = \"/s\""), with);
    }
}
