//! The Redis tier's store, the backplane of purges, and leases on fills, and what is hot on all nodes.
//!
//! One multiplexed connection that reconnects by itself serves every small command; large values travel on a second one, so that
//! they do not stand in the way. Every operation has its own timeout, and a breaker refuses calls while Redis is away: a tier that
//! is down costs a miss, never a wait.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backplane;
mod config;
mod hot;
mod leases;
mod link;
mod lua;
mod name;
mod store;

pub use self::{
    backplane::{BackplaneError, Certainty, Delivery, Following, RedisBackplane},
    config::{Acknowledge, RedisConfig, RedisConfigError, Topology},
    hot::HotBoard,
    store::RedisStore,
};
