//! Two nodes behind a balancer, restarted one after the other under load: a pass without warming, and one with it.

mod balancer;
mod figures;
mod node;
mod report;
mod seat;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use edge_cache_sandbox::Redis;
use tokio::time::{Instant, sleep_until};

use self::balancer::Balancer;
pub(crate) use self::figures::{Figures, WINDOW, Window};
use self::node::{Behind, Node, Restart};
use self::report::{Report, render};
use self::seat::Seat;
use super::args::Args;
use super::phases::{Phases, Rolling};
use super::{Outcome, progress};
use crate::load::catalogue::Catalogue;
use crate::load::cluster::Cluster;
use crate::load::plan::Plan;
use crate::load::recorder::Recorder;
use crate::load::running::Running;
use crate::load::timeline::Timeline;

const DATABASE: &str = "drill";

/// Everything that was seen of one pass.
#[derive(Clone, Debug)]
struct Pass {
    phases: Phases,
    /// The clients' side.
    timeline: Timeline,
    /// Queries of both nodes in each second; `None` where they were not told.
    queries: Vec<Option<f64>>,
    restarts: [Restart; 2],
}

/// Runs both passes, and judges them.
///
/// # Errors
/// When a server cannot be started, stopped or watched.
pub(super) async fn run(args: &Args) -> anyhow::Result<Outcome> {
    let schedule = Rolling::new(args.warmup(), args.seconds);
    progress(format_args!("starting Postgres and seeding {} pitches", args.pitches));
    let (cluster, seeded) = Cluster::start(args.data()).await?;
    let catalogue = Arc::new(cluster.catalogue(&seeded).await?);
    let plan = Arc::new(Plan::new(&args.offer(schedule.end), &catalogue));
    let seats = [Seat::empty(), Seat::empty()];
    // One for both passes: its address is part of every key.
    let balancer = Balancer::start(seats.clone())?;
    let fleet = Fleet { args, schedule, cluster: &cluster, seats: &seats, balancer: &balancer };
    let without = fleet.pass((&plan, &catalogue), false).await?;
    let with = fleet.pass((&plan, &catalogue), true).await?;
    cluster.stop().await?;
    let report = Report::new(args, &without, &with);
    Ok(Outcome { text: render(&report), json: report.json()?, held: report.held() })
}

/// What both passes have in common.
#[derive(Clone, Copy, Debug)]
struct Fleet<'a> {
    args: &'a Args,
    schedule: Rolling,
    cluster: &'a Cluster,
    seats: &'a [Arc<Seat>; 2],
    balancer: &'a Balancer,
}

impl Fleet<'_> {
    /// The load before nodes and a database that nobody has asked yet.
    async fn pass(&self, load: (&Arc<Plan>, &Arc<Catalogue>), warmed: bool) -> anyhow::Result<Pass> {
        let Self { args, schedule, cluster, seats, balancer } = *self;
        let (rate, end, word) = (args.rate(), schedule.end, if warmed { "with" } else { "without" });
        progress(format_args!(
            "{rate} reads/s for {end} s {word} warming, restarts from second {}",
            schedule.restarts[0]
        ));
        let url = cluster.copy(DATABASE).await?;
        let redis = if args.redis { Some(Redis::start().await?) } else { None };
        let behind = Behind { database_url: &url, redis_url: redis.as_ref().map_or("", Redis::url), warmed };
        let (first, second) =
            tokio::try_join!(Node::start(behind, Arc::clone(&seats[0])), Node::start(behind, Arc::clone(&seats[1])),)?;
        let running = Running::begin(load, balancer.address, args.clients(), Recorder::by_second(end)).await?;
        let start = running.start;
        let (looks, restarted) = tokio::join!(
            watch::until(seats, start, start + Duration::from_secs(u64::from(end))),
            restart([first, second], start, schedule),
        );
        let (nodes, restarts) = restarted?;
        let timeline = running.ended().await?.timeline.unwrap_or_default();
        for node in nodes {
            node.stop().await?;
        }
        cluster.drop_copy(DATABASE).await?;
        let queries = watch::by_second(&looks, end);
        Ok(Pass { phases: Phases::rolling(&schedule), timeline, queries, restarts })
    }
}

/// Restarts one node after the other when it is time; the second not before the first is back.
async fn restart(nodes: [Node; 2], start: Instant, schedule: Rolling) -> anyhow::Result<([Node; 2], [Restart; 2])> {
    let [first, second] = nodes;
    let [for_first, for_second] = schedule.restarts.map(|second| start + Duration::from_secs(u64::from(second)));
    sleep_until(for_first).await;
    let (first, one) = first.restart(start).await?;
    sleep_until(for_second).await;
    let (second, other) = second.restart(start).await?;
    Ok(([first, second], [one, other]))
}
