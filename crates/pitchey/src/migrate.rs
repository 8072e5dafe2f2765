//! Brings a database to the newest schema.

use edge_cache_core::Timestamp;
use edge_cache_origin::database::{Database, DbError, Dialect, Value};

use crate::dialect;

/// The tables that the migrations make.
pub(crate) const TABLES: [&str; 14] = [
    "content_items",
    "follows",
    "investments",
    "ndas",
    "pitch_characters",
    "pitch_documents",
    "pitch_likes",
    "pitch_search",
    "pitch_views",
    "pitches",
    "pitchey_schema",
    "saved_pitches",
    "sessions",
    "users",
];

/// Why [`migrate`] gave up. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The database belongs to something else: choose another one, or [`migrate_beside`] those tables.
    #[error("the database holds tables that are not Pitchey's: {}", tables.join(", "))]
    Foreign {
        /// Their names, at most five.
        tables: Vec<String>,
    },
    /// The schema is from a newer release of this crate.
    #[error("the schema is version {found}, this release knows {known}")]
    Newer {
        /// The version found.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Brings `db` to the newest schema; does nothing where it is there already. Safe to run from several processes at once.
///
/// # Errors
/// [`MigrateError::Foreign`] where the database holds somebody else's tables, and the others of [`MigrateError`].
pub async fn migrate(db: &Database, now: Timestamp) -> Result<(), MigrateError> {
    let mut tables = foreign_tables(db).await?;
    if !tables.is_empty() {
        tables.truncate(5);
        return Err(MigrateError::Foreign { tables });
    }
    migrate_beside(db, now).await
}

/// Like [`migrate`], in a database that may hold other tables as well. A table of ours that is already there is still an error.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate_beside(db: &Database, now: Timestamp) -> Result<(), MigrateError> {
    let dialect = db.dialect();
    let mut tx = db.begin_long().await?;
    if let Some(lock) = dialect::migration_lock(dialect) {
        tx.batch(lock).await?;
    }
    let time = match dialect {
        Dialect::Postgres => "timestamptz",
        Dialect::Sqlite => "integer",
    };
    tx.batch(&format!(
        "CREATE TABLE IF NOT EXISTS pitchey_schema (version bigint PRIMARY KEY, applied_at {time} NOT NULL)"
    ))
    .await?;
    let rows = tx.query("SELECT CAST(COALESCE(MAX(version), 0) AS bigint) AS version FROM pitchey_schema", &[]).await?;
    let found = rows.first().map_or(Ok(0), |row| row.int("version"))?;
    let migrations = dialect::migrations(dialect);
    let known = migrations.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for (version, sql) in migrations.into_iter().filter(|(version, _)| *version > found) {
        tx.batch(sql).await?;
        let applied = [Value::Int(version), Value::Time(now)];
        tx.execute("INSERT INTO pitchey_schema (version, applied_at) VALUES ($1, $2)", &applied).await?;
    }
    Ok(tx.commit().await?)
}

/// Whether `db` holds tables that are not Pitchey's.
///
/// # Errors
/// See [`DbError`].
pub async fn is_foreign(db: &Database) -> Result<bool, DbError> {
    Ok(!foreign_tables(db).await?.is_empty())
}

/// The tables in `db` that are not Pitchey's. Without our version table even a table called `users` is somebody else's.
async fn foreign_tables(db: &Database) -> Result<Vec<String>, DbError> {
    let rows = db.query(dialect::tables(db.dialect()), &[]).await?;
    let mut names = rows.iter().map(|row| row.text("name")).collect::<Result<Vec<_>, _>>()?;
    if names.iter().any(|name| name == "pitchey_schema") {
        names.retain(|name| !TABLES.contains(&name.as_str()));
    }
    Ok(names)
}
