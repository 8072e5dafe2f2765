//! The cache's state machine as Tower layers over a dumb [`Store`](edge_cache_core::Store).
//!
//! * [`KeyLayer`] builds the cache key once, applies what is declared about the route, and takes tag headers off answers.
//! * [`InvalidateLayer`] runs unsafe requests to their end and purges what their answers make stale.
//! * [`TierLayer`] answers from its store, coalesces misses into one fill that outlives whoever leads it, and stores what may be stored.
//!
//! Tiers stack: `Key · Invalidate · Tier<Memory> · Tier<Redis> · origin`. Each works alone, and other layers may stand between them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod body;
mod explain;
mod flight;
pub mod identity;
pub mod invalidate;
mod keeper;
pub mod key;
mod keyed;
mod notes;
mod outliving;
mod purger;
mod shared_body;
mod target;
pub mod tier;
mod variants;

pub use self::{
    body::{RequestBody, TierBody},
    explain::{Explainer, Held, TierReport},
    identity::IdentityWatch,
    invalidate::{AfterWrite, Invalidate, InvalidateLayer},
    keeper::Keeper,
    key::{Decided, Decision, Key, KeyLayer},
    keyed::{Bypassed, Keyed, Keying, Located, NoNewKeys, Refresh, Trusted},
    purger::{Audit, Backplane, Numbered, Purger, Receipt},
    target::{Purge, Target, TargetError},
    tier::{AtOnce, LookedUp, PlainHit, Stamps, Style, Tier, TierConfig, TierLayer},
};
