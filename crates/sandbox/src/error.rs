//! Why a server did not do as told.

use std::{io, path::PathBuf, time::Duration};

/// Why a private server could not be started, stopped or asked; sorted by what helps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Install the package.
    #[error(
        "no `{binary}` in {}: install it with `apt-get install {package}`",
        list(.searched)
    )]
    MissingBinary {
        /// The program that is missing.
        binary: &'static str,
        /// The Debian and Ubuntu package that brings it.
        package: &'static str,
        /// Where it was looked for, in order.
        searched: Vec<PathBuf>,
    },
    /// Run as another user, or create one: Postgres and PgBouncer refuse to run as root.
    #[error("running as root, and there is no user `postgres` or `nobody` to run the server as")]
    NoUnprivilegedUser,
    /// Correct the name or the value.
    #[error("`{0}` cannot be used here: only names of letters, digits, `_`, `-` and `.`, and values of one line")]
    BadName(String),
    /// Read the log: the server ended by itself.
    #[error("{server} ended while {doing}; the end of its log:\n{log}")]
    Ended {
        /// `postgres`, `initdb`, `pg_basebackup`, `pgbouncer` or `redis-server`.
        server: &'static str,
        /// What was being waited for.
        doing: &'static str,
        /// The last lines of the log.
        log: String,
    },
    /// Look at the load of the machine, then at the log.
    #[error("{server} was still {doing} after {waited:?}; the end of its log:\n{log}")]
    TimedOut {
        /// `postgres`, `pgbouncer` or `redis-server`.
        server: &'static str,
        /// What was being waited for.
        doing: &'static str,
        /// How long.
        waited: Duration,
        /// The last lines of the log.
        log: String,
    },
    /// Start the server first.
    #[error("{0} is not running")]
    NotRunning(&'static str),
    /// The server answered with an error, or the connection to it failed.
    #[error("postgres could not be asked")]
    Postgres(#[from] tokio_postgres::Error),
    /// The machine refused something basic.
    #[error("could not {doing}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: wraps the system's answer to `doing`.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

fn list(folders: &[PathBuf]) -> String {
    let shown: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
    if shown.is_empty() { "any folder".to_owned() } else { shown.join(", ") }
}
