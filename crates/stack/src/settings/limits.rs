use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SettingsError, error::time};

/// Longest wait that makes sense anywhere.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// `[limits]`: of connections and requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Client connections open at once; more wait to be accepted. Default: 10 000.
    pub connections_max: usize,
    /// Connections open at once from one client, which is an address, or 64 bits of an IPv6 one; more are closed. Zero for any number.
    /// Default: 0.
    pub connections_per_client_max: usize,
    /// Requests a second of one client, on average; more get a 429. Zero for any number. Default: 0.
    pub requests_per_client: u32,
    /// How many of them may come at once; zero for as many as in a second. Default: 0.
    pub requests_per_client_burst: u32,
    /// Answers a minute that one client may bring into the cache under keys that it lacks; further ones are answered and not kept. Zero for any
    /// number. Default: 0.
    pub new_keys_per_client: u32,
    /// Longest request target in bytes; longer is a 414. Default: 8 KiB.
    pub uri_bytes_max: usize,
    /// Longest request head in bytes; longer is a 431. At least 8 KiB. Default: 64 KiB.
    pub head_bytes_max: usize,
    /// Most header lines; more is a 431. Default: 100.
    pub headers_max: usize,
    /// Longest body of a request in bytes; longer is a 413. Zero for any length. Default: 1 GiB.
    pub body_bytes_max: u64,
    /// Longest silence within the body of a request; then it is a 408. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Longest time in which a client takes nothing of what is there for it; then its connection is cut. Default: 60 s.
    #[serde(with = "humantime_serde")]
    pub send_timeout: Duration,
    /// Longest time without a request on a connection of HTTP/2. Default: 3 min.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Age at which a connection is asked to end after the requests that are under way; at twice that age it is cut. Tunnels aside. Zero for any
    /// age. Default: 1 h.
    #[serde(with = "humantime_serde")]
    pub connection_age_max: Duration,
    /// Requests under way at once on a connection of HTTP/2. Default: 100.
    pub h2_streams_max: u32,
    /// Requests that a client of HTTP/2 may take back on one connection before their answers begin; with more, and more than half of all, the connection is
    /// cut. Default: 100.
    pub h2_resets_max: u32,
    /// Longest time to send a request's head, on a new connection and between requests. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Longest time from a request's head to the head of its answer: what the origin does for it longer than this is ended. Longer
    /// than the limits of the origin itself, or nobody learns that they were exceeded. Default: 60 s.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_client_max: 0,
            requests_per_client: 0,
            requests_per_client_burst: 0,
            new_keys_per_client: 0,
            uri_bytes_max: 8 << 10,
            head_bytes_max: 64 << 10,
            headers_max: 100,
            body_bytes_max: 1 << 30,
            body_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(180),
            connection_age_max: Duration::from_secs(3600),
            h2_streams_max: 100,
            h2_resets_max: 100,
            head_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
        }
    }
}

impl LimitSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let ranges = [
            // A connection costs a descriptor; the system's limit is far below.
            ("limits.connections_max", self.connections_max, 1, 1 << 20),
            // A place in a table per request; what is sent is bounded by head_bytes_max too.
            ("limits.headers_max", self.headers_max, 1, 4096),
            // The smallest buffer the server reads into.
            ("limits.head_bytes_max", self.head_bytes_max, 8 << 10, 16 << 20),
        ];
        for (key, value, min, max) in ranges {
            if value < min || value > max {
                return Err(SettingsError::rule(key, value, format!("must be from {min} to {max}")));
            }
        }
        if self.uri_bytes_max == 0 || self.uri_bytes_max > self.head_bytes_max {
            let rule = format!("must be from 1 to limits.head_bytes_max ({})", self.head_bytes_max);
            return Err(SettingsError::rule("limits.uri_bytes_max", self.uri_bytes_max, rule));
        }
        if self.h2_streams_max == 0 {
            return Err(SettingsError::rule("limits.h2_streams_max", 0, "must be above zero"));
        }
        if self.requests_per_client_burst > 0 && self.requests_per_client == 0 {
            let rule = "is of no use without limits.requests_per_client";
            return Err(SettingsError::rule("limits.requests_per_client_burst", self.requests_per_client_burst, rule));
        }
        if self.connection_age_max > DAY {
            let value = time(self.connection_age_max);
            return Err(SettingsError::rule("limits.connection_age_max", value, "must be at most 24h, or 0s for any"));
        }
        let waits = [
            ("limits.head_timeout", self.head_timeout),
            ("limits.body_timeout", self.body_timeout),
            ("limits.send_timeout", self.send_timeout),
            ("limits.idle_timeout", self.idle_timeout),
            ("limits.request_timeout", self.request_timeout),
        ];
        for (key, wait) in waits {
            if wait.is_zero() || wait > DAY {
                return Err(SettingsError::rule(key, time(wait), "must be above zero and at most 24h"));
            }
        }
        Ok(())
    }
}
