//! Where clients and operators come in: TLS, proxies in front, sockets in the file system, limits, and another configuration while all that goes on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod commands;
mod forwarded;
mod limits;
mod listeners;
mod reload;
mod tls;

use edge_cache_tests::pki;
