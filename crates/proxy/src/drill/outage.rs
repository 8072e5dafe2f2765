//! One fault under load: prepare, warm up, break, mend, and look on all the while.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use edge_cache_sandbox::Redis;

use super::args::{Args, Scenario};
use super::fault::Fault;
use super::observed::Observed;
use super::phases::{Phases, Schedule};
use super::progress;
use super::warm::{bound, fill};
use super::watch::Watch;
use super::way::Way;
use crate::load::catalogue::Catalogue;
use crate::load::cluster::Cluster;
use crate::load::mode::Mode;
use crate::load::plan::Plan;
use crate::load::recorder::Recorder;
use crate::load::running::Running;
use crate::load::server::Server;

const DATABASE: &str = "drill";

/// Runs it.
///
/// # Errors
/// When a server cannot be started, broken, mended or stopped.
pub(crate) async fn run(args: &Args) -> anyhow::Result<Observed> {
    let schedule = Schedule::new(args.seconds);
    progress(format_args!("starting Postgres and seeding {} pitches", args.pitches));
    let (cluster, seeded) = Cluster::start(args.data()).await?;
    let catalogue = Arc::new(cluster.catalogue(&seeded).await?);
    let plan = Arc::new(plan(args, schedule, &catalogue));
    let url = cluster.copy(DATABASE).await?;
    let way = Way::before(cluster.port()).await?;
    let url = if args.scenario == Scenario::OriginSlow { way.url(&url) } else { url };
    let redis = Redis::start().await?;
    let server = Server::start(Mode::MemoryRedis, &url, redis.url()).await?;
    let questions = fill(&server, &plan, &catalogue).await?;
    let (rate, fault, heal, end) = (args.rate(), schedule.fault, schedule.heal, schedule.end);
    progress(format_args!(
        "{questions} questions are stored; {rate} reads/s for {end} s, the fault from second {fault} to {heal}"
    ));

    let away = Cell::new(false);
    let fault = match args.scenario {
        Scenario::RedisDown | Scenario::Exhaustion | Scenario::RollingRestart => Fault::RedisKilled(&redis),
        Scenario::RedisStalled => Fault::RedisHalted(&redis),
        Scenario::OriginDown => Fault::DatabaseKilled { cluster: &cluster, admin: server.admin, away: &away },
        Scenario::OriginSlow => Fault::DatabaseSlow(&way),
    };
    let watch = Watch { cluster: &cluster, database: DATABASE, admin: server.admin, away: &away };
    let recorder = Recorder::by_second(schedule.end);
    let load = Running::begin((&plan, &catalogue), server.address, args.clients(), recorder).await?;
    let start = load.start;
    let end = start + Duration::from_secs(u64::from(schedule.end));
    let (samples, times) = tokio::join!(watch.until(start, end), fault.drive(start, schedule));
    let times = times?;
    let timeline = load.ended().await?.timeline.unwrap_or_default();
    server.stop().await?;
    cluster.stop().await?;
    Ok(Observed { phases: Phases::around(schedule, times), timeline, samples, times: Some(times), refused: None })
}

/// The whole mix where the cache's own tier fails. Where the origin fails the promise is about what was answered before: questions whose
/// number is bounded; beside them, to keep a slow database busy, those that nobody asked before.
fn plan(args: &Args, schedule: Schedule, catalogue: &Catalogue) -> Plan {
    let mut plan = Plan::new(&args.offer(schedule.end), catalogue);
    match args.scenario {
        Scenario::RedisDown | Scenario::RedisStalled | Scenario::Exhaustion | Scenario::RollingRestart => {}
        Scenario::OriginDown => bound(&mut plan, catalogue, |_| false),
        Scenario::OriginSlow => bound(&mut plan, catalogue, |read| !read.known() && read.storable()),
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Call;
    use crate::load::read::Read;

    fn beside(scenario: Scenario) -> bool {
        let plan = plan(&Args::made_up(scenario), Schedule::new(15), &Catalogue::made_up(5_000));
        plan.shots.iter().any(|shot| matches!(shot.call, Call::Read(Read::SearchOnce { .. })))
    }

    #[test]
    fn only_an_origin_that_is_gone_is_asked_nothing_new() {
        assert!(beside(Scenario::RedisDown) && beside(Scenario::OriginSlow));
        assert!(!beside(Scenario::OriginDown));
    }
}
