//! One mode from start to end: a fresh database, a fresh server, the load, and what it cost.

use std::sync::Arc;
use std::time::Duration;

use edge_cache_sandbox::Redis;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::args::Args;
use super::cold::{Cold, cold};
use crate::load::catalogue::Catalogue;
use crate::load::cluster::Cluster;
use crate::load::metrics::{CacheCounts, Counters};
use crate::load::mode::Mode;
use crate::load::plan::Plan;
use crate::load::recorder::{Load, Recorder};
use crate::load::running::Running;
use crate::load::scrape::scrape;
use crate::load::server::Server;
use crate::load::usage::cpu_time;

/// How often the database's connections are counted.
const SAMPLE: Duration = Duration::from_millis(200);

/// Everything measured in one mode; the counted window only, unless said.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) mode: Mode,
    /// What the clients saw.
    pub(crate) load: Load,
    /// Outcomes by the tiers' own counters.
    pub(crate) cache: CacheCounts,
    /// Hits ÷ reads that may be stored, from 0 to 1.
    pub(crate) hit_rate: Option<f64>,
    /// Hits ÷ all reads.
    pub(crate) hit_rate_all_reads: Option<f64>,
    /// The database's side.
    pub(crate) database: DatabaseUse,
    /// Processor time in per cent of one core.
    pub(crate) cpu: CpuUse,
    /// The cold key, where asked for.
    pub(crate) cold: Option<Cold>,
}

/// What the database had to do.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct DatabaseUse {
    /// Most client connections seen at once, warm-up included.
    pub(crate) connections_max: u64,
    /// Moments at which they were counted.
    pub(crate) connection_samples: u64,
    /// Statements, by the server's own counter.
    pub(crate) queries: Option<u64>,
    /// Transactions, by the database's statistics.
    pub(crate) transactions: u64,
}

/// Processor time in per cent of one core.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct CpuUse {
    pub(crate) database: f64,
    pub(crate) redis: f64,
    pub(crate) server: f64,
    pub(crate) generator: f64,
}

/// What all modes share.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) args: &'a Args,
    pub(crate) cluster: &'a Cluster,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) plan: Arc<Plan>,
}

/// Costs at one moment.
struct Moment {
    counters: Counters,
    transactions: u64,
    cpu: [Duration; 4],
    at: Instant,
}

impl Bench<'_> {
    /// Measures one mode.
    ///
    /// # Errors
    /// When a server cannot be started, watched or stopped.
    pub(crate) async fn measure(&self, mode: Mode) -> anyhow::Result<Measured> {
        let database_url = self.cluster.copy(mode.database()).await?;
        let redis = if mode.redis() { Some(Redis::start().await?) } else { None };
        let server = Server::start(mode, &database_url, redis.as_ref().map_or("", Redis::url)).await?;
        let cold = if self.args.cold { Some(cold(&server, self.args.clients as usize).await?) } else { None };
        let mut measured = self.load(mode, &server, redis.as_ref()).await?;
        measured.cold = cold;
        server.stop().await?;
        self.cluster.drop_copy(mode.database()).await?;
        Ok(measured)
    }

    async fn load(&self, mode: Mode, server: &Server, redis: Option<&Redis>) -> anyhow::Result<Measured> {
        let (sent, recorder) = ((&self.plan, &self.catalogue), Recorder::new());
        let load = Running::begin(sent, server.address, self.args.clients, recorder).await?;
        let start = load.start;
        let at = |us| start + Duration::from_micros(us);
        let watched = self.watch(mode, server, redis, at(self.plan.counted_from_us), at(self.plan.end_us));
        let (before, after, connections) = watched.await?;
        let recorder = load.ended().await?;

        let cache = after.counters.since(&before.counters);
        let load = recorder.figures(self.args.window().as_secs_f64());
        let seconds = (after.at - before.at).as_secs_f64();
        let percent = |which: usize| {
            let used = after.cpu[which].saturating_sub(before.cpu[which]);
            used.as_secs_f64() / seconds * 100.0
        };
        Ok(Measured {
            mode,
            hit_rate: cache.hit_rate(),
            hit_rate_all_reads: cache.hit_rate_over(load.reads),
            cache,
            load,
            database: DatabaseUse {
                connections_max: connections.most,
                connection_samples: connections.samples,
                queries: after.counters.queries_since(&before.counters),
                transactions: after.transactions.saturating_sub(before.transactions),
            },
            cpu: CpuUse { database: percent(0), redis: percent(1), server: percent(2), generator: percent(3) },
            cold: None,
        })
    }

    /// Counts connections all along, and the costs at both ends of the counted window.
    async fn watch(
        &self,
        mode: Mode,
        server: &Server,
        redis: Option<&Redis>,
        from: Instant,
        end: Instant,
    ) -> anyhow::Result<(Moment, Moment, Connections)> {
        let mut connections = Connections::default();
        self.sample_until(from, mode, &mut connections).await;
        let before = self.moment(mode, server, redis).await?;
        self.sample_until(end, mode, &mut connections).await;
        let after = self.moment(mode, server, redis).await?;
        Ok((before, after, connections))
    }

    async fn sample_until(&self, end: Instant, mode: Mode, connections: &mut Connections) {
        let mut ticks = interval(SAMPLE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = sleep_until(end) => return,
            }
            // Never inside the select: a query cut short would cost the only connection that a full server still grants.
            // A server in trouble may refuse even this one; then there is one sample less.
            if let Ok(count) = self.cluster.connections(mode.database()).await {
                connections.most = connections.most.max(count);
                connections.samples += 1;
            }
        }
    }

    async fn moment(&self, mode: Mode, server: &Server, redis: Option<&Redis>) -> anyhow::Result<Moment> {
        let counters = scrape(server.admin).await?;
        let transactions = self.cluster.transactions(mode.database()).await?;
        let server = server.pid().map_or(Duration::ZERO, cpu_time);
        let redis = redis.map_or(Duration::ZERO, Redis::cpu_time);
        let cpu = [self.cluster.cpu_time(), redis, server, cpu_time(std::process::id())];
        Ok(Moment { counters, transactions, cpu, at: Instant::now() })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Connections {
    most: u64,
    samples: u64,
}
