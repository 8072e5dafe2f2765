//! From a URL to where it leads.

use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{self, Wish};
use super::{ConfigError, DatabaseConfig};

/// Where a URL leads.
pub(crate) enum Target {
    Postgres(Box<PostgresTarget>),
    Sqlite(PathBuf),
}

/// One way to a Postgres.
#[derive(Clone)]
pub(crate) struct PostgresTarget {
    /// As the server is asked first: it enforces the statement timeout.
    pub(crate) direct: Config,
    /// The same without settings of ours, which poolers refuse.
    pub(crate) plain: Config,
    pub(crate) tls: MakeRustlsConnect,
    /// `HOST:PORT`, for metrics.
    pub(crate) name: String,
}

impl Target {
    pub(super) fn parse(key: &str, url: &str, config: &DatabaseConfig) -> Result<Self, ConfigError> {
        let refuse = |rule: &'static str| Err(ConfigError::new(key.to_owned(), redacted(url), rule));
        if let Some(path) = url.strip_prefix("sqlite:") {
            return match path {
                "" | ":memory:" => refuse("must name a file after `sqlite:`"),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return refuse("must begin with `postgres://` or `sqlite:`");
        }
        let (url_alone, wish) = match Wish::take(url) {
            Ok(taken) => taken,
            Err(rule) => return refuse(rule),
        };
        let Ok(mut plain) = Config::from_str(&url_alone) else {
            return refuse("must be a connection string that Postgres clients take");
        };
        if plain.get_hosts().len() != 1 || !plain.get_hostaddrs().is_empty() {
            // Whether it is there is asked, and statements are cancelled, where the session is.
            return refuse("must name one host; others are for fallback_urls");
        }
        let tls = match tls::connector(wish.root_file.as_deref()) {
            Ok(tls) => tls,
            Err(rule) => return refuse(rule),
        };
        plain.ssl_mode(if wish.encrypted { SslMode::Require } else { SslMode::Disable });
        plain.connect_timeout(config.connect_timeout);
        if plain.get_application_name().is_none() {
            plain.application_name("edge-cache");
        }
        let mut direct = plain.clone();
        add_options(&mut direct, &format!("-c statement_timeout={}", config.statement_timeout.as_millis()));
        let name = addresses(&plain).join(",");
        Ok(Self::Postgres(Box::new(PostgresTarget { direct, plain, tls, name })))
    }
}

impl Target {
    /// A server that takes no writes is refused: reads from a standby that lags would bring back what was purged.
    pub(super) fn only_primaries(&mut self) {
        if let Self::Postgres(target) = self {
            target.direct.target_session_attrs(TargetSessionAttrs::ReadWrite);
            target.plain.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
    }
}

impl PostgresTarget {
    /// Where the server is, in words: `postgres at 127.0.0.1:5432, database pitchey`.
    pub(crate) fn place(&self) -> String {
        let database = self.plain.get_dbname().or(self.plain.get_user()).unwrap_or("postgres");
        format!("postgres at {}, database {database}", addresses(&self.plain).join(" or "))
    }
}

/// Adds settings of the session to those that the URL names.
pub(crate) fn add_options(config: &mut Config, ours: &str) {
    let options = match config.get_options() {
        Some(theirs) => format!("{theirs} {ours}"),
        None => ours.to_owned(),
    };
    config.options(options);
}

fn addresses(config: &Config) -> Vec<String> {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{} port {port}", path.display()),
        }
    });
    hosts.collect()
}

/// `url` with whatever could hold a password replaced: between the first `:` of the user part and the last `@`, and the query.
pub(crate) fn redacted(url: &str) -> String {
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
        // What follows a colon and is no port may be what is left of a password.
        None => match rest.split_once(':') {
            Some((name, rest)) if !rest.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("{scheme}://{name}:***")
            }
            _ => format!("{scheme}://{rest}"),
        },
    }
}
