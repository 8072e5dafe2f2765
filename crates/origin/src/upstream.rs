//! An HTTP origin behind a pooled client.
//!
//! An origin that gives no answer is answered for: 502 when it cannot be reached or breaks off, 504 when it is too slow, each with
//! `Retry-After`, so that a tier outside can serve stale and a client never sees a dropped connection.
//!
//! A request is sent once; only one that may be repeated and has no body is sent again, when it met a connection that had died idle.

mod body;
mod client;
mod config;
mod connector;
mod forwarding;
mod service;
mod tunnel;

pub use self::{
    body::UpstreamBody,
    client::{FromClient, InterimSink},
    config::{UpstreamConfig, UpstreamError},
    forwarding::{CDN_LOOP, has_passed},
    service::Upstream,
};
