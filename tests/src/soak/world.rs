//! The servers.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_core::{Clock, SystemClock};
use edge_cache_pitchey::SeedOptions;
use edge_cache_sandbox::{Postgres, Redis};
use tempfile::TempDir;
use tokio::sync::RwLock;

use crate::{
    Client, Ended, Proxy, ProxyBuilder, Samples, eventually,
    pki::{Authority, Issued},
    pooled_database,
};

pub(super) const NODES: usize = 2;
/// Of the nodes; the default.
pub(super) const LEASE: Duration = Duration::from_secs(5);
/// Longer than it takes a node to ask Postgres again.
pub(super) const BREAKER: Duration = Duration::from_secs(6);
/// How long a write may take that is acknowledged strictly: the default.
pub(super) const ACKNOWLEDGE: Duration = Duration::from_secs(6);
/// Connections to Postgres of each node.
pub(super) const POOL: u32 = 8;

/// What entries may take in memory, and the requests that are remembered: so little that both are full when the warm-up ends, and a node that has
/// room left cannot be taken for one that leaks, nor the other way round.
const MEMORY_BYTES: u64 = 4 << 20;
const REQUESTS_KEPT: u32 = 1024;
const PITCHES: u32 = 500;
/// Pitches that are written.
const WRITTEN: usize = 50;
const SEED: u64 = 1;
/// Who owns them, in turn.
pub(super) const OWNERS: [i64; 2] = [1, 2];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    Creator,
    Production,
    Viewer,
}

impl Who {
    pub(super) const fn id(self) -> Option<i64> {
        match self {
            Self::Nobody => None,
            Self::Creator => Some(1),
            Self::Production => Some(2),
            Self::Viewer => Some(4),
        }
    }

    pub(super) fn token(self) -> Option<String> {
        let at = usize::try_from(self.id()? - 1).ok()?;
        edge_cache_pitchey::tokens(SEED).into_iter().nth(at).map(|(_, token)| token)
    }
}

pub(super) struct World {
    pub(super) authority: Authority,
    pub(super) postgres: Postgres,
    pub(super) redis: Redis,
    /// Pitches that are written, and who owns each.
    pub(super) written: Vec<(i64, Who)>,
    /// Public pitches that nobody writes.
    pub(super) others: Vec<i64>,
    pub(super) nodes: Vec<Node>,
}

/// A node. Its places are the same in each of its lives.
pub(super) struct Node {
    proxy: RwLock<Option<Proxy>>,
    pub(super) plain: SocketAddr,
    pub(super) tls: SocketAddr,
    pub(super) admin: SocketAddr,
    config: PathBuf,
    /// All but the places and what reloads change.
    toml: String,
    process: AtomicU32,
    lives: AtomicU64,
    /// Exit codes and what was logged of lives that are over.
    pub(super) ended: Mutex<Vec<Ended>>,
    listen: RwLock<String>,
    _folder: TempDir,
}

impl World {
    pub(super) async fn start(apart: bool) -> Self {
        let postgres = Postgres::builder().start().await.expect("Postgres starts");
        let redis = Redis::start().await.expect("Redis starts");
        let (written, others) = seed(postgres.url()).await;
        let authority = Authority::new();
        let tls = authority.shown(&authority.issue("localhost"));
        let mut nodes = Vec::new();
        for nth in 0..NODES {
            let prefix = if apart { nth } else { 0 };
            let toml = format!(
                "{tls}[origin]\nkind = \"pitchey\"\n\
                 [database]\nurl = \"{}\"\nconnections_max = {POOL}\nqueue_timeout = \"10s\"\nacquire_timeout = \"10s\"\nstatement_timeout = \"10s\"\n\
                 [memory]\ncapacity_bytes = {MEMORY_BYTES}\n\
                 [redis]\nurl = \"{}\"\nkey_prefix = \"soak{prefix}\"\nwrite_timeout = \"7s\"\n\
                 [telemetry]\nrequests_kept = {REQUESTS_KEPT}\n\
                 [log]\nfilter = \"warn\"\n",
                postgres.url(),
                redis.url(),
            );
            nodes.push(Node::start(toml).await);
        }
        let world = Self { authority, postgres, redis, written, others, nodes };
        for node in &world.nodes {
            node.in_step().await;
        }
        world
    }

    /// Renews the certificate that the nodes show, once they read it; its bytes.
    pub(super) fn renew(&self) -> Issued {
        let issued = self.authority.issue("localhost");
        self.authority.shown(&issued);
        issued
    }
}

/// Fills the database; the pitches that are to be written with their owners, and other public ones.
async fn seed(url: &str) -> (Vec<(i64, Who)>, Vec<i64>) {
    let database = pooled_database(url).await;
    let now = SystemClock.now();
    edge_cache_pitchey::migrate(&database, now).await.expect("the tables are made");
    let options = SeedOptions { pitches: PITCHES, seed: SEED };
    edge_cache_pitchey::seed(&database, options, now).await.expect("they are filled");
    let sql =
        "SELECT id FROM pitches WHERE status = 'published' AND visibility = 'public' ORDER BY view_count DESC, id";
    let rows = database.query(sql, &[]).await.expect("there are pitches");
    let public: Vec<i64> = rows.iter().map(|row| row.int("id").expect("an id")).collect();
    let (written, others) = public.split_at(WRITTEN);
    let written: Vec<_> = written.iter().zip([Who::Creator, Who::Production].iter().cycle()).collect();
    for (id, owner) in &written {
        let owner = owner.id().expect("an owner is somebody");
        database
            .batch(&format!(
                "UPDATE pitches SET user_id = {owner}, title = 'Soak {id} v0', tagline = 'Soak {id} v0', \
                 logline = 'Soak {id} v0' WHERE id = {id}"
            ))
            .await
            .expect("a pitch gets an owner");
    }
    (written.into_iter().map(|(id, owner)| (*id, *owner)).collect(), others.to_vec())
}

fn listen(plain: &str, tls: &str, admin: &str) -> String {
    format!("[listen]\naddress = \"{plain}\"\nmore_addresses = [\"https://{tls}\"]\nadmin = \"{admin}\"\n")
}

/// The limits, and a route: what a reload changes.
fn live(nth: u64) -> String {
    let route = match nth % 2 {
        0 => "",
        _ => "[[route]]\nname = \"once\"\npath = \"/api/content/about\"\nuncacheable = true\n",
    };
    format!("[limits]\nsend_timeout = \"5s\"\nheaders_max = {}\n{route}", 60 + nth % 20)
}

impl Node {
    async fn start(toml: String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("cache-proxy.toml");
        let any = "127.0.0.1:0";
        let proxy = launch(&config, &format!("{}{toml}{}", listen(any, any, any), live(0))).await;
        let tls = proxy.announced("listening https://").await;
        Self {
            plain: proxy.address,
            tls,
            admin: proxy.admin_address(),
            config,
            toml,
            process: AtomicU32::new(proxy.process_id()),
            lives: AtomicU64::new(0),
            ended: Mutex::default(),
            listen: RwLock::new(listen(any, any, any)),
            proxy: RwLock::new(Some(proxy)),
            _folder: folder,
        }
    }

    /// Where its clients connect.
    pub(super) const fn place(&self, tls: bool) -> SocketAddr {
        if tls { self.tls } else { self.plain }
    }

    pub(super) const fn admin(&self) -> Client {
        Client::new(self.admin)
    }

    /// The number of its process, and of its life.
    pub(super) fn process(&self) -> (u32, u64) {
        (self.process.load(Ordering::SeqCst), self.lives.load(Ordering::SeqCst))
    }

    /// Waits until it hears the other one, and its database answers.
    pub(super) async fn in_step(&self) {
        eventually("the node is in step", async || {
            let ready = self.admin().get("/health/ready").try_send().await.ok()?.json();
            let parts = &ready["parts"];
            let well = ["backplane", "redis", "database"].iter().all(|part| parts[*part] == "ok");
            (well && ready["backplane"]["subscribed"] == true).then_some(())
        })
        .await;
    }

    /// Has it read its configuration, with `wrong` at its end; whether it took it.
    pub(super) async fn reload(&self, nth: u64, wrong: &str) -> bool {
        let count = async |result| {
            Samples::scrape(self.admin).await.sum("edge_cache_config_reloads_total", &[("result", result)])
        };
        let before = (count("applied").await, count("refused").await);
        let text = format!("{}{}{}{wrong}", self.listen.read().await, self.toml, live(nth));
        std::fs::write(&self.config, text).expect("the folder takes files");
        self.proxy.read().await.as_ref().expect("it runs").hang_up();
        eventually("the configuration is read", async || {
            let after = (count("applied").await, count("refused").await);
            (after != before).then_some(after.0 > before.0)
        })
        .await
    }

    /// Stops it in order.
    pub(super) async fn stop(&self) {
        let Some(proxy) = self.proxy.write().await.take() else { return };
        proxy.terminate();
        let ended = proxy.ended().await;
        self.ended.lock().expect("nobody panics with it").push(ended);
    }

    /// Stops it in order and starts it again in the same places.
    pub(super) async fn restart(&self) {
        self.stop().await;
        let places = listen(&self.plain.to_string(), &self.tls.to_string(), &self.admin.to_string());
        let proxy = launch(&self.config, &format!("{places}{}{}", self.toml, live(0))).await;
        *self.listen.write().await = places;
        self.lives.fetch_add(1, Ordering::SeqCst);
        self.process.store(proxy.process_id(), Ordering::SeqCst);
        *self.proxy.write().await = Some(proxy);
        self.in_step().await;
    }
}

async fn launch(config: &Path, toml: &str) -> Proxy {
    std::fs::write(config, toml).expect("the folder takes files");
    // Without huge pages: with them the kernel makes whole ones of 2 MiB out of scattered ones when it has time, and what a node takes then grows by
    // what it never asked for.
    ProxyBuilder::config_file(config).env("MIMALLOC_ALLOW_THP", "0").start().await
}
