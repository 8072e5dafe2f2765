//! An HTTP origin, or several with the same content, each behind a pooled client and a breaker.
//!
//! An origin that gives no answer is answered for: 502 when it cannot be reached or breaks off, 504 when it is too slow, 503 when it is
//! left alone or cannot prove who it is, each with `Retry-After`, so that a tier outside can serve stale and a client never sees a dropped connection.
//!
//! A request is sent once. Only one that may be repeated and has no body is sent again: on a new connection when it met one that had died
//! idle, and to another origin when the first failed, within a budget. What was not sent, for want of a connection, may go to another
//! origin in any case.

mod balance;
mod body;
mod client;
mod config;
mod connector;
mod failed;
mod forwarding;
mod health;
mod instead;
mod member;
mod pool;
mod said;
mod secure;
mod send;
mod service;
mod spare;
mod target;
#[cfg(test)]
mod tests;
mod tunnel;

pub use self::{
    body::UpstreamBody,
    client::{FromClient, InterimSink},
    config::{UpstreamConfig, UpstreamError},
    forwarding::{CDN_LOOP, has_passed},
    member::OriginState,
    service::Upstream,
    target::Target,
};
