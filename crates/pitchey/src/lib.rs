//! The Pitchey domain: a marketplace's read and write endpoints over one [`Database`], its migrations and its seed data.
//!
//! This crate holds the only SQL. Handlers answer what a cache may keep and for how long (`CDN-Cache-Control`), what an answer shows
//! (`Cache-Tag`) and what a write makes stale (`Cache-Group-Invalidation`); they know no cache.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use edge_cache_core::{Clock, SystemClock};
//! use edge_cache_origin::database::{Database, DatabaseConfig};
//! use edge_cache_pitchey::{PitcheyOptions, SeedOptions, migrate, router, seed};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = DatabaseConfig { url: "sqlite:pitchey.db".into(), ..DatabaseConfig::default() };
//! let db = Database::connect(config).await?;
//! let now = SystemClock.now();
//! migrate(&db, now).await?;
//! let seeded = seed(&db, SeedOptions { pitches: 500, seed: 1 }, now).await?;
//! for (user_type, token) in &seeded.tokens {
//!     println!("{user_type}: Authorization: Bearer {token}");
//! }
//! let app: axum::Router = router(db, PitcheyOptions::new(Arc::new(SystemClock)));
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! [`Database`]: edge_cache_origin::database::Database

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app;
mod body;
mod cors;
mod dialect;
pub mod endpoints;
mod error;
mod explain;
mod migrate;
mod outbox;
mod pitch;
mod reads;
mod respond;
mod seed;
mod session;
mod stale;
mod tags;
mod text;
mod writes;

pub use app::{PitcheyOptions, router};
pub use endpoints::{Access, Endpoint, endpoints, routes};
pub use explain::{Explainable, explainable};
pub use migrate::{MigrateError, is_foreign, migrate, migrate_beside};
pub use outbox::{NO_TRIGGERS, TRIGGERS, Writer, drop_triggers, install_triggers};
pub use seed::{SeedError, SeedOptions, Seeded, is_seeded, seed, tokens};
pub use session::SESSION_COOKIE;
