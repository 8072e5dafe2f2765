//! One tier: answers from its store, coalesces misses, stores what may be stored.

mod early;
mod fill;
mod forward;
mod future;
mod heads;
pub(crate) mod layer;
mod lookup;
mod parts;
mod past;
mod plain;
pub(crate) mod plan;
mod respond;
mod service;
mod slow;
mod stale;

pub(crate) use self::fill::keep::keep;
pub use self::{
    future::ResponseFuture,
    heads::{Stamps, Style},
    layer::{TierConfig, TierLayer},
    plain::{AtOnce, LookedUp, PlainHit},
    service::Tier,
};
