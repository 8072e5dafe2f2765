//! `cache-proxy serve` in front of HTTP origins: a third party's, and one that does as the test says; and the other commands.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod admin;
mod balancing;
mod coalescing;
mod compression;
mod directives;
mod drill;
mod gateway;
mod interim;
mod large;
mod operating;
mod parts;
mod passing;
mod policies;
mod process;
mod purging;
mod python;
mod secrets;
mod secure_origin;
mod stale;
mod storing;
mod streaming;
mod tunnels;
mod unsafe_methods;
mod warming;
mod warming_pace;
