//! Multi-tier edge cache for Rust services: memory, Redis and coalescing as one Tower layer.
//!
//! ```
//! use axum::{Router, http::header::CACHE_CONTROL, routing::get};
//! use edge_cache::EdgeCache;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = EdgeCache::builder().build()?;
//! let app: Router = Router::new()
//!     .route("/", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "hello") }))
//!     .layer(cache.layer());
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! The layer works on any service of `http` requests whose bodies are `Bytes`: a hyper service, an axum `Router`, a single handler.
//! The inner error type stays as it is, request extensions and path parameters survive, and bodies need not be `Sync`.
//! See `examples/` for a plain hyper server, an axum router, and one tier alone.
//!
//! What a response may do is decided by RFC 9111; [`Mode::Guarded`] adds rules of the field. A handler names the tags of its answer
//! in `Cache-Tag`, and the answer to a write names what it made stale in `Cache-Group-Invalidation` (RFC 9875).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod builder;
mod cache;
mod cached;
pub mod compress;
mod disk;
mod governor;
pub mod identity;
pub mod settings;
pub mod warm;

pub use edge_cache_core::{
    self as core,
    marker::{PurgeKind, Standing},
    route::Route,
};
pub use edge_cache_disk::{DiskConfig, DiskError, DiskStore};
pub use edge_cache_memory::{MemoryConfig, MemoryStore};
pub use edge_cache_origin as origin;
pub use edge_cache_policy::{self as policy, Mode};
pub use edge_cache_redis::{
    Acknowledge, BackplaneError, Following, RedisConfig, RedisConfigError, RedisStore, Topology,
};
pub use edge_cache_telemetry::{self as telemetry, Metrics};
pub use edge_cache_tier::{self as tier, Audit, Purge, Purger, Receipt, Target, TargetError, TierConfig};
pub use edge_cache_warmer::{self as warmer, HotSet};
pub use edge_cache_wire as wire;
pub use ipnet::IpNet;

pub use self::{
    builder::{BuildError, EdgeCacheBuilder},
    cache::{EdgeCache, EdgeCacheLayer},
    cached::{Arrival, Cached, CachedBody, Hit, HitBody, ResponseFuture},
    governor::Governed,
    identity::IdentityCheck,
    settings::{Settings, SettingsError, TelemetrySettings, WarmSettings},
    warm::Warmer,
};
