//! The one way to a database: Postgres through a bounded bb8 pool, or SQLite in this process, behind one API.
//!
//! The same SQL text serves both where both take it: parameters are `$1`, `$2`, …, times are [`Value::Time`], lists of texts and
//! JSON have their own values. What the two disagree about is the caller's to choose by [`Database::dialect`].
//!
//! ```no_run
//! use edge_cache_origin::database::{Database, DatabaseConfig, Value};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = DatabaseConfig { url: "sqlite:pitchey.db".into(), ..DatabaseConfig::default() };
//! let db = Database::connect(config).await?;
//! for row in db.query("SELECT id, title FROM pitches WHERE id < $1", &[Value::Int(5)]).await? {
//!     println!("{} {}", row.int("id")?, row.text("title")?);
//! }
//! let mut tx = db.begin().await?;
//! tx.execute("UPDATE pitches SET view_count = view_count + 1 WHERE id = $1", &[Value::Int(4)]).await?;
//! tx.commit().await?;
//! # Ok(())
//! # }
//! ```

mod chain;
mod checkout;
mod config;
mod connect_errors;
mod copy_text;
mod endpoint;
mod error;
mod handle;
mod postgres;
mod replica;
mod retry;
mod rfc3339;
mod row;
mod sqlite;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;
mod value;

pub use config::{ConfigError, DatabaseConfig, Dialect, Pooling};
pub use error::{ConnectError, ConstraintKind, DbError, Unavailable};
pub use handle::{Database, OpenError};
pub use replica::Purges;
pub use rfc3339::Rfc3339;
pub use row::Row;
pub use state::{EndpointState, PoolState, Role};
pub(crate) use target::{PostgresTarget, Target, add_options, redacted};
pub use transaction::Transaction;
pub use value::Value;
