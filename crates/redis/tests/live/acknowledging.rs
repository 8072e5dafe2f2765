//! When a purge is called done.

use edge_cache_core::marker::{PurgeKind, Standing, Verdict};
use edge_cache_redis::Certainty;
use edge_cache_sandbox::Redis;

use crate::{
    copy, entry,
    nodes::{Node, config},
};

#[tokio::test]
async fn an_acknowledged_purge_has_been_heard_by_every_node() {
    let redis = Redis::start().await.unwrap();
    let nodes = [0; 3].map(|_| Node::start(config(redis.url())));
    let nodes = futures_util::future::join_all(nodes).await;
    nodes[0].settled().await;
    for round in 0..50 {
        let tag = format!("round-{round}");
        let held: Vec<_> = nodes.iter().map(|node| entry(node.start(), &tag)).collect();
        let found = copy(&nodes[0].store, nodes[0].start(), &tag).await;
        assert_eq!(nodes[round % 3].purge(PurgeKind::Hard, &tag).await.unwrap(), Certainty::Confirmed);
        for (node, held) in nodes.iter().zip(&held) {
            assert_eq!(node.judge(held), Verdict::Gone, "{tag}");
            assert_eq!(node.judge(&found), Verdict::Gone, "{tag}");
            assert_eq!(node.judge(&entry(node.start(), &tag)), Verdict::Live, "{tag}");
        }
    }
}

#[tokio::test]
async fn a_silent_node_is_waited_for_until_its_lease_is_over_and_then_struck_off() {
    let redis = Redis::start().await.unwrap();
    let (one, silent) = (Node::start(config(redis.url())).await, Node::start(config(redis.url())).await);
    one.settled().await;
    let copy = copy(&one.store, one.start(), "a").await;
    let copy = silent.admit(&copy).unwrap();
    silent.halt();
    assert_eq!(one.purge(PurgeKind::Hard, "a").await.unwrap(), Certainty::Silent(1));
    // By then its lease is over, however late it was renewed.
    assert!(matches!(silent.standing(), Standing::CutOff { since: Some(_) }));
    assert_eq!(silent.judge(&copy), Verdict::CutOff);
    assert_eq!(one.purge(PurgeKind::Hard, "b").await.unwrap(), Certainty::Alone, "it is not waited for again");
}

#[tokio::test]
async fn a_node_that_leaves_is_not_waited_for() {
    let redis = Redis::start().await.unwrap();
    let (one, leaves) = (Node::start(config(redis.url())).await, Node::start(config(redis.url())).await);
    one.settled().await;
    leaves.halt();
    leaves.backplane.leave().await.unwrap();
    assert_eq!(leaves.standing(), Standing::CutOff { since: None });
    assert_eq!(one.purge(PurgeKind::Hard, "a").await.unwrap(), Certainty::Alone);
}

#[tokio::test]
async fn a_fast_purge_waits_for_nobody() {
    use edge_cache_redis::{Acknowledge, RedisConfig};
    let redis = Redis::start().await.unwrap();
    let fast = || RedisConfig { acknowledge: Acknowledge::Fast, ..config(redis.url()) };
    let (one, silent) = (Node::start(fast()).await, Node::start(config(redis.url())).await);
    silent.halt();
    // Though Redis has not settled and a node is silent.
    assert_eq!(one.purge(PurgeKind::Hard, "a").await.unwrap(), Certainty::Fast);
    let strict = Node::start(config(redis.url())).await;
    let certainty = strict.purge(PurgeKind::Hard, "a").await.unwrap();
    assert_eq!(certainty, Certainty::Fast, "one fast node makes all of them fast");
}

#[tokio::test]
async fn after_a_loss_a_purge_waits_for_the_leases_of_before() {
    let redis = Redis::start().await.unwrap();
    let one = Node::start(config(redis.url())).await;
    one.settled().await;
    // A node of before, which the empty Redis does not know.
    let unknown = Node::start(config(redis.url())).await;
    let held = unknown.admit(&copy(&one.store, one.start(), "a").await).unwrap();
    unknown.halt();
    redis.restart().await.unwrap();
    let mut numbered = one.publish(PurgeKind::Hard, "a").await;
    while numbered.is_err() {
        numbered = one.publish(PurgeKind::Hard, "a").await;
    }
    assert_eq!(one.backplane.acknowledge(numbered.unwrap()).await.unwrap(), Certainty::LeasesOver);
    assert_ne!(unknown.judge(&held), Verdict::Live, "acknowledged while an unknown node still held a lease");
}

#[tokio::test]
async fn a_purge_that_redis_loses_before_it_is_acknowledged_is_made_again() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (Node::start(config(redis.url())).await, Node::start(config(redis.url())).await);
    one.settled().await;
    other.halt();
    let held = entry(other.start(), "a");
    let delivery = one.publish(PurgeKind::Hard, "a").await.unwrap();
    let mut resp = crate::connect(&redis).await;
    redis::cmd("FLUSHALL").query_async::<()>(&mut resp).await.unwrap();
    one.backplane.acknowledge(delivery).await.unwrap();
    other.backplane.sync().await.unwrap();
    assert_ne!(other.judge(&held), Verdict::Live);
    let late = Node::start(config(redis.url())).await;
    let marks: Vec<String> =
        redis::cmd("ZRANGE").arg("{ec}:marks").arg(0).arg(-1).query_async(&mut resp).await.unwrap();
    assert!(marks.len() > 1, "the marker stands again: {marks:?}");
    drop(late);
}

#[tokio::test]
async fn purges_of_late_are_made_again_in_a_redis_that_lost_them() {
    let redis = Redis::start().await.unwrap();
    let one = Node::start(config(redis.url())).await;
    one.purge(PurgeKind::Hard, "a").await.unwrap();
    redis.restart().await.unwrap();
    let mut resp = crate::connect(&redis).await;
    let has_marker = async |resp: &mut redis::aio::MultiplexedConnection| {
        let marks: Vec<String> = redis::cmd("ZRANGE").arg("{ec}:marks").arg(0).arg(-1).query_async(resp).await.unwrap();
        marks.iter().any(|mark| mark.starts_with('h'))
    };
    while !has_marker(&mut resp).await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_missed_announcement_is_found_and_a_node_that_hears_nothing_is_cut_off() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (Node::start(config(redis.url())).await, Node::start(config(redis.url())).await);
    one.settled().await;
    let held = entry(other.start(), "a");
    let mut resp = crate::connect(&redis).await;
    // Every subscription is cut: what is announced now reaches nobody.
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("PUBSUB").query_async::<()>(&mut resp).await.unwrap();
    one.purge(PurgeKind::Hard, "a").await.unwrap();
    assert_eq!(other.judge(&held), Verdict::Gone, "acknowledged means heard, by whatever way");
    redis.pause().await.unwrap();
    while other.in_step() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(other.standing(), Standing::CutOff { since: Some(_) }));
    redis.resume().await.unwrap();
    while !other.is_in_step() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn more_markers_than_a_page_reach_a_node_that_begins() {
    let redis = Redis::start().await.unwrap();
    let one = Node::start(config(redis.url())).await;
    let tags: Vec<_> = (0..2500).map(|n| edge_cache_core::TagHash::user(&format!("tag-{n}"))).collect();
    let ticket = one.defer(PurgeKind::Soft, &tags[..1000]);
    let first = copy(&one.store, one.start(), "tag-7").await;
    for ticket in [ticket, one.defer(PurgeKind::Soft, &tags[1000..1900]), one.defer(PurgeKind::Soft, &tags[1900..])] {
        let delivery = one.backplane.publish(&ticket, None).await.unwrap();
        one.settle(&ticket, delivery.published.incarnation, delivery.published.seq);
    }
    let later = Node::start(config(redis.url())).await;
    assert_eq!(later.judge(&later.admit(&first).unwrap()), Verdict::Soft);
}

#[tokio::test]
async fn where_nobody_waits_a_node_that_is_gone_is_forgotten() {
    use edge_cache_redis::{Acknowledge, RedisConfig};
    let redis = Redis::start().await.unwrap();
    let lease = std::time::Duration::from_millis(100);
    let fast = || RedisConfig { acknowledge: Acknowledge::Fast, lease, ..config(redis.url()) };
    let (one, gone) = (Node::start(fast()).await, Node::start(fast()).await);
    while one.backplane.following().nodes < 2 {
        tokio::task::yield_now().await;
    }
    gone.halt();
    while one.backplane.following().nodes > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn losing_any_part_of_what_redis_keeps_is_noticed() {
    for part in ["{ec}:meta", "{ec}:marks", "{ec}:nodes"] {
        let redis = Redis::start().await.unwrap();
        let (one, silent) = (Node::start(config(redis.url())).await, Node::start(config(redis.url())).await);
        one.settled().await;
        silent.halt();
        let mut resp = crate::connect(&redis).await;
        redis::cmd("DEL").arg(part).query_async::<()>(&mut resp).await.unwrap();
        // Nobody knows any more that there is a silent node: all that may be served by leases of before is waited for.
        assert_eq!(one.purge(PurgeKind::Hard, "a").await.unwrap(), Certainty::LeasesOver, "{part}");
    }
}
