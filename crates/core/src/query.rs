//! Declared query parameters: one description that the cache key and the handlers both read, so that they cannot disagree.
//!
//! A [`QuerySpec`] turns every spelling of one question into one [`Query`], and refuses what the handler would refuse.
//! That bounds the key space of a route: numbers are clamped, texts folded and cut, unknown parameters dropped.
//!
//! ```
//! use edge_cache_core::query::{Fold, Param, QuerySpec};
//!
//! let spec = QuerySpec::new([
//!     Param::int("limit", Some(20), 1, 50),
//!     Param::text("q", Fold::Words, 2, 100).required(),
//! ]);
//! let query = spec.canonicalize("utm_source=x&q=++The%20LAST++Train&limit=900")?;
//! assert_eq!(query.int("limit"), Some(50));
//! assert_eq!(query.text("q"), Some("the last train"));
//! assert_eq!(query.as_str(), "limit=50&q=the%20last%20train");
//! assert_eq!(
//!     spec.canonicalize("q=fox&limit=-1").unwrap_err().to_string(),
//!     "limit: must be a whole number from 1 to 50",
//! );
//! # Ok::<(), edge_cache_core::query::QueryError>(())
//! ```

mod canonical;
mod fold;
mod param;
mod percent;
#[cfg(test)]
mod tests;

pub use canonical::{Query, QueryError, QuerySpec};
pub use fold::Fold;
pub use param::{Param, ParamKind};
