//! How each server is started: with what it needs for the question and nothing else.

mod cache_proxy;
mod haproxy;
mod nginx;
mod own;
mod varnish;

pub(crate) use cache_proxy::CacheProxy;
pub(crate) use own::{
    bare_cache, bare_proxy, crates, floor, floor_at_once, floor_of_many, floor_on, origin, origin_on,
};
pub(crate) use varnish::start as varnish;

use crate::{bench::Bench, server::Server};

/// How much caches of the system may keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Of all entries, in units of 2^20 bytes.
    pub(crate) mebibytes: u64,
    /// Clients at once.
    pub(crate) connections: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { mebibytes: 512, connections: 2000 }
    }
}

/// The caches of the system that are installed and wanted, in front of `origin`.
pub(crate) fn of_the_system(bench: &Bench, origin: &Server, room: Room) -> anyhow::Result<Vec<Server>> {
    let all = [
        haproxy::start(bench, origin, room)?,
        nginx::start(bench, origin, room)?,
        varnish::start(bench, origin, room)?,
    ];
    Ok(all.into_iter().flatten().collect())
}
