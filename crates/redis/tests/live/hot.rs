//! What is hot on all nodes.

use std::time::Duration;

use edge_cache_core::{Lease, Timestamp};
use edge_cache_redis::HotBoard;
use edge_cache_sandbox::Redis;

use crate::store;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const MINUTES_10: Duration = Duration::from_secs(600);

async fn names(board: &HotBoard, n: usize, now: Timestamp) -> Vec<(String, f64)> {
    let top = board.top(n, now).await.unwrap();
    top.into_iter().map(|(fields, score)| (String::from_utf8(fields).unwrap(), score)).collect()
}

fn named(all: &[(&str, f64)]) -> Vec<(String, f64)> {
    all.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect()
}

#[tokio::test]
async fn nodes_add_up_and_what_is_old_fades() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (store(&redis).hot_board(), store(&redis).hot_board());
    assert!(names(&one, 10, NOW).await.is_empty());
    one.add(&[("a", 10.0), ("b", 3.0), ("nothing", 0.0)], NOW).await.unwrap();
    other.add(&[("b", 8.0)], NOW).await.unwrap();
    assert_eq!(names(&other, 10, NOW).await, named(&[("b", 11.0), ("a", 10.0)]));
    assert_eq!(names(&other, 1, NOW).await, named(&[("b", 11.0)]));
    let later = NOW + MINUTES_10;
    one.add(&[("a", 2.0)], later).await.unwrap();
    assert_eq!(names(&one, 10, later).await, named(&[("a", 7.0), ("b", 5.5)]));
    assert!(names(&one, 10, later + 3 * MINUTES_10).await.is_empty());
    assert!(names(&one, 0, later).await.is_empty());
}

#[tokio::test]
async fn it_is_bounded_and_ends_by_itself() {
    let redis = Redis::start().await.unwrap();
    let board = store(&redis).hot_board();
    let many: Vec<_> = (0..5_000).map(|n| (format!("key-{n:04}"), f64::from(n + 1))).collect();
    board.add(&many, NOW).await.unwrap();
    board.add(&[("x".repeat(5_000), 1e9)], NOW).await.unwrap();
    let top = names(&board, 10_000, NOW).await;
    assert_eq!((top.len(), top[0].0.as_str()), (4_096, "key-4999"));
    let mut connection = crate::connect(&redis).await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:hot:*").query_async(&mut connection).await.unwrap();
    assert_eq!(keys.len(), 1);
    let ttl: i64 = redis::cmd("PTTL").arg(&keys[0]).query_async(&mut connection).await.unwrap();
    assert!(ttl > 0, "it has an end");
}

#[tokio::test]
async fn one_node_leads_until_it_leaves() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (store(&redis).hot_board(), store(&redis).hot_board());
    let Lease::Granted(lease) = one.lead().await else { panic!("nobody leads") };
    assert!(matches!(other.lead().await, Lease::Taken));
    assert!(!lease.is_lost());
    drop(lease);
    while !matches!(other.lead().await, Lease::Granted(_)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_lost_the_lead_learns_it() {
    let redis = Redis::start().await.unwrap();
    let (one, other) = (store(&redis).hot_board(), store(&redis).hot_board());
    let Lease::Granted(lease) = one.lead().await else { panic!("nobody leads") };
    let mut connection = crate::connect(&redis).await;
    let _: i64 = redis::cmd("DEL").arg("{ec}:warmer").query_async(&mut connection).await.unwrap();
    let Lease::Granted(_other) = other.lead().await else { panic!("nobody leads") };
    while !lease.is_lost() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_redis_that_is_away_is_an_error_and_no_wait() {
    let redis = Redis::start().await.unwrap();
    let board = store(&redis).hot_board();
    board.add(&[("a", 1.0)], NOW).await.unwrap();
    redis.kill().await.unwrap();
    assert!(board.add(&[("a", 1.0)], NOW).await.is_err());
    assert!(board.top(1, NOW).await.is_err());
    assert!(matches!(board.lead().await, Lease::Free), "without Redis each node is on its own");
}
