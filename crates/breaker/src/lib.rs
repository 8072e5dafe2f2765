//! A circuit breaker that knows no cache.
//!
//! Closed until calls fail: a number in a row, or a share of those that ended within a sliding window; a share of slow ones opens
//! it too, where it is told to. Then open, and calls are refused at once. After a reset time one call, the probe, is let through: if
//! it fails, the breaker opens for twice as long, up to a limit. If it goes well, two calls may be in flight, then four, eight and so
//! on, each after as many went well; past a limit it is closed. What a call learns counts only in the phase that it began in.
//!
//! [`Breaker`] is for calls made by hand, [`BreakerLayer`] for Tower services.
//!
//! ```
//! use edge_cache_breaker::{Breaker, BreakerConfig, State};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let breaker = Breaker::new(BreakerConfig::default());
//! for _ in 0..3 {
//!     breaker.try_acquire().expect("closed").failure();
//! }
//! assert_eq!(breaker.state(), State::Open);
//! assert!(breaker.try_acquire().is_err());
//! # });
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod breaker;
// Waits, which the models of threads do not know.
#[cfg(not(edge_cache_loom))]
mod call;
mod config;
mod layer;
// Waits, which the models of threads do not know.
#[cfg(not(edge_cache_loom))]
mod limit;
mod machine;
mod sync;
mod window;

#[cfg(all(test, edge_cache_loom))]
mod loom_tests;

#[cfg(not(edge_cache_loom))]
pub use self::limit::{Limiter, LimiterConfig, Load, Overloaded, Place};
pub use self::{
    breaker::{Breaker, BreakerCounts, Open, Permit, State},
    config::BreakerConfig,
    layer::{BreakerError, BreakerLayer, BreakerService, Classify, ResponseFuture, Verdict},
};
