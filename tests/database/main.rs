//! The database under trouble: ways that close, servers that fall silent, poolers, failovers, deadlines.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod chain;
mod deadlines;
mod failover;
mod pooler;
mod replicas;
mod support;
mod tls;
