//! Origins: the pooled database and the HTTP upstream
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod database;
pub mod outbox;
pub mod upstream;
