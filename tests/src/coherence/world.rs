//! The servers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use edge_cache_origin::{
    database::{Database, DatabaseConfig},
    outbox,
};
use edge_cache_sandbox::{Postgres, Redis};
use tokio::{sync::RwLock, time::Instant};

use super::{Plan, Scenario, drill::OVERLAP, ledger::ITEMS, origin::Origin};
use crate::{Fault, Proxy, ProxyBuilder, Resp, eventually, patient_database};

pub(super) const NODES: usize = 3;

#[derive(Debug)]
pub(super) struct World {
    pub(super) origin: Origin,
    pub(super) database: Database,
    pub(super) redis: Redis,
    /// A replica, and who promotes it, where the scenario is about that.
    pub(super) replica: Option<(Redis, Redis)>,
    pub(super) nodes: Vec<Node>,
    _postgres: Postgres,
}

/// A node, and its way to Redis.
#[derive(Debug)]
pub(super) struct Node {
    proxy: RwLock<Option<Arc<Proxy>>>,
    toml: String,
    pub(super) fault: Option<Fault>,
    began: Instant,
    /// Until when it may be cut off, in milliseconds since `began`.
    cut_off_until: AtomicU64,
}

impl World {
    pub(super) async fn start(scenario: Scenario, plan: Plan) -> Self {
        let postgres = Postgres::builder().start().await.expect("Postgres starts");
        let config = DatabaseConfig { url: postgres.url().to_owned(), connections_max: 20, ..patient_database() };
        let database = Database::connect(config).await.expect("Postgres answers");
        let items = format!(
            "CREATE TABLE items (id bigint PRIMARY KEY, version bigint NOT NULL); \
             INSERT INTO items SELECT id, 1 FROM generate_series(0, {ITEMS} - 1) AS id"
        );
        database.batch(&items).await.expect("the table is made");
        outbox::install(&database).await.expect("the outbox is made");
        let origin = Origin::start(database.clone()).await;
        let (redis, replica) = servers(scenario).await;
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let fault = match replica {
                Some(_) => None,
                None => Some(Fault::before(redis.port()).await),
            };
            let way = match (&fault, &replica) {
                (Some(fault), _) => format!("url = \"redis://{}/0\"", fault.address),
                (None, Some((_, sentinel))) => format!(
                    "url = \"redis://127.0.0.1:{}/0\"\ntopology = \"sentinel\"\nwait_replicas = 1\nfailover_overlap = \"{}s\"",
                    sentinel.port(),
                    OVERLAP.as_secs()
                ),
                (None, None) => unreachable!("there is a fault or a sentinel"),
            };
            let toml = format!(
                "[origin]\nurl = \"http://{}\"\n[database]\nurl = \"{}\"\nconnections_max = 2\n\
                 [outbox]\nenabled = true\ngrace = \"1s\"\n[redis]\n{way}\nlease = \"{}ms\"\nacknowledge_timeout = \"10s\"\n\
                 [log]\nfilter = \"warn\"\n",
                origin.address,
                postgres.url(),
                plan.lease.as_millis()
            );
            let proxy = ProxyBuilder::config(&toml).start().await;
            nodes.push(Node {
                proxy: RwLock::new(Some(Arc::new(proxy))),
                toml,
                fault,
                began: Instant::now(),
                cut_off_until: AtomicU64::new(0),
            });
        }
        let world = Self { origin, database, redis, replica, nodes, _postgres: postgres };
        for node in &world.nodes {
            node.in_step().await;
        }
        world
    }

    /// The share of reads that a node held, over all that still run.
    pub(super) async fn hits(&self) -> f64 {
        let (mut hits, mut all) = (0.0, 0.0);
        for node in &self.nodes {
            let Some(proxy) = node.proxy().await else { continue };
            // The end may have come while it was halted.
            proxy.resume();
            let metrics = proxy.metrics().await;
            hits += metrics.sum("edge_cache_requests_total", &[("result", "hit")]);
            hits += metrics.sum("edge_cache_requests_total", &[("result", "stale")]);
            all += metrics.sum("edge_cache_requests_total", &[]);
        }
        if all == 0.0 { 0.0 } else { hits / all }
    }
}

/// A Redis; with a replica and a sentinel where one is to fail over.
async fn servers(scenario: Scenario) -> (Redis, Option<(Redis, Redis)>) {
    if scenario != Scenario::Failover {
        return (Redis::start().await.expect("Redis starts"), None);
    }
    // A primary that no replica follows takes no writes: what it acknowledges is not lost with it.
    let careful = || Redis::builder().setting("min-replicas-to-write", "1").setting("min-replicas-max-lag", "1");
    let primary = careful().start().await.expect("Redis starts");
    let replica = careful().setting("replicaof", format!("127.0.0.1 {}", primary.port()));
    let replica = replica.start().await.expect("Redis starts");
    let sentinel = Redis::builder().sentinel(primary.port(), "").start().await.expect("the sentinel starts");
    eventually("the replica follows", async || {
        Resp::connect(primary.port()).await.info("replication").await.contains("state=online").then_some(())
    })
    .await;
    (primary, Some((replica, sentinel)))
}

impl Node {
    pub(super) async fn proxy(&self) -> Option<Arc<Proxy>> {
        self.proxy.read().await.clone()
    }

    pub(super) async fn address(&self) -> Option<SocketAddr> {
        Some(self.proxy().await?.address)
    }

    pub(super) async fn admin(&self) -> Option<SocketAddr> {
        Some(self.proxy().await?.admin_address())
    }

    /// Waits until it hears the others.
    pub(super) async fn in_step(&self) {
        let Some(proxy) = self.proxy().await else { return };
        eventually("the node is in step", async || {
            let ready = proxy.admin().get("/health/ready").send().await.json();
            (ready["parts"]["backplane"] == "ok" && ready["backplane"]["subscribed"] == true).then_some(())
        })
        .await;
    }

    /// It may be cut off from now on.
    pub(super) fn may_be_cut_off(&self) {
        self.cut_off_until.store(u64::MAX, Ordering::SeqCst);
    }

    /// It hears the others again.
    pub(super) fn is_back(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.cut_off_until.store(now, Ordering::SeqCst);
    }

    /// Whether it may have been cut off at `at`, or since.
    pub(super) fn was_cut_off(&self, at: Instant) -> bool {
        let at = u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        self.cut_off_until.load(Ordering::SeqCst) > at
    }

    /// Kills the process.
    pub(super) async fn kill(&self) {
        let killed = self.proxy.write().await.take();
        // Killed when the last request to it has found out.
        drop(killed);
    }

    /// Starts a new one.
    pub(super) async fn start(&self) {
        let proxy = ProxyBuilder::config(&self.toml).start().await;
        *self.proxy.write().await = Some(Arc::new(proxy));
    }
}
