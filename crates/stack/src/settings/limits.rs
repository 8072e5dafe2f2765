use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SettingsError;

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
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            uri_bytes_max: 8 << 10,
            head_bytes_max: 64 << 10,
            headers_max: 100,
            head_timeout: Duration::from_secs(30),
        }
    }
}

impl LimitSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        if self.connections_max == 0 {
            return Err(SettingsError::rule("limits.connections_max", 0, "must be at least 1"));
        }
        if self.head_bytes_max < 8 << 10 {
            let rule = "must be at least 8192, the smallest buffer the server reads into";
            return Err(SettingsError::rule("limits.head_bytes_max", self.head_bytes_max, rule));
        }
        if self.uri_bytes_max > self.head_bytes_max {
            let rule = format!("must be at most limits.head_bytes_max ({})", self.head_bytes_max);
            return Err(SettingsError::rule("limits.uri_bytes_max", self.uri_bytes_max, rule));
        }
        Ok(())
    }
}
