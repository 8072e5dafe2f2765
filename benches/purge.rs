//! What does a purge cost that covers a million entries, and when do other nodes have it? Three nodes over a private Redis, in one process;
//! every entry of the first bears the tags that are purged.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache::{
    MemoryConfig, MemoryStore,
    core::{
        CacheKey, Entry, Freshness, Head, KeyParts, Kind, PackedHeaders, Store, TagHash, TagSet, Timestamp,
        marker::{Markers, Published, PurgeKind, Verdict},
    },
};
use edge_cache_redis::{Certainty, RedisBackplane, RedisConfig, RedisStore};
use edge_cache_sandbox::Redis;
use http::StatusCode;
use tokio::time::Instant;

const ENTRIES: usize = 1_000_000;
const PURGES: usize = 1_000;

struct Node {
    markers: Arc<Markers>,
    backplane: RedisBackplane,
}

impl Node {
    fn start(redis: &Redis) -> Self {
        let config = RedisConfig { url: redis.url().to_owned(), ..RedisConfig::default() };
        let markers = Arc::new(Markers::shared(config.lease, true));
        let store = RedisStore::new(config).expect("the server is named rightly");
        let backplane = store.backplane(Arc::clone(&markers)).expect("the server is named rightly");
        tokio::spawn(backplane.clone().follow());
        Self { markers, backplane }
    }
}

fn entry(markers: &Markers, tags: &TagSet) -> Entry {
    let at = Timestamp::from_secs(1_700_000_000);
    let freshness =
        Freshness { born: at, stored: at, fresh_until: at, revalidate_until: at, error_until: at, stale_allowed: true };
    let start = markers.start();
    let head = Head {
        kind: Kind::Response,
        status: StatusCode::OK,
        headers: PackedHeaders::default(),
        freshness,
        fence: start.fence,
        tags: tags.clone(),
        fill_millis: 0,
    };
    Entry::new(head, Bytes::from_static(b"body"), start)
}

fn key(n: usize) -> CacheKey {
    let path = format!("/{n}");
    CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path: &path, query: "" })
}

#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn print(mut self, name: &str) {
        self.0.sort_unstable();
        let at = |share: f64| self.0[((self.0.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
        println!("{name:<44} {:>8.3} {:>8.3} {:>8.3}", at(0.5), at(0.99), at(1.0));
    }
}

#[tokio::main]
async fn main() {
    let redis = Redis::start().await.expect("redis-server is installed");
    let nodes = [Node::start(&redis), Node::start(&redis), Node::start(&redis)];
    let one = &nodes[0];
    let ready = |node: &Node| node.markers.in_step() && node.backplane.following().nodes == nodes.len();
    while !nodes.iter().all(ready) {
        tokio::task::yield_now().await;
    }
    // Until Redis knows that no lease of before can be left.
    while purge(one, &TagHash::user("settling")).await.1 == Certainty::LeasesOver {}

    let store = MemoryStore::new(&MemoryConfig { capacity_bytes: 4 << 30, ..MemoryConfig::default() });
    let tag = |n: usize| TagHash::user(&format!("tag-{}", n % 16));
    let tags = TagSet::from_hashes((0..16).map(tag).collect());
    for n in 0..ENTRIES {
        store.put(key(n), entry(&one.markers, &tags), Duration::from_secs(3600)).await.expect("memory takes all");
    }
    let held = || store.count(|entry| one.markers.judge(entry) == Verdict::Live);
    assert_eq!(held(), ENTRIES);

    let (mut numbered, mut elsewhere, mut acknowledged) = (Times::default(), Times::default(), Times::default());
    for n in 0..PURGES {
        let there = entry(&nodes[1].markers, &tags);
        let began = Instant::now();
        let (other, markers) = (there.clone(), Arc::clone(&nodes[1].markers));
        let watch = tokio::spawn(async move {
            while markers.judge(&other) == Verdict::Live {
                tokio::task::yield_now().await;
            }
            began.elapsed()
        });
        let (took, certainty) = purge(one, &tag(n)).await;
        acknowledged.0.push(began.elapsed());
        assert_eq!(certainty, Certainty::Confirmed);
        numbered.0.push(took);
        elsewhere.0.push(watch.await.expect("it only looks"));
    }
    assert_eq!(held(), 0, "not one of them is served");
    println!("{ENTRIES} entries with 16 tags each, {PURGES} purges, ms{:>6} {:>8} {:>8}", "p50", "p99", "max");
    numbered.print("purged on its own node, numbered by Redis");
    elsewhere.print("purged on another node");
    acknowledged.print("acknowledged: confirmed by two other nodes");
}

/// Purges: how long until it counted on its own node with a number, and what the acknowledgement rests on.
async fn purge(node: &Node, tag: &TagHash) -> (Duration, Certainty) {
    let began = Instant::now();
    let ticket = node.markers.defer(PurgeKind::Soft, &[*tag]);
    let delivery = node.backplane.publish(&ticket, None).await.expect("Redis answers");
    let Published { incarnation, seq, .. } = delivery.published;
    node.markers.settle(&ticket, incarnation, seq);
    let took = began.elapsed();
    (took, node.backplane.acknowledge(delivery).await.expect("Redis answers"))
}
