use std::{fmt, time::Duration};

use redis::IntoConnectionInfo;
use serde::{Deserialize, Serialize};

use crate::store::ConnectError;

/// `[redis]`: the Redis tier.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://[user:password@]host:port/database`; empty for no Redis tier. Default: empty.
    pub url: String,
    /// First part of every key, so that several caches can share a database. Default: `ec`.
    pub key_prefix: String,
    /// Longest wait for a read. Default: 100 ms.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// Longest wait for a write; it happens behind the answer. Default: 250 ms.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Largest body kept, in bytes. Default: 1 MiB.
    pub body_bytes_max: u64,
    /// Bodies of at least this many bytes are compressed (zstd, level 1) if their type gains by it; 0 for never. Default: 1 KiB.
    pub compress_bytes_min: u64,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            key_prefix: "ec".to_owned(),
            read_timeout: Duration::from_millis(100),
            write_timeout: Duration::from_millis(250),
            body_bytes_max: 1 << 20,
            compress_bytes_min: 1 << 10,
        }
    }
}

impl RedisConfig {
    /// The URL without user, password and query, for logs. Of a shape that is not known, nothing is shown.
    #[must_use]
    pub fn url_redacted(&self) -> String {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return if self.url.is_empty() { String::new() } else { "***".to_owned() };
        };
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://***@{host}"),
            None => format!("{scheme}://{rest}"),
        }
    }

    /// Checks the URL without connecting.
    ///
    /// # Errors
    /// When it is none.
    pub fn validate(&self) -> Result<(), ConnectError> {
        if self.url.is_empty() {
            return Ok(());
        }
        let info = self.url.as_str().into_connection_info();
        info.map(drop).map_err(|source| ConnectError { url: self.url_redacted(), source })
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &self.url_redacted())
            .field("key_prefix", &self.key_prefix)
            .field("read_timeout", &self.read_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("compress_bytes_min", &self.compress_bytes_min)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_logs() {
        let config = RedisConfig { url: "redis://me:s3cr3t@h:1/0".into(), ..RedisConfig::default() };
        assert!(!format!("{config:?}").contains("s3cr3t"));
        assert_eq!(config.url_redacted(), "redis://***@h:1/0");
        for url in ["me:s3cr3t@h:1", "redis+unix:///run/r.sock?pass=s3cr3t"] {
            let config = RedisConfig { url: url.into(), ..RedisConfig::default() };
            assert!(!config.url_redacted().contains("s3cr3t"));
        }
    }
}
