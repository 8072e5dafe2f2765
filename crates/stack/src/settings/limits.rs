use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SettingsError;

/// Longest wait that makes sense anywhere.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// `[limits]`: of connections and requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Client connections open at once; more wait to be accepted. Default: 10 000.
    pub connections_max: usize,
    /// Longest request target in bytes; longer is a 414. Default: 8 KiB.
    pub uri_bytes_max: usize,
    /// Longest request head in bytes; longer is a 431. At least 8 KiB. Default: 64 KiB.
    pub head_bytes_max: usize,
    /// Most header lines; more is a 431. Default: 100.
    pub headers_max: usize,
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
            uri_bytes_max: 8 << 10,
            head_bytes_max: 64 << 10,
            headers_max: 100,
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
        let waits = [("limits.head_timeout", self.head_timeout), ("limits.request_timeout", self.request_timeout)];
        for (key, wait) in waits {
            if wait.is_zero() || wait > DAY {
                return Err(SettingsError::rule(key, format!("{wait:?}"), "must be above zero and at most 24h"));
            }
        }
        Ok(())
    }
}
