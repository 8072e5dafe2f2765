//! What is broken.

use std::time::Duration;

use tokio::time::sleep;

use super::{Plan, ledger::Ledger, readers::Dice, world::World};
use crate::{Resp, Way, eventually};

/// What is broken, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing.
    Quiet,
    /// Redis is killed and comes back empty.
    RedisKilled,
    /// Redis is halted and goes on.
    RedisPaused,
    /// Redis forgets everything.
    RedisFlushed,
    /// One node's way to Redis is cut, or goes silent.
    Partitioned,
    /// The primary is killed and a replica takes its place.
    Failover,
    /// One node is killed and starts again.
    NodeKilled,
    /// One node is halted for longer than its lease, and goes on.
    NodePaused,
    /// The origin fails.
    OriginFails,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Quiet,
        Self::RedisKilled,
        Self::RedisPaused,
        Self::RedisFlushed,
        Self::Partitioned,
        Self::Failover,
        Self::NodeKilled,
        Self::NodePaused,
        Self::OriginFails,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::RedisKilled => "redis-killed",
            Self::RedisPaused => "redis-paused",
            Self::RedisFlushed => "redis-flushed",
            Self::Partitioned => "partitioned",
            Self::Failover => "failover",
            Self::NodeKilled => "node-killed",
            Self::NodePaused => "node-paused",
            Self::OriginFails => "origin-fails",
        }
    }
}

/// How long an old primary may take writes: `failover_overlap` of the nodes.
pub(super) const OVERLAP: Duration = Duration::from_secs(2);

/// Breaks and mends until it is dropped.
pub(super) async fn run(scenario: Scenario, world: &World, ledger: &Ledger, plan: Plan) {
    let mut dice = Dice::new(plan.seed ^ 77);
    // After a failover nothing is acknowledged until an old primary can take no writes any more.
    let whole = match scenario {
        Scenario::Failover => (plan.lease + OVERLAP) * 2,
        _ => plan.lease.mul_f64(0.5),
    };
    loop {
        sleep(whole).await;
        // Shorter than a lease, or longer.
        let lasts = plan.lease.mul_f64(0.3 + dice.below(150) as f64 / 100.0);
        ledger.broke();
        once(scenario, world, &mut dice, lasts).await;
        sleep(plan.lease.mul_f64(0.5)).await;
    }
}

async fn once(scenario: Scenario, world: &World, dice: &mut Dice, lasts: Duration) {
    const DONE: &str = "the sandbox does as it is told";
    let node = &world.nodes[dice.below(world.nodes.len())];
    match scenario {
        Scenario::Quiet => sleep(lasts).await,
        Scenario::RedisKilled => {
            world.redis.kill().await.expect(DONE);
            sleep(lasts).await;
            world.redis.restart().await.expect(DONE);
            all_in_step(world).await;
        }
        Scenario::RedisPaused => {
            world.redis.pause().await.expect(DONE);
            sleep(lasts).await;
            world.redis.resume().await.expect(DONE);
            all_in_step(world).await;
        }
        Scenario::RedisFlushed => {
            Resp::connect(world.redis.port()).await.flush().await;
            sleep(lasts).await;
        }
        Scenario::Partitioned => {
            let fault = node.fault.as_ref().expect("there is a way to break");
            node.may_be_cut_off();
            fault.make(if dice.below(2) == 0 { Way::Silent } else { Way::Closed });
            sleep(lasts * 2).await;
            fault.make(Way::Open);
            node.in_step().await;
            node.is_back();
        }
        Scenario::Failover => failover(world, lasts).await,
        Scenario::NodeKilled => {
            node.kill().await;
            sleep(lasts).await;
            node.start().await;
            node.in_step().await;
        }
        Scenario::NodePaused => {
            let Some(proxy) = node.proxy().await else { return };
            node.may_be_cut_off();
            proxy.pause();
            sleep(lasts * 2).await;
            proxy.resume();
            node.in_step().await;
            node.is_back();
        }
        Scenario::OriginFails => {
            world.origin.fail(true);
            sleep(lasts).await;
            world.origin.fail(false);
            sleep(lasts).await;
        }
    }
}

async fn all_in_step(world: &World) {
    for node in &world.nodes {
        node.in_step().await;
    }
}

async fn failover(world: &World, lasts: Duration) {
    const DONE: &str = "the sandbox does as it is told";
    let (replica, sentinel) = world.replica.as_ref().expect("there is a replica");
    let port = primary(sentinel.port()).await;
    let killed = if port == world.redis.port() { &world.redis } else { replica };
    sentinel.down_after(Duration::from_millis(500)).await.expect(DONE);
    killed.kill().await.expect(DONE);
    eventually("the sentinel names another primary", async || (primary(sentinel.port()).await != port).then_some(()))
        .await;
    sentinel.down_after(Duration::from_secs(60)).await.expect(DONE);
    sleep(lasts).await;
    // It comes back as the replica that the sentinel makes of it: empty until it has what the new primary has.
    killed.restart().await.expect(DONE);
    let now = primary(sentinel.port()).await;
    eventually("the other follows", async || {
        Resp::connect(now).await.info("replication").await.contains("state=online").then_some(())
    })
    .await;
    all_in_step(world).await;
}

async fn primary(sentinel: u16) -> u16 {
    Resp::connect(sentinel).await.primary().await
}
