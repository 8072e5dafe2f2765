//! The layers over a scripted origin, with time held still.
#![allow(clippy::unwrap_used, missing_docs)]

mod coalescing;
mod cut_off;
mod early;
mod freshness;
mod head;
mod invalidation;
mod leases;
mod moving;
mod origin;
mod parts;
mod parts_of_more;
mod pressure;
mod purging;
mod reuse;
mod tiers;
