use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use edge_cache_breaker::BreakerConfig;
use serde::{Deserialize, Serialize};

use super::target::{Target, redacted};

/// `[database]` of the configuration. Every key has a default; an unknown key is an error.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME` or `sqlite:PATH`. Default: empty, which connects to nothing.
    pub url: String,
    /// Other ways to the same Postgres, or to what takes its place, in the order in which they are tried when those before fail. A standby is
    /// not used before it is promoted: what it answers may be older than a purge.
    /// Default: none.
    pub fallback_urls: Vec<String>,
    /// Streaming replicas of it, for reads. Default: none.
    pub replica_urls: Vec<String>,
    /// How old what a replica answers may be. Default: 1 s.
    #[serde(with = "humantime_serde")]
    pub replica_lag_max: Duration,
    /// Most connections at any time, over all URLs, migrations and seeding included; at least 1. Default: 10.
    pub connections_max: u32,
    /// Most requests that wait for one of `connections_max` to be free. Default: 2 000.
    pub queue_max: usize,
    /// Longest wait for that. Default: 1 s.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// Longest wait for a connection to be open; then the next URL is tried. Default: 250 ms.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// Longest run of one statement, enforced by the database; through a pooler, which takes no such setting, by the client, who then
    /// cancels it. Default: 2 s.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// Longest time to open a connection. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest life of a connection, less up to a tenth, so that they do not all end together. Default: 30 min.
    #[serde(with = "humantime_serde")]
    pub lifetime_max: Duration,
    /// How long a connection is kept that nobody uses. Default: 5 min.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Failures in a row after which a URL is left alone; also half of the statements of ten seconds. Default: 3.
    pub breaker_failures: u32,
    /// For how long, at first; each probe that fails doubles it. Default: 1 s.
    #[serde(with = "humantime_serde")]
    pub breaker_reset: Duration,
    /// For how long at most. Default: 4 s.
    #[serde(with = "humantime_serde")]
    pub breaker_reset_max: Duration,
    /// Whether connections are kept. Default: `pooled`.
    pub pooling: Pooling,
}

/// Whether connections are kept for the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// A bounded pool.
    #[default]
    Pooled,
    /// A new connection for each checkout, without a bound, a queue or a breaker: what Pitchey did when it fell over. For measuring only.
    PerRequest,
}

/// Which SQL the database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL 15 or later.
    Postgres,
    /// SQLite 3.45 or later, bundled.
    Sqlite,
}

/// A `[database]` key that breaks its rule: `database.url = …: must …`, the password left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("database.{key} = {value}: {rule}")]
pub struct ConfigError {
    /// The key inside `[database]`, as `url` or `fallback_urls[0]`.
    pub key: Cow<'static, str>,
    /// Its value, redacted.
    pub value: String,
    /// The rule, starting with `must`.
    pub rule: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(
        key: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { key: key.into(), value: value.into(), rule: rule.into() }
    }
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        let breaker = BreakerConfig::default();
        Self {
            url: String::new(),
            fallback_urls: Vec::new(),
            replica_urls: Vec::new(),
            replica_lag_max: Duration::from_secs(1),
            connections_max: 10,
            queue_max: 2000,
            queue_timeout: Duration::from_secs(1),
            acquire_timeout: Duration::from_millis(250),
            statement_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(5),
            lifetime_max: Duration::from_secs(30 * 60),
            idle_timeout: Duration::from_secs(5 * 60),
            breaker_failures: breaker.failures,
            breaker_reset: breaker.reset,
            breaker_reset_max: breaker.reset_max,
            pooling: Pooling::Pooled,
        }
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As a table, so that a key that is added is shown too; the URLs without their passwords.
        let shown = |urls: &[String]| urls.iter().map(|url| redacted(url)).collect::<Vec<_>>();
        let Self {
            url,
            fallback_urls,
            replica_urls,
            replica_lag_max,
            connections_max,
            queue_max,
            queue_timeout,
            acquire_timeout,
            statement_timeout,
            connect_timeout,
            lifetime_max,
            idle_timeout,
            breaker_failures,
            breaker_reset,
            breaker_reset_max,
            pooling,
        } = self;
        f.debug_struct("DatabaseConfig")
            .field("url", &redacted(url))
            .field("fallback_urls", &shown(fallback_urls))
            .field("replica_urls", &shown(replica_urls))
            .field("replica_lag_max", replica_lag_max)
            .field("connections_max", connections_max)
            .field("queue_max", queue_max)
            .field("queue_timeout", queue_timeout)
            .field("acquire_timeout", acquire_timeout)
            .field("statement_timeout", statement_timeout)
            .field("connect_timeout", connect_timeout)
            .field("lifetime_max", lifetime_max)
            .field("idle_timeout", idle_timeout)
            .field("breaker_failures", breaker_failures)
            .field("breaker_reset", breaker_reset)
            .field("breaker_reset_max", breaker_reset_max)
            .field("pooling", pooling)
            .finish()
    }
}

impl DatabaseConfig {
    /// Checks the values without connecting.
    ///
    /// # Errors
    /// The first key that breaks its rule.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.targets().map(drop)
    }

    /// The SQL that `url`'s database speaks.
    ///
    /// # Errors
    /// When `url` is neither `postgres://…` nor `sqlite:PATH`.
    pub fn dialect(&self) -> Result<Dialect, ConfigError> {
        Target::parse("url", &self.url, self).map(|target| match target {
            Target::Postgres(_) => Dialect::Postgres,
            Target::Sqlite(_) => Dialect::Sqlite,
        })
    }

    /// `url` without its password: fit for a log.
    #[must_use]
    pub fn redacted_url(&self) -> String {
        redacted(&self.url)
    }

    /// The same without passwords, to be shown.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let shown = |urls: &[String]| urls.iter().map(|url| redacted(url)).collect();
        Self {
            url: self.redacted_url(),
            fallback_urls: shown(&self.fallback_urls),
            replica_urls: shown(&self.replica_urls),
            ..self.clone()
        }
    }

    /// Where all URLs lead, `url` first, then the fallbacks; and the replicas.
    pub(crate) fn targets(&self) -> Result<(Vec<Target>, Vec<Target>), ConfigError> {
        self.check_numbers()?;
        let mut chain = vec![Target::parse("url", &self.url, self)?];
        for (at, url) in self.fallback_urls.iter().enumerate() {
            chain.push(self.further(format!("fallback_urls[{at}]"), url)?);
        }
        let replicas = self.replica_urls.iter().enumerate();
        let replicas = replicas.map(|(at, url)| self.further(format!("replica_urls[{at}]"), url));
        let replicas: Vec<Target> = replicas.collect::<Result<_, _>>()?;
        if matches!(chain[0], Target::Sqlite(_)) && (chain.len() > 1 || !replicas.is_empty()) {
            let rule = "must be a Postgres database where there are fallback_urls or replica_urls";
            return Err(ConfigError::new("url", redacted(&self.url), rule));
        }
        if self.pooling == Pooling::PerRequest && (chain.len() > 1 || !replicas.is_empty()) {
            let rule = "must be \"pooled\" where there are fallback_urls or replica_urls";
            return Err(ConfigError::new("pooling", "\"per-request\"", rule));
        }
        if chain.len() > 1 {
            chain.iter_mut().for_each(Target::only_primaries);
        }
        Ok((chain, replicas))
    }

    fn further(&self, key: String, url: &str) -> Result<Target, ConfigError> {
        match Target::parse(&key, url, self)? {
            postgres @ Target::Postgres(_) => Ok(postgres),
            Target::Sqlite(_) => Err(ConfigError::new(key, redacted(url), "must begin with `postgres://`")),
        }
    }

    fn check_numbers(&self) -> Result<(), ConfigError> {
        if self.connections_max == 0 {
            return Err(ConfigError::new("connections_max", "0", "must be at least 1"));
        }
        if self.breaker_failures == 0 {
            return Err(ConfigError::new("breaker_failures", "0", "must be at least 1"));
        }
        let waits = [
            ("replica_lag_max", self.replica_lag_max),
            ("queue_timeout", self.queue_timeout),
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("connect_timeout", self.connect_timeout),
            ("lifetime_max", self.lifetime_max),
            ("idle_timeout", self.idle_timeout),
            ("breaker_reset", self.breaker_reset),
            ("breaker_reset_max", self.breaker_reset_max),
        ];
        for (key, wait) in waits {
            if wait < Duration::from_millis(1) || wait > Duration::from_secs(24 * 60 * 60) {
                return Err(ConfigError::new(key, format!("{wait:?}"), "must be from 1ms to 24h"));
            }
        }
        if self.breaker_reset > self.breaker_reset_max {
            let rule = format!("must be at most database.breaker_reset_max ({:?})", self.breaker_reset_max);
            return Err(ConfigError::new("breaker_reset", format!("{:?}", self.breaker_reset), rule));
        }
        Ok(())
    }

    /// How the breaker of one URL behaves.
    pub(super) fn breaker(&self) -> BreakerConfig {
        let usual = BreakerConfig {
            failures: self.breaker_failures,
            reset: self.breaker_reset,
            reset_max: self.breaker_reset_max,
            ..BreakerConfig::default()
        };
        match self.pooling {
            Pooling::Pooled => usual,
            Pooling::PerRequest => BreakerConfig { failures: 0, failure_percent: 101, ..usual },
        }
    }
}
