//! The soak for a minute; `soak` runs it for longer.
#![allow(missing_docs)]

use std::time::Duration;

use edge_cache_tests::soak::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minute_of_faults() {
    // Starts and stops take the rest of the minute.
    let mut plan = Plan::lasting(Duration::from_secs(45));
    // Beside it runs whatever else the machine has to do.
    plan.think = Duration::from_millis(1_200);
    let report = run(plan).await;
    assert!(report.held(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_do_not_hear_each_other_are_found_out() {
    let mut plan = Plan::lasting(Duration::from_secs(12));
    (plan.think, plan.faults, plan.apart) = (Duration::from_millis(400), false, true);
    let report = run(plan).await;
    assert_eq!(report.broken(), ["no body is older than what was acknowledged"], "{report}");
}
