use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

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
    /// The URL with its password hidden, for logs.
    #[must_use]
    pub fn url_redacted(&self) -> String {
        match self.url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
            Some((scheme, host)) => format!("{scheme}://***@{host}"),
            None => self.url.clone(),
        }
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
    }
}
