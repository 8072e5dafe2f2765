//! What an operator sees: the metric [catalogue], the layer that watches requests, the access log, traces, and the set-up of logs.
//!
//! Every metric of the project is in the [catalogue]: name, unit and meaning in one place. Labels are closed enums and declared names, never a
//! raw path or key, so their number is bounded.
//!
//! ```
//! use edge_cache_telemetry::{Metrics, Reading, catalogue};
//!
//! let metrics = Metrics::new();
//! metrics.read_at_scrape(Reading::gauge(&catalogue::MEMORY_ENTRIES, || 3.0));
//! assert!(metrics.render().contains("edge_cache_memory_entries 3.0"));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
pub mod catalogue;
mod finished;
mod histogram;
mod logs;
mod metrics;
pub mod observe;
#[cfg(feature = "otlp")]
mod otlp;
mod readings;
mod recent;
mod requests;
mod routes;
mod shard;
#[cfg(test)]
mod testing;
mod text;
mod watch;

#[cfg(feature = "otlp")]
pub use self::otlp::{OtlpError, OtlpSpans};
pub use self::{
    access::{AccessFormat, AccessLog},
    finished::{Agent, Finished, OnFinished},
    histogram::Distribution,
    logs::{LogFilter, LogFormat, LogGuard, check_filter, init_logs},
    metrics::{Metrics, SeenPurge},
    observe::{Hit, HitRecord, Hits, Observe, ObserveLayer},
    readings::Reading,
    requests::{Requests, SeenRequest},
    routes::{ResultSnapshot, RouteSnapshot},
    watch::Watch,
};
