//! An HTTP origin behind a pooled client.
//!
//! An origin that gives no answer is answered for: 502 when it cannot be reached or breaks off, 504 when it is too slow, each with
//! `Retry-After`, so that a tier outside can serve stale and a client never sees a dropped connection.

mod body;
mod config;
mod service;

pub use self::{
    body::UpstreamBody,
    config::{UpstreamConfig, UpstreamError},
    service::Upstream,
};
