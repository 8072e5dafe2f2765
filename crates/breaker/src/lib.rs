//! A circuit breaker that knows no cache.
//!
//! Closed until a number of calls in a row failed; then open, and calls are refused at once; after a reset time one call, the
//! probe, is let through: it closes the breaker or opens it for twice as long, up to a limit.
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

pub use self::breaker::{Breaker, BreakerConfig, Open, Permit, State};
