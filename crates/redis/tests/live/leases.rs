//! Leases on fills.

use std::time::Duration;

use edge_cache_core::{Lease, Store, marker::Fence};
use edge_cache_redis::RedisConfig;
use edge_cache_sandbox::Redis;

use crate::{
    key,
    nodes::{Node, config},
};

async fn pair(redis: &Redis) -> [Node; 2] {
    let one = Node::start(config(redis.url())).await;
    let other = Node::start(config(redis.url())).await;
    // The first has yet to hear of the second.
    while one.backplane.following().nodes < 2 {
        tokio::task::yield_now().await;
    }
    [one, other]
}

#[tokio::test]
async fn one_of_two_nodes_gets_the_lease_until_it_is_given_back() {
    let redis = Redis::start().await.unwrap();
    let [one, other] = pair(&redis).await;
    let at = one.start().fence;
    let Lease::Granted(lease) = one.store.lease(&key("/a"), at, false).await else { panic!("nobody has it") };
    assert!(matches!(other.store.lease(&key("/a"), at, false).await, Lease::Taken));
    assert!(matches!(other.store.lease(&key("/b"), at, false).await, Lease::Granted(_)));
    assert!(!lease.follows(), "nobody had it before");
    drop(lease);
    let next = loop {
        if let Lease::Granted(next) = other.store.lease(&key("/a"), at, false).await {
            break next;
        }
        tokio::task::yield_now().await;
    };
    assert!(next.follows(), "whoever looked before the first one stored must look again");
    assert!(matches!(one.store.lease(&key("/a"), at, true).await, Lease::Taken));
}

#[tokio::test]
async fn a_fill_from_before_a_purge_does_not_hold_up_one_from_after_it() {
    let redis = Redis::start().await.unwrap();
    let [one, other] = pair(&redis).await;
    let at = one.start().fence;
    let later = Fence { seq: at.seq + 1, ..at };
    let Lease::Granted(old) = one.store.lease(&key("/a"), at, false).await else { panic!("nobody has it") };
    assert!(matches!(other.store.lease(&key("/a"), at, true).await, Lease::Taken), "it is no older");
    assert!(matches!(other.store.lease(&key("/a"), later, false).await, Lease::Taken));
    let Lease::Granted(new) = other.store.lease(&key("/a"), later, true).await else { panic!("it is older") };
    // Whoever lost it does not give back what is another's.
    drop(old);
    for _ in 0..20 {
        assert!(matches!(one.store.lease(&key("/a"), at, false).await, Lease::Taken));
    }
    drop(new);
}

#[tokio::test]
async fn alone_or_without_redis_nobody_waits() {
    let redis = Redis::start().await.unwrap();
    let alone = Node::start(config(redis.url())).await;
    assert!(matches!(alone.store.lease(&key("/a"), alone.start().fence, false).await, Lease::Free));
    let _other = Node::start(config(redis.url())).await;
    let brief = RedisConfig { read_timeout: Duration::from_millis(100), ..config(redis.url()) };
    let one = Node::start(brief).await;
    while one.backplane.following().nodes < 2 {
        tokio::task::yield_now().await;
    }
    redis.pause().await.unwrap();
    assert!(matches!(one.store.lease(&key("/a"), one.start().fence, false).await, Lease::Free));
    redis.resume().await.unwrap();
    let off = RedisConfig { fill_leases: false, ..config(redis.url()) };
    let off = Node::start(off).await;
    assert!(matches!(off.store.lease(&key("/a"), off.start().fence, false).await, Lease::Free));
}
