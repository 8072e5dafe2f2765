//! What the disk tier costs on this machine: `cargo run --release -p edge-cache-disk --example cost [FOLDER]`.

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_core::{Clock, Kind, Store, SystemClock, TagHash, marker::PurgeKind};
use edge_cache_disk::{DiskConfig, open};
use edge_cache_testkit::contract::{entry, key, noise};
use tokio::time::Instant;

const ENTRIES: u64 = 100_000;
const KEEP: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (_temporary, path) = match std::env::args_os().nth(1) {
        Some(path) => (None, path.into()),
        None => tempfile::tempdir().map(|dir| (Some(dir.path().to_owned()), dir.keep()))?,
    };
    let config = DiskConfig { path, ..DiskConfig::default() };
    let clock = Arc::new(SystemClock);
    let began = Instant::now();
    let (store, order) = open(config.clone(), clock.clone())?;
    println!("open empty      {:?}", began.elapsed());

    let body = noise(1, 4096);
    let mut puts = Vec::new();
    let mut refused = 0;
    for n in 0..ENTRIES {
        let (key, entry) = (key(&format!("/{n}")), entry(Kind::Response, body.clone()));
        let began = Instant::now();
        refused += u64::from(store.put(key, entry, KEEP).await.is_err());
        puts.push(began.elapsed());
    }
    tell("put 4 KiB", puts);
    store.flush().await?;
    println!("refused         {refused}, entries {}, bytes {}", store.entries(), store.used_bytes());

    let mut gets = Vec::new();
    let mut misses = Vec::new();
    for n in 0..20_000 {
        let (there, not) = (key(&format!("/{}", n * 7919 % ENTRIES)), key(&format!("/not/{n}")));
        let began = Instant::now();
        let found = store.get(&there).await?;
        gets.push(began.elapsed());
        if found.is_some_and(|found| *found.body() != body) {
            return Err("another body".into());
        }
        let began = Instant::now();
        store.get(&not).await?;
        misses.push(began.elapsed());
    }
    tell("get 4 KiB", gets);
    tell("get of nothing", misses);

    let markers = order.markers();
    let mut purges = Vec::new();
    for n in 0..500 {
        let ticket = markers.defer(PurgeKind::Soft, &[TagHash::user(&format!("tag-{n}"))]);
        let began = Instant::now();
        let published = order.publish(&ticket, None).await?;
        purges.push(began.elapsed());
        markers.settle(&ticket, published.incarnation, published.seq);
    }
    tell("publish", purges);

    drop((store, order));
    let began = Instant::now();
    let (store, _order) = open(config, clock.clone())?;
    println!("open {:>10} {:?} at {}", store.entries(), began.elapsed(), clock.now().as_secs());
    store.put(key("/"), entry(Kind::Response, Bytes::new()), KEEP).await?;
    Ok(())
}

fn tell(what: &str, mut all: Vec<Duration>) {
    all.sort_unstable();
    let at = |percent: usize| all[(all.len() - 1) * percent / 100];
    println!("{what:<15} p50 {:?}, p99 {:?}, most {:?}", at(50), at(99), at(100));
}
