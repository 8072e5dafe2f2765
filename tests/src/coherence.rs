//! A checker of the promise that a purge is final, over real servers.
//!
//! Several nodes, a Redis and a Postgres run; writers raise versions in rows and have them purged, readers note what they are given, and
//! meanwhile something is broken, again and again. A read that begins after a purge was acknowledged must not bring a version from before
//! it. Two answers are excepted, as the promise says: one that tells that it is stale because the origin failed after a soft purge, and one
//! of a node that is cut off from Redis, for at most the lease.

mod drill;
mod ledger;
mod origin;
mod readers;
mod report;
mod wire;
mod world;
mod writers;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

pub(crate) use self::readers::Dice;
pub use self::{drill::Scenario, report::Report};
use self::{ledger::Ledger, world::World};

/// How long and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long readers read.
    pub duration: Duration,
    /// The lease of the nodes: what is broken stays so for about as long.
    pub lease: Duration,
    /// Choices are drawn from this.
    pub seed: u64,
}

/// Runs `scenario` by `plan`.
///
/// # Panics
/// When a server does not start.
pub async fn run(scenario: Scenario, plan: Plan) -> Report {
    let ledger = Arc::new(Ledger::new(plan.lease));
    let world = Arc::new(World::start(scenario, plan).await);
    let writers = writers::start(&world, &ledger, plan.seed);
    let readers = readers::start(&world, &ledger, plan.seed);
    tokio::select! {
        () = sleep(plan.duration) => {}
        () = drill::run(scenario, &world, &ledger, plan) => {}
    }
    drop(readers);
    drop(writers);
    let hits = world.hits().await;
    ledger.report(scenario, hits)
}
