//! The breaker around a service.

mod classify;
mod error;
mod future;
mod service;

pub use self::{
    classify::{Classify, Verdict},
    error::BreakerError,
    future::ResponseFuture,
    service::{BreakerLayer, BreakerService},
};

#[cfg(all(test, not(edge_cache_loom)))]
mod tests;
