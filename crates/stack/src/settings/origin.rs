use std::time::Duration;

use edge_cache_origin::upstream::UpstreamConfig;
use serde::{Deserialize, Serialize};

use super::{SettingsError, limits::DAY};

/// What stands behind the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    /// An HTTP server.
    #[default]
    Http,
    /// The Pitchey handlers in this process, over `[database]`.
    Pitchey,
}

/// `[origin]`: what stands behind the cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OriginSettings {
    /// `http` or `pitchey`. Default: `http`.
    pub kind: OriginKind,
    /// `http://HOST:PORT` of an `http` origin. Default: empty.
    pub url: String,
    /// Pass the client's `Host` on; else the origin's own is sent. It is part of the key either way. Default: true.
    pub preserve_host: bool,
    /// Longest wait for a connection. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub response_timeout: Duration,
    /// Idle connections kept. Default: 64.
    pub idle_connections_max: usize,
    /// How long a connection is kept idle; shorter than the origin keeps it. Default: 4 s.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// What this cache calls itself in `Via` and `CDN-Loop`; empty for a random name. Default: empty.
    pub name: String,
    /// Pass requests for other protocols on, such as WebSocket. Default: true.
    pub upgrades: bool,
    /// Tunnels open at once. Default: 1 000.
    pub tunnels_max: usize,
    /// Longest silence in a tunnel. Default: 10 min.
    #[serde(with = "humantime_serde")]
    pub tunnel_idle_max: Duration,
    /// Origins whose pages may call a `pitchey` origin from a browser (CORS). Default: none.
    pub cors_origins: Vec<String>,
}

impl Default for OriginSettings {
    fn default() -> Self {
        let UpstreamConfig {
            url,
            preserve_host,
            connect_timeout,
            response_timeout,
            idle_connections_max,
            idle_timeout,
            name: _,
            upgrades,
            tunnels_max,
            tunnel_idle_max,
        } = UpstreamConfig::default();
        Self {
            kind: OriginKind::default(),
            url,
            preserve_host,
            connect_timeout,
            response_timeout,
            idle_connections_max,
            idle_timeout,
            name: String::new(),
            upgrades,
            tunnels_max,
            tunnel_idle_max,
            cors_origins: Vec::new(),
        }
    }
}

impl OriginSettings {
    /// As the HTTP client takes it.
    #[must_use]
    pub fn upstream(&self) -> UpstreamConfig {
        let Self {
            kind: _,
            url,
            preserve_host,
            connect_timeout,
            response_timeout,
            idle_connections_max,
            idle_timeout,
            name,
            upgrades,
            tunnels_max,
            tunnel_idle_max,
            cors_origins: _,
        } = self.clone();
        let name = if name.is_empty() { UpstreamConfig::default().name } else { name };
        UpstreamConfig {
            url,
            preserve_host,
            connect_timeout,
            response_timeout,
            idle_connections_max,
            idle_timeout,
            name,
            upgrades,
            tunnels_max,
            tunnel_idle_max,
        }
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.upstream().name().map_err(|error| SettingsError::other(error.to_string()))?;
        for (key, value) in
            [("origin.idle_timeout", self.idle_timeout), ("origin.tunnel_idle_max", self.tunnel_idle_max)]
        {
            if value.is_zero() || value > DAY {
                return Err(SettingsError::rule(key, format!("{value:?}"), "must be above zero and at most 24h"));
            }
        }
        if self.tunnels_max == 0 || self.tunnels_max > 1 << 20 {
            // A tunnel costs two descriptors; the system's limit is far below. None at all is `upgrades = false`.
            return Err(SettingsError::rule("origin.tunnels_max", self.tunnels_max, "must be from 1 to 1048576"));
        }
        // An empty URL is complete only with the command line's `--origin`: the one who connects checks it.
        if self.kind == OriginKind::Http && !self.url.is_empty() {
            self.upstream().authority().map_err(|error| SettingsError::other(error.to_string()))?;
        }
        Ok(())
    }
}
