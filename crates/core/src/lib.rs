//! The vocabulary of edge-cache: what a key, an entry, a tag and a tier *are*.
//!
//! Nothing here does I/O or knows a runtime, so every other crate can depend on it. The HTTP rules live in
//! `edge-cache-policy`, the state machine in `edge-cache-tier`, storage in `edge-cache-memory` and `edge-cache-redis`.
//!
//! ```
//! use edge_cache_core::{CacheKey, KeyParts};
//!
//! let parts = KeyParts { scheme: "http", authority: "pitchey.example", tenant: "", path: "/api/stats", query: "" };
//! let key = CacheKey::new(&parts);
//! assert_eq!(key, CacheKey::new(&parts));
//! assert_ne!(key, CacheKey::new(&KeyParts { authority: "other.example", ..parts }), "the authority is part of the key");
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clock;
mod entry;
mod event;
mod freshness;
mod head;
pub mod headers;
mod key;
pub mod marker;
mod mode;
mod outcome;
mod packed;
pub mod query;
mod rng;
pub mod route;
mod store;
mod tag;
mod trace;
mod work;

/// A boxed error that can cross threads, as Tower's layers use it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub use self::{
    clock::{Clock, SharedClock, SystemClock, Timestamp, monotonic_millis},
    entry::{Entry, EntryMark, Handoff, Source},
    event::{Events, NoEvents, PurgeNote, PurgedBy, SharedEvents},
    freshness::{Freshness, Judgement},
    head::{Head, Kind},
    key::{CacheKey, KeyParts, KeyProbe},
    mode::Mode,
    outcome::{AskedBehind, Bypass, Disconnected, Fwd, NoStore, Outcome, Served},
    packed::{HeadError, Names, PackedHeaders},
    rng::{Rng, SharedRng, SystemRng},
    store::{FillLease, Lease, Store, StoreError, TierName},
    tag::{TagHash, TagSet, covering_prefix},
    trace::{RequestId, Step, TRACEPARENT, TraceContext, Trail},
    work::{ClientAddress, Deadline, Level, OwnRequest, Pressure, Priority, Upload},
};
