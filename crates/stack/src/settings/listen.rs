use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SettingsError, limits::DAY};

/// `[listen]`: where clients and operators connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSettings {
    /// `ADDRESS:PORT` for clients; port 0 takes a free one. Default: 127.0.0.1:8080.
    pub address: String,
    /// `ADDRESS:PORT` for operators: metrics, health, purge; empty for none. Default: empty.
    pub admin: String,
    /// What operators call this node, in alerts and on the performance page; empty for the address, with the machine's name where that is open to
    /// all. Default: empty.
    pub name: String,
    /// `http://HOST:PORT` under which operators reach the admin listener, for links in alerts; empty for none. Default: empty.
    pub admin_url: String,
    /// Threads that serve clients, each with connections of its own; 0 for as many as there are cores. Default: 0.
    pub threads: usize,
    /// Longest time that requests in flight get at shutdown. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8080".to_owned(),
            admin: String::new(),
            name: String::new(),
            admin_url: String::new(),
            threads: 0,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// More than any machine has cores.
const THREADS_MAX: usize = 1024;

impl ListenSettings {
    /// Threads that serve clients.
    #[must_use]
    pub fn serving_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        for (key, address) in [("listen.address", &self.address), ("listen.admin", &self.admin)] {
            let optional = key == "listen.admin" && address.is_empty();
            let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if !optional && port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                return Err(SettingsError::rule(key, format!("\"{address}\""), "must be ADDRESS:PORT"));
            }
        }
        let url = self
            .admin_url
            .split_once("://")
            .filter(|(scheme, host)| matches!(*scheme, "http" | "https") && !host.is_empty());
        if !self.admin_url.is_empty() && url.is_none() {
            let value = format!("\"{}\"", self.admin_url);
            return Err(SettingsError::rule("listen.admin_url", value, "must be http://HOST:PORT, or empty"));
        }
        if self.threads > THREADS_MAX {
            let rule = format!("must be at most {THREADS_MAX}; 0 for as many as there are cores");
            return Err(SettingsError::rule("listen.threads", self.threads, rule));
        }
        if self.drain_timeout > DAY {
            let drain = format!("{:?}", self.drain_timeout);
            return Err(SettingsError::rule("listen.drain_timeout", drain, "must be at most 24h"));
        }
        Ok(())
    }
}
