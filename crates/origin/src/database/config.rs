use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[database]` of the configuration. Every key has a default; an unknown key is an error.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME` or `sqlite:PATH`. Default: empty, which connects to nothing.
    pub url: String,
    /// Most connections to the server at any time, migrations and seeding included; at least 1. Default: 10.
    pub connections_max: u32,
    /// Longest wait for a free connection. Default: 250 ms.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// Longest run of one statement, enforced by the database. Default: 2 s.
    #[serde(with = "humantime_serde")]
    pub statement_timeout: Duration,
    /// Longest time to open a connection. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
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
    /// A new connection for each checkout, without a bound: what Pitchey did when it fell over. For measuring only.
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
    /// The key inside `[database]`.
    pub key: &'static str,
    /// Its value, redacted.
    pub value: String,
    /// The rule, starting with `must`.
    pub rule: &'static str,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            connections_max: 10,
            acquire_timeout: Duration::from_millis(250),
            statement_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(5),
            pooling: Pooling::Pooled,
        }
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, connections_max, acquire_timeout, statement_timeout, connect_timeout, pooling } = self;
        f.debug_struct("DatabaseConfig")
            .field("url", &redacted(url))
            .field("connections_max", connections_max)
            .field("acquire_timeout", acquire_timeout)
            .field("statement_timeout", statement_timeout)
            .field("connect_timeout", connect_timeout)
            .field("pooling", pooling)
            .finish()
    }
}

/// Where `url` leads.
pub(crate) enum Target {
    Postgres(Box<tokio_postgres::Config>),
    Sqlite(PathBuf),
}

impl DatabaseConfig {
    /// Checks the values without connecting.
    ///
    /// # Errors
    /// The first key that breaks its rule.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.target().map(|_| ())
    }

    /// The SQL that `url`'s database speaks.
    ///
    /// # Errors
    /// When `url` is neither `postgres://…` nor `sqlite:PATH`.
    pub fn dialect(&self) -> Result<Dialect, ConfigError> {
        self.target().map(|target| match target {
            Target::Postgres(_) => Dialect::Postgres,
            Target::Sqlite(_) => Dialect::Sqlite,
        })
    }

    /// `url` without its password: fit for a log.
    #[must_use]
    pub fn redacted_url(&self) -> String {
        redacted(&self.url)
    }

    pub(crate) fn target(&self) -> Result<Target, ConfigError> {
        let refuse = |key, value: String, rule| Err(ConfigError { key, value, rule });
        if self.connections_max == 0 {
            return refuse("connections_max", "0".into(), "must be at least 1");
        }
        let timeouts = [
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("connect_timeout", self.connect_timeout),
        ];
        for (key, timeout) in timeouts {
            if timeout < Duration::from_millis(1) || timeout > Duration::from_secs(24 * 60 * 60) {
                return refuse(key, format!("{timeout:?}"), "must be from 1ms to 24h");
            }
        }
        let url = || redacted(&self.url);
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            return match path {
                "" | ":memory:" => refuse("url", url(), "must name a file after `sqlite:`"),
                path => Ok(Target::Sqlite(PathBuf::from(path))),
            };
        }
        if !self.url.starts_with("postgres://") && !self.url.starts_with("postgresql://") {
            return refuse("url", url(), "must begin with `postgres://` or `sqlite:`");
        }
        let Ok(mut postgres) = tokio_postgres::Config::from_str(&self.url) else {
            return refuse("url", url(), "must be a connection string that Postgres clients take");
        };
        if postgres.get_hosts().is_empty() && postgres.get_hostaddrs().is_empty() {
            return refuse("url", url(), "must name a host");
        }
        let ours = format!("-c statement_timeout={}", self.statement_timeout.as_millis());
        let options = match postgres.get_options() {
            Some(theirs) => format!("{theirs} {ours}"),
            None => ours,
        };
        postgres.options(options).connect_timeout(self.connect_timeout);
        if postgres.get_application_name().is_none() {
            postgres.application_name("edge-cache");
        }
        Ok(Target::Postgres(Box::new(postgres)))
    }
}

/// `url` with whatever could hold a password replaced: between the first `:` of the user part and the last `@`, and the query.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Of a shape that is not known, nobody can tell what is secret.
        return if url.is_empty() || url.starts_with("sqlite:") { url.to_owned() } else { "***".to_owned() };
    };
    let rest = match rest.split_once('?') {
        Some((head, query)) if query.to_ascii_lowercase().contains("password") => format!("{head}?***"),
        _ => rest.to_owned(),
    };
    match rest.rsplit_once('@') {
        Some((user, place)) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}://{name}:***@{place}"),
            None => format!("{scheme}://{user}@{place}"),
        },
        None => format!("{scheme}://{rest}"),
    }
}
