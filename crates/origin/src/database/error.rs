use edge_cache_core::BoxError;

/// Why a statement gave no answer, by what the caller does next. The source is the driver's own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The database cannot be reached or takes no more work: answer 503, try again later, count it against the breaker.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// What failed.
        reason: Unavailable,
        /// The driver's error, or the last failed connect.
        source: Option<BoxError>,
    },
    /// The statement ran into `statement_timeout` or was cancelled (57014).
    #[error("the statement was cancelled")]
    Timeout {
        /// The driver's error.
        source: BoxError,
    },
    /// The statement lost against another one (40001, 40P01, 55P03, SQLite busy): a repetition may succeed.
    #[error("the statement gave way to another one")]
    Contention {
        /// The driver's error.
        source: BoxError,
    },
    /// The rows break a rule of the schema (23*): the caller's data is at fault.
    #[error("the rows break the {kind:?} rule {name}")]
    Constraint {
        /// Which sort of rule.
        kind: ConstraintKind,
        /// The constraint's name on Postgres, `table.column` on SQLite; empty where the database names none.
        name: String,
        /// The driver's error.
        source: BoxError,
    },
    /// The statement is wrong: a bug here, or a schema that is not ours.
    #[error("the statement failed")]
    Query {
        /// The driver's error.
        source: BoxError,
    },
    /// A column is missing or of another type than asked for.
    #[error("column {column} is not {expected}")]
    Decode {
        /// The column's name.
        column: String,
        /// The type asked for.
        expected: &'static str,
    },
}

/// Why a database is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// No connection could be opened.
    #[error("cannot connect")]
    Connect,
    /// No connection was open in time.
    #[error("no connection was free in time")]
    PoolTimeout,
    /// The connection broke under the statement, or the server is going down (08*, 57P0*).
    #[error("the connection broke")]
    Broken,
    /// No answer came, not even a refusal.
    #[error("the server does not answer")]
    Stalled,
    /// The server takes no writes (25006): it is a standby. Nothing was written.
    #[error("the server takes no writes")]
    ReadOnly,
    /// Every way to the database failed a moment ago and is left alone. Nothing was sent.
    #[error("it failed a moment ago and is left alone")]
    BreakerOpen,
    /// Too many wait for it, or waited too long. Nothing was sent.
    #[error("too many requests wait for it")]
    Overloaded,
    /// The server is out of something (53*), or its files cannot be used.
    #[error("the server is out of resources")]
    Resources,
}

/// Sorts of schema rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConstraintKind {
    /// A second row with the same key.
    Unique,
    /// A reference to a row that does not exist, or from one that still does.
    ForeignKey,
    /// A value out of its range.
    Check,
    /// A value that must not be missing.
    NotNull,
    /// Any other.
    Other,
}

/// A connection that could not be opened. Names the place and never the password; the source says why.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {place}")]
pub struct ConnectError {
    pub(super) place: String,
    #[source]
    pub(super) source: BoxError,
}

/// The connect took longer than it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
pub(super) struct ConnectTimeout(pub(super) std::time::Duration);

/// The server was asked whether it is there, and did not say so.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server is silent")]
pub(super) struct Silent;

/// Whoever wanted the connection does not any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("given up: nobody wants it any more")]
pub(super) struct NotWanted;

impl DbError {
    pub(super) fn unavailable(reason: Unavailable, source: impl Into<BoxError>) -> Self {
        Self::Unavailable { reason, source: Some(source.into()) }
    }

    /// Whether the database, not the statement, is at fault.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Why the database is unavailable, if it is.
    #[must_use]
    pub fn unavailability(&self) -> Option<Unavailable> {
        match self {
            Self::Unavailable { reason, .. } => Some(*reason),
            _ => None,
        }
    }

    /// The sort of schema rule that was broken, if that is what happened.
    #[must_use]
    pub fn constraint(&self) -> Option<ConstraintKind> {
        match self {
            Self::Constraint { kind, .. } => Some(*kind),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // Without an answer from the server the connection itself is what failed; a bad parameter never got that far.
            let broken = error.is_closed()
                || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
            return match broken {
                true => Self::unavailable(Unavailable::Broken, error),
                false => Self::Query { source: error.into() },
            };
        };
        let code = db.code().code();
        let name = db.constraint().or(db.column()).unwrap_or_default().to_owned();
        let kind = match code {
            "23505" | "23P01" => ConstraintKind::Unique,
            "23503" => ConstraintKind::ForeignKey,
            "23514" => ConstraintKind::Check,
            "23502" => ConstraintKind::NotNull,
            _ => ConstraintKind::Other,
        };
        match code {
            "57014" => Self::Timeout { source: error.into() },
            "40001" | "40P01" | "55P03" => Self::Contention { source: error.into() },
            _ if code.starts_with("08") || code.starts_with("57P") => Self::unavailable(Unavailable::Broken, error),
            // A failover left this connection on a standby.
            "25006" => Self::unavailable(Unavailable::ReadOnly, error),
            _ if code.starts_with("53") => Self::unavailable(Unavailable::Resources, error),
            _ if code.starts_with("23") => Self::Constraint { kind, name, source: error.into() },
            _ => Self::Query { source: error.into() },
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let rusqlite::Error::SqliteFailure(failure, message) = &error else {
            return Self::Query { source: error.into() };
        };
        match failure.code {
            Code::OperationInterrupted => Self::Timeout { source: error.into() },
            Code::DatabaseBusy | Code::DatabaseLocked => Self::Contention { source: error.into() },
            Code::CannotOpen
            | Code::SystemIoFailure
            | Code::DiskFull
            | Code::DatabaseCorrupt
            | Code::NotADatabase
            | Code::ReadOnly
            | Code::PermissionDenied
            | Code::OutOfMemory => Self::unavailable(Unavailable::Resources, error),
            Code::ConstraintViolation => {
                use rusqlite::ffi;
                let kind = match failure.extended_code {
                    ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => ConstraintKind::Unique,
                    ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ConstraintKind::ForeignKey,
                    ffi::SQLITE_CONSTRAINT_CHECK => ConstraintKind::Check,
                    ffi::SQLITE_CONSTRAINT_NOTNULL => ConstraintKind::NotNull,
                    _ => ConstraintKind::Other,
                };
                let name = message.as_deref().and_then(|text| text.rsplit_once(": "));
                let name = name.map(|(_, name)| name.to_owned()).unwrap_or_default();
                Self::Constraint { kind, name, source: error.into() }
            }
            _ => Self::Query { source: error.into() },
        }
    }
}
