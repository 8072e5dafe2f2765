//! The metric catalogue, the layer that counts requests, and the set-up of logs.
//!
//! Every metric of the project is in [`Metrics`]: name, unit and meaning in one place. Labels are closed enums and declared route
//! names, never a raw path or key, so their number is bounded.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod gauges;
mod logs;
mod metrics;
pub mod observe;

pub use self::{
    gauges::{Reading, Unit},
    logs::{LogFormat, check_filter, init_logs},
    metrics::Metrics,
    observe::{Observe, ObserveLayer},
};
