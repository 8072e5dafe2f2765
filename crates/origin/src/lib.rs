//! Origins: the pooled database and the HTTP upstream
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod database;
pub mod outbox;
mod permits;
pub mod tls;
pub mod upstream;
mod work;

pub use self::{
    permits::{Permit, Permits},
    work::Work,
};
