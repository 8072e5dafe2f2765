//! Redis in the shapes that it has in production.

use std::{path::Path, time::Duration};

use edge_cache_core::{
    Store,
    marker::{PurgeKind, Verdict},
};
use edge_cache_redis::{Certainty, RedisConfig, Topology};
use edge_cache_sandbox::{Error, Redis};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use redis::{aio::MultiplexedConnection, cmd};
use tempfile::TempDir;

use crate::{
    PATIENCE, connect, copy, entry,
    nodes::{Node, config},
};

/// Entries and purges go through: two nodes share what is stored, and hear each other's purges.
async fn works(config: &RedisConfig) {
    let (one, other) = (Node::start(config.clone()).await, Node::start(config.clone()).await);
    share(&one, &other, "shared").await;
    one.settled().await;
    let held = entry(other.start(), "acknowledged");
    assert_eq!(one.purge(PurgeKind::Hard, "acknowledged").await.unwrap(), Certainty::Confirmed);
    assert_eq!(other.judge(&held), Verdict::Gone);
}

/// What one stored the other finds, until it is purged.
async fn share(one: &Node, other: &Node, tag: &str) {
    let found = copy(&one.store, one.start(), tag).await;
    let found = other.admit(&found).expect("the other follows the same order");
    assert_eq!(other.judge(&found), Verdict::Live);
    one.publish(PurgeKind::Hard, tag).await.unwrap();
    while other.judge(&found) != Verdict::Gone {
        tokio::task::yield_now().await;
    }
    let later = other.store.get(&crate::key(tag)).await.unwrap().unwrap();
    assert_eq!(one.judge(&one.admit(&later).unwrap()), Verdict::Gone);
}

/// Waits until every connection of `node` has found out where to go.
async fn works_again(node: &Node) {
    while node.publish(PurgeKind::Hard, "settling").await.is_err() {}
    while node.store.put(crate::key("/"), entry(node.start(), "/"), Duration::from_secs(60)).await.is_err() {}
    while node.store.get(&crate::key("/")).await.is_err() {}
}

/// As docs/purging.md says: `ACL SETUSER …`, in the next quotes the rights, and in the last what a cluster needs besides.
fn documented() -> (Vec<&'static str>, String) {
    let text = include_str!("../../../../docs/purging.md");
    let quoted: Vec<_> = text.lines().find(|line| line.contains("ACL SETUSER")).unwrap().split('`').collect();
    let (rights, of_a_cluster) = (quoted[3], quoted[quoted.len() - 2]);
    assert!(rights.starts_with("~* &{ec}:bp") && of_a_cluster.starts_with("+cluster"), "{quoted:?}");
    (rights.split_whitespace().collect(), of_a_cluster.replace("\\|", "|"))
}

#[tokio::test]
async fn a_user_with_a_password_and_only_the_rights_that_are_documented() {
    let redis = Redis::start().await.unwrap();
    let mut admin = connect(&redis).await;
    let mut rule = cmd("ACL");
    rule.arg("SETUSER").arg("cache").arg("on").arg(">s3cret");
    for right in documented().0 {
        rule.arg(right);
    }
    rule.query_async::<()>(&mut admin).await.unwrap();
    cmd("ACL").arg("SETUSER").arg("default").arg("off").query_async::<()>(&mut admin).await.unwrap();
    works(&config(&format!("redis://cache:s3cret@127.0.0.1:{}/0", redis.port()))).await;
    let wrong = config(&format!("redis://cache:wrong@127.0.0.1:{}/0", redis.port()));
    assert!(Node::start_alone(wrong).backplane.sync().await.is_err());
}

#[tokio::test]
async fn a_database_and_a_prefix_keep_caches_apart() {
    let redis = Redis::start().await.unwrap();
    let mut other_database = config(&format!("redis://127.0.0.1:{}/3", redis.port()));
    works(&other_database).await;
    let mut admin = connect(&redis).await;
    assert_eq!(cmd("DBSIZE").query_async::<u64>(&mut admin).await.unwrap(), 0);
    cmd("SELECT").arg(3).query_async::<()>(&mut admin).await.unwrap();
    assert_ne!(cmd("DBSIZE").query_async::<u64>(&mut admin).await.unwrap(), 0);
    let here = Node::start(other_database.clone()).await;
    other_database.key_prefix = "elsewhere".into();
    let elsewhere = Node::start(other_database).await;
    let found = copy(&here.store, here.start(), "a").await;
    assert!(elsewhere.admit(&found).is_none(), "it follows another order");
    assert!(elsewhere.store.get(&crate::key("a")).await.unwrap().is_none());
}

#[tokio::test]
async fn valkey_where_it_is_installed() {
    match Redis::builder().valkey().start().await {
        Ok(valkey) => works(&config(valkey.url())).await,
        Err(Error::MissingBinary { .. }) => eprintln!("valkey-server is not installed: nothing was tested"),
        Err(error) => panic!("{error}"),
    }
}

/// An authority, and what it signed.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a server, and a client");
        let signed = params.signed_by(&key, &ca).unwrap();
        for (name, pem) in [("ca.pem", ca.pem()), ("cert.pem", signed.pem()), ("key.pem", key.serialize_pem())] {
            std::fs::write(folder.path().join(name), pem).unwrap();
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    async fn redis(&self) -> Redis {
        let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| self.file(name));
        Redis::builder().tls(&cert, &key, &ca).start().await.unwrap()
    }

    fn config(&self, redis: &Redis) -> RedisConfig {
        RedisConfig {
            ca_file: self.file("ca.pem"),
            cert_file: self.file("cert.pem"),
            key_file: self.file("key.pem"),
            ..config(&format!("rediss://127.0.0.1:{}/0", redis.second_port()))
        }
    }
}

#[tokio::test]
async fn tls_with_an_authority_of_its_own_and_a_client_certificate() {
    let certificates = Certificates::new();
    let redis = certificates.redis().await;
    works(&certificates.config(&redis)).await;
}

#[tokio::test]
async fn tls_to_a_server_that_nobody_known_has_signed_for_is_refused() {
    let certificates = Certificates::new();
    let redis = certificates.redis().await;
    let stranger = Certificates::new();
    let unknown = RedisConfig { ca_file: stranger.file("ca.pem"), ..certificates.config(&redis) };
    let public = RedisConfig { ca_file: Path::new("").into(), ..certificates.config(&redis) };
    let unshown =
        RedisConfig { cert_file: Path::new("").into(), key_file: Path::new("").into(), ..certificates.config(&redis) };
    for refused in [unknown, public, unshown] {
        assert!(Node::start_alone(refused).backplane.sync().await.is_err());
    }
}

/// Three primaries, and a replica of the one that holds the markers.
struct Cluster {
    primaries: Vec<Redis>,
    replica: Redis,
    marked: usize,
}

impl Cluster {
    async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..4 {
            nodes.push(Redis::builder().cluster().start().await.unwrap());
        }
        let mut links = Vec::new();
        for node in &nodes {
            links.push(connect(node).await);
        }
        // Who begins with the same epoch as others settles that with them in time, and a replica that takes over before it has heard of it is not believed.
        for (link, epoch) in links.iter_mut().zip(1..) {
            cluster(link, "SET-CONFIG-EPOCH").arg(epoch).query_async::<()>(link).await.unwrap();
        }
        for (link, (first, last)) in links.iter_mut().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            cluster(link, "ADDSLOTSRANGE").arg(first).arg(last).query_async::<()>(link).await.unwrap();
        }
        for node in &nodes[1..] {
            let mut meet = cluster(&mut links[0], "MEET");
            meet.arg("127.0.0.1").arg(node.port()).arg(node.second_port());
            meet.query_async::<()>(&mut links[0]).await.unwrap();
        }
        for link in &mut links {
            while !info(link).await.contains("cluster_known_nodes:4") {
                tokio::task::yield_now().await;
            }
        }
        let slot: u16 = cluster(&mut links[0], "KEYSLOT").arg("{ec}:meta").query_async(&mut links[0]).await.unwrap();
        let marked = usize::from(slot / 5461).min(2);
        let id: String = cluster(&mut links[marked], "MYID").query_async(&mut links[marked]).await.unwrap();
        // Which the replica may not have been told yet.
        while cluster(&mut links[3], "REPLICATE").arg(&id).query_async::<()>(&mut links[3]).await.is_err() {
            tokio::task::yield_now().await;
        }
        for link in &mut links {
            while !info(link).await.contains("cluster_state:ok") || !knows_all(link).await {
                tokio::task::yield_now().await;
            }
        }
        let (rights, of_a_cluster) = documented();
        for link in &mut links {
            let mut rule = cmd("ACL");
            rule.arg("SETUSER").arg("cache").arg("on").arg(">s3cret").arg(&rights).arg(&of_a_cluster);
            rule.query_async::<()>(link).await.unwrap();
        }
        let replica = nodes.pop().unwrap();
        Self { primaries: nodes, replica, marked }
    }

    fn config(&self) -> RedisConfig {
        let mut urls = self.primaries.iter().map(|node| format!("redis://cache:s3cret@127.0.0.1:{}/0", node.port()));
        let (url, more_urls) = (urls.next().unwrap(), urls.collect());
        RedisConfig { topology: Topology::Cluster, more_urls, failover_overlap: Some(Duration::ZERO), ..config(&url) }
    }
}

fn cluster(_: &mut MultiplexedConnection, what: &str) -> redis::Cmd {
    let mut command = cmd("CLUSTER");
    command.arg(what);
    command
}

/// Whether a node of the cluster knows the other three, and what each primary began with.
async fn knows_all(link: &mut MultiplexedConnection) -> bool {
    let nodes: String = cluster(link, "NODES").query_async(link).await.unwrap();
    let primaries = nodes.lines().filter(|line| line.contains("master"));
    let mut epochs: Vec<&str> = primaries.filter_map(|line| line.split(' ').nth(6)).collect();
    epochs.sort_unstable();
    nodes.lines().count() == 4 && !nodes.contains("handshake") && epochs == ["1", "2", "3"]
}

async fn info(link: &mut MultiplexedConnection) -> String {
    cluster(link, "INFO").query_async(link).await.unwrap()
}

#[tokio::test]
async fn a_cluster_and_the_failover_of_the_primary_that_holds_the_markers() {
    let servers = Cluster::start().await;
    works(&servers.config()).await;
    let (one, other) = (Node::start(servers.config()).await, Node::start(servers.config()).await);
    one.settled().await;
    let before = copy(&one.store, one.start(), "before").await;
    // What lies on other shards is entries only.
    for n in 0..20 {
        copy(&one.store, one.start(), &format!("spread-{n}")).await;
    }
    let mut replica = connect(&servers.replica).await;
    while !cmd("INFO").arg("replication").query_async::<String>(&mut replica).await.unwrap().contains("link_status:up")
    {
        tokio::task::yield_now().await;
    }
    servers.primaries[servers.marked].kill().await.unwrap();
    while cluster(&mut replica, "FAILOVER").arg("TAKEOVER").query_async::<()>(&mut replica).await.is_err() {
        tokio::task::yield_now().await;
    }
    for node in [&one, &other] {
        while node.admit(&before).is_some() || !node.in_step() {
            tokio::task::yield_now().await;
        }
    }
    works_again(&one).await;
    works_again(&other).await;
    share(&one, &other, "after").await;
}

/// A primary, a replica and a sentinel.
struct Watched {
    primary: Redis,
    replica: Redis,
    sentinel: Redis,
}

impl Watched {
    async fn start() -> Self {
        let primary = Redis::builder().start().await.unwrap();
        let replica =
            Redis::builder().setting("replicaof", format!("127.0.0.1 {}", primary.port())).start().await.unwrap();
        let sentinel = Redis::builder().sentinel(primary.port(), "").start().await.unwrap();
        let mut link = connect(&sentinel).await;
        // Only a replica that the sentinel knows can follow.
        loop {
            let known: redis::Value =
                cmd("SENTINEL").arg("REPLICAS").arg("mymaster").query_async(&mut link).await.unwrap();
            if matches!(&known, redis::Value::Array(known) if !known.is_empty()) {
                break;
            }
            tokio::task::yield_now().await;
        }
        Self { primary, replica, sentinel }
    }

    fn config(&self) -> RedisConfig {
        RedisConfig {
            topology: Topology::Sentinel,
            failover_overlap: Some(Duration::ZERO),
            ..config(&format!("redis://127.0.0.1:{}/0", self.sentinel.port()))
        }
    }
}

#[tokio::test]
async fn sentinels_name_the_primary_and_the_next_one_after_a_failover() {
    fails_over(PATIENCE, async |primary| primary.kill().await.unwrap()).await;
}

/// A primary that is stopped closes no connection: who only listens there hears nothing for ever.
#[tokio::test]
async fn announcements_are_heard_at_the_next_primary_where_the_last_one_only_stopped() {
    let answers_within = Duration::from_secs(5);
    let servers = fails_over(answers_within, async |primary| primary.pause().await.unwrap()).await;
    let mut link = connect(&servers.0.replica).await;
    let mut listeners = 0;
    while listeners < 2 {
        let channels: Vec<String> = cmd("PUBSUB").arg("CHANNELS").arg("{ec}*").query_async(&mut link).await.unwrap();
        for channel in channels {
            (_, listeners) =
                cmd("PUBSUB").arg("NUMSUB").arg(channel).query_async::<(String, u32)>(&mut link).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
}

async fn fails_over(limit: Duration, stop: impl AsyncFn(&Redis)) -> (Watched, [Node; 2]) {
    let servers = Watched::start().await;
    works(&servers.config()).await;
    let config = RedisConfig { read_timeout: limit, write_timeout: limit, ..servers.config() };
    let (one, other) = (Node::start(config.clone()).await, Node::start(config).await);
    let before = copy(&one.store, one.start(), "before").await;
    servers.sentinel.down_after(Duration::from_millis(500)).await.unwrap();
    stop(&servers.primary).await;
    for node in [&one, &other] {
        while node.admit(&before).is_some() || !node.is_in_step() {
            tokio::task::yield_now().await;
        }
    }
    works_again(&one).await;
    works_again(&other).await;
    share(&one, &other, "after").await;
    (servers, [one, other])
}
