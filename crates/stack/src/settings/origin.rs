use std::{path::PathBuf, time::Duration};

use edge_cache_origin::upstream::{UpstreamConfig, UpstreamError};
use serde::{Deserialize, Serialize};

use super::{SettingsError, error::time, limits::DAY};

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
    /// `http://HOST:PORT` or `https://HOST:PORT` of an `http` origin. Default: empty.
    pub url: String,
    /// Further origins with the same content, as `url`. Default: none.
    pub more_urls: Vec<String>,
    /// PEM file of the authorities that may sign the certificates of `https` origins, in place of the public ones. Default: empty.
    pub ca_file: PathBuf,
    /// PEM file with the certificate that is shown to `https` origins which ask for one. Default: empty.
    pub cert_file: PathBuf,
    /// PEM file with its private key. Default: empty.
    pub key_file: PathBuf,
    /// The name that `https` origins must prove, where it is not the host of their URL. Default: empty.
    pub server_name: String,
    /// Pass the client's `Host` on; else the origin's own is sent. It is part of the key either way. Default: true.
    pub preserve_host: bool,
    /// Longest wait for a connection. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub response_timeout: Duration,
    /// Longest time from sending a request to the last byte of its answer, tunnels aside; zero for any. Default: 1 h.
    #[serde(with = "humantime_serde")]
    pub total_timeout: Duration,
    /// Longest silence in the body of an answer; zero for any. What is kept has `cache.body_idle_max` besides. Default: 1 min.
    #[serde(with = "humantime_serde")]
    pub body_idle_max: Duration,
    /// Most requests under way to one origin, tunnels aside. Default: 1 024.
    pub connections_max: usize,
    /// Most requests that wait where all origins have as many as they may; more get a 503. Default: 1 000.
    pub queue_max: usize,
    /// Longest wait for that. Default: 1 s.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// Idle connections kept to each origin. Default: 64.
    pub idle_connections_max: usize,
    /// How long a connection is kept idle; shorter than the origin keeps it. Default: 4 s.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Path that each origin is asked for to see whether it is healthy; empty for no checks. Default: empty.
    pub health_path: String,
    /// Time between two checks. Default: 2 s.
    #[serde(with = "humantime_serde")]
    pub health_interval: Duration,
    /// Longest wait for the head of the answer to a check. Default: 1 s.
    #[serde(with = "humantime_serde")]
    pub health_timeout: Duration,
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
            more_urls,
            ca_file,
            cert_file,
            key_file,
            server_name,
            preserve_host,
            connect_timeout,
            response_timeout,
            total_timeout,
            body_idle_max,
            connections_max,
            queue_max,
            queue_timeout,
            idle_connections_max,
            idle_timeout,
            health_path,
            health_interval,
            health_timeout,
            name: _,
            upgrades,
            tunnels_max,
            tunnel_idle_max,
        } = UpstreamConfig::default();
        Self {
            kind: OriginKind::default(),
            url,
            more_urls,
            ca_file,
            cert_file,
            key_file,
            server_name,
            preserve_host,
            connect_timeout,
            response_timeout,
            total_timeout,
            body_idle_max,
            connections_max,
            queue_max,
            queue_timeout,
            idle_connections_max,
            idle_timeout,
            health_path,
            health_interval,
            health_timeout,
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
            more_urls,
            ca_file,
            cert_file,
            key_file,
            server_name,
            preserve_host,
            connect_timeout,
            response_timeout,
            total_timeout,
            body_idle_max,
            connections_max,
            queue_max,
            queue_timeout,
            idle_connections_max,
            idle_timeout,
            health_path,
            health_interval,
            health_timeout,
            name,
            upgrades,
            tunnels_max,
            tunnel_idle_max,
            cors_origins: _,
        } = self.clone();
        let name = if name.is_empty() { UpstreamConfig::default().name } else { name };
        UpstreamConfig {
            url,
            more_urls,
            ca_file,
            cert_file,
            key_file,
            server_name,
            preserve_host,
            connect_timeout,
            response_timeout,
            total_timeout,
            body_idle_max,
            connections_max,
            queue_max,
            queue_timeout,
            idle_connections_max,
            idle_timeout,
            health_path,
            health_interval,
            health_timeout,
            name,
            upgrades,
            tunnels_max,
            tunnel_idle_max,
        }
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let upstream = self.upstream();
        let wrong = |error: UpstreamError| SettingsError::other(error.to_string());
        upstream.name().map_err(wrong)?;
        upstream.health_path().map_err(wrong)?;
        for (key, value) in [
            ("origin.connect_timeout", self.connect_timeout),
            ("origin.response_timeout", self.response_timeout),
            ("origin.queue_timeout", self.queue_timeout),
            ("origin.idle_timeout", self.idle_timeout),
            ("origin.health_interval", self.health_interval),
            ("origin.health_timeout", self.health_timeout),
            ("origin.tunnel_idle_max", self.tunnel_idle_max),
        ] {
            if value.is_zero() || value > DAY {
                return Err(SettingsError::rule(key, time(value), "must be above zero and at most 24h"));
            }
        }
        for (key, value) in [("origin.total_timeout", self.total_timeout), ("origin.body_idle_max", self.body_idle_max)]
        {
            if value > DAY {
                return Err(SettingsError::rule(key, time(value), "must be at most 24h, or 0s for any time"));
            }
        }
        // A tunnel costs two descriptors, a request one; the system's limit is far below. No tunnel at all is `upgrades = false`.
        for (key, value) in [("origin.connections_max", self.connections_max), ("origin.tunnels_max", self.tunnels_max)]
        {
            if value == 0 || value > 1 << 20 {
                return Err(SettingsError::rule(key, value, "must be from 1 to 1048576"));
            }
        }
        if self.kind == OriginKind::Http {
            // An empty URL is complete only with the command line's `--origin`: the one who connects checks it.
            let all = if self.url.is_empty() { upstream.more_targets() } else { upstream.targets() };
            all.map_err(wrong)?;
            upstream.check_tls().map_err(wrong)?;
        }
        Ok(())
    }
}
