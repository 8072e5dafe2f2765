//! A crowd before a small database: the incident, and the same with pool and cache.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use edge_cache_sandbox::Redis;

use super::args::Args;
use super::observed::Observed;
use super::phases::Phases;
use super::progress;
use super::watch::{Sample, Watch};
use crate::load::catalogue::Catalogue;
use crate::load::cluster::Cluster;
use crate::load::mode::Mode;
use crate::load::plan::Plan;
use crate::load::recorder::Recorder;
use crate::load::running::Running;
use crate::load::server::Server;
use crate::load::timeline::Timeline;

/// The incident needs no longer to show.
const DIRECT_SECONDS_MAX: u32 = 4;

/// Runs it.
///
/// # Errors
/// When a server cannot be started or stopped, or the clients cannot connect before the load.
pub(crate) async fn run(args: &Args) -> anyhow::Result<Observed> {
    progress(format_args!("starting Postgres and seeding {} pitches", args.pitches));
    let (cluster, seeded) = Cluster::start(args.data()).await?;
    let catalogue = Arc::new(cluster.catalogue(&seeded).await?);
    let (direct, full) = (args.seconds.min(DIRECT_SECONDS_MAX), args.seconds);
    progress(format_args!("{} clients without pool and cache for {direct} s", args.clients()));
    let (mut timeline, mut samples) = part(args, (&cluster, &catalogue), Mode::Direct, direct).await?;
    let before = cluster.refusals();
    progress(format_args!("{} clients before the full stack, from cold, for {full} s", args.clients()));
    let (later, seen) = part(args, (&cluster, &catalogue), Mode::MemoryRedis, full).await?;
    let refused = cluster.refusals().saturating_sub(before);
    timeline.append(later);
    let behind = Duration::from_secs(u64::from(direct));
    samples.extend(seen.into_iter().map(|sample| Sample {
        at: sample.at + behind,
        done: sample.done + behind,
        ..sample
    }));
    cluster.stop().await?;
    let phases = Phases::exhaustion(direct, full);
    Ok(Observed { phases, timeline, samples, times: None, refused: Some(refused) })
}

/// `seconds` of the whole mix before a server that has answered nothing yet.
async fn part(
    args: &Args,
    (cluster, catalogue): (&Cluster, &Arc<Catalogue>),
    mode: Mode,
    seconds: u32,
) -> anyhow::Result<(Timeline, Vec<Sample>)> {
    let plan = Arc::new(Plan::new(&args.offer(seconds), catalogue));
    let url = cluster.copy(mode.database()).await?;
    let redis = if mode.redis() { Some(Redis::start().await?) } else { None };
    let server = Server::start(mode, &url, redis.as_ref().map_or("", Redis::url)).await?;
    let recorder = Recorder::by_second(seconds);
    let load = Running::begin((&plan, catalogue), server.address, args.clients(), recorder).await;
    let load = load.with_context(|| format!("mode {}", mode.label()))?;
    let away = Cell::new(false);
    let watch = Watch { cluster, database: mode.database(), admin: server.admin, away: &away };
    let samples = watch.until(load.start, load.start + Duration::from_secs(u64::from(seconds))).await;
    let timeline = load.ended().await?.timeline.unwrap_or_default();
    server.stop().await?;
    cluster.drop_copy(mode.database()).await?;
    Ok((timeline, samples))
}
