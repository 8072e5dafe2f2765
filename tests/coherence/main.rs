//! The promise that a purge is final, checked on real servers for a short while; `coherence` checks it for longer.
#![allow(missing_docs)]

use std::time::Duration;

use edge_cache_tests::coherence::{Plan, Report, Scenario, run};

async fn holds(scenario: Scenario) -> Report {
    // The replica takes over only after a while, and what follows is to be seen too.
    let seconds = if scenario == Scenario::Failover { 16 } else { 8 };
    let plan = Plan { duration: Duration::from_secs(seconds), lease: Duration::from_millis(800), seed: 1 };
    let report = run(scenario, plan).await;
    assert_eq!(report.violations, 0, "{report}\n{:#?}", report.described);
    // A check of nothing would hold as well.
    assert!(report.breaks > 0, "{report}");
    assert!(report.stale_by_leave == 0 || scenario == Scenario::OriginFails, "{report}");
    assert!(report.reads > 500 && report.acknowledged > 5 && report.hits > 0.1, "{report}");
    report
}

macro_rules! scenarios {
    ($($test:ident: $scenario:ident,)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            holds(Scenario::$scenario).await;
        })*
    };
}

scenarios! {
    while_nothing_is_broken: Quiet,
    while_redis_is_killed: RedisKilled,
    while_redis_is_halted: RedisPaused,
    while_redis_forgets: RedisFlushed,
    while_a_node_is_cut_off: Partitioned,
    while_a_replica_takes_over: Failover,
    while_a_node_is_killed: NodeKilled,
    while_a_node_is_halted: NodePaused,
    while_the_origin_fails: OriginFails,
}
