//! Every figure of the page leads to a test of this suite that moves it and sees it move by the right amount; but for a few that are only seen at rest.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../crates/proxy/assets/performance/index.html");
const SOURCES: [&str; 6] = [
    include_str!("browser.rs"),
    include_str!("database.rs"),
    include_str!("node.rs"),
    include_str!("requests.rs"),
    include_str!("tiers.rs"),
    include_str!("watched.rs"),
];

/// The tests, and the figures by which each is known to the page.
const TRACED: &[(&str, &str)] = &[
    (
        "each_result_counts_once",
        "totals.calls totals.hit totals.stale totals.coalesced totals.miss totals.bypass totals.error totals.memory \
         totals.hit_rate totals.error_rate process.in_flight",
    ),
    ("a_route_counts_what_is_its_own", "route calls hit_rate error p50_ms p95_ms p99_ms"),
    ("bytes_are_those_of_bodies", "totals.bytes bytes"),
    (
        "what_the_origin_was_spared_is_counted_in_calls_and_in_its_time",
        "totals.saved_calls totals.saved_seconds saved_calls saved_seconds",
    ),
    (
        "a_slow_answer_moves_the_percentiles_and_they_are_those_of_the_metrics",
        "totals.p50_ms totals.p95_ms totals.p99_ms",
    ),
    (
        "an_answer_from_redis_counts_as_its_own_and_its_breakers_are_shown",
        "totals.redis tiers.redis.reads tiers.redis.writes ready.backplane origin.governor.redis_lost",
    ),
    (
        "an_answer_from_a_disk_counts_as_its_own",
        "totals.disk tiers.disk.entries tiers.disk.used_bytes tiers.disk.capacity_bytes  ",
    ),
    ("memory_says_what_it_holds", "tiers.memory.entries tiers.memory.used_bytes tiers.memory.capacity_bytes"),
    (
        "a_slow_query_holds_a_connection_and_the_figures_say_so",
        "database.connections database.in_use database.idle database.max  database.checkouts database.queries \
         endpoint connections in_use idle connects",
    ),
    ("who_waits_for_a_connection_is_counted", "database.waits closed_aged"),
    (
        "a_breaker_opens_when_the_database_is_gone_and_closes_when_it_is_back",
        "breaker breaker_opened connect_errors closed_broken",
    ),
    (
        "the_process_is_measured",
        "process.connections process.cpu_seconds process.open_descriptors process.resident_bytes uptime_seconds",
    ),
    (
        "permits_are_counted_as_they_are_taken_waited_for_and_refused",
        "origin.governor.admitted origin.governor.in_use origin.governor.in_use_most origin.governor.permits \
         origin.governor.permits_most  origin.governor.shed origin.governor.waiting",
    ),
    ("pressure_is_told", "origin.governor.pressure origin.governor.utilisation"),
    ("each_origin_is_counted_and_its_breaker_shown", "origin healthy in_flight requests failures retries"),
    ("purges_are_told_with_who_and_why", "kind tags by what actor reason"),
    ("what_is_hot_is_told_with_its_hits_and_its_cost", "hits cost_millis score url"),
    ("a_node_that_stops_says_so", "ready.draining"),
    ("the_node_says_whether_it_is_ready", "ready.ready  ready.warm.state  "),
    (
        "the_monitor_sees_a_dead_origin_behind_a_warm_cache",
        "monitor.every_seconds monitor.day.checks monitor.day.successes monitor.day.failures  \
         monitor.day.uptime name way state status millis at consecutive_failures",
    ),
    ("alerts_fire_are_told_once_and_recover", "rule severity since text event"),
    (
        "the_page_shows_what_the_metrics_say_and_moves_with_them",
        "rate.requests rate.hit_rate rate.p50 rate.p95 rate.p99 rate.error_rate rate.cpu overall hello.node hello.version",
    ),
];

/// Figures that a test sees as they are when nothing is wrong, and does not move: who waits for a connection holds a permit, and there are as many of
/// them; what the monitor asks of its own process meets no connection; the rest takes a slow disk, or a run of minutes.
const AT_REST: &[(&str, &str)] = &[
    ("a_slow_query_holds_a_connection_and_the_figures_say_so", "database.waiting waiting timeouts"),
    ("the_node_says_whether_it_is_ready", "ready.warm.held ready.warm.hot"),
    ("permits_are_counted_as_they_are_taken_waited_for_and_refused", "origin.governor.safe"),
    ("the_monitor_sees_a_dead_origin_behind_a_warm_cache", "monitor.day.connection_errors"),
    ("an_answer_from_a_disk_counts_as_its_own", "tiers.disk.reads tiers.disk.writes"),
];

/// The figures that the page declares.
fn shown() -> BTreeSet<&'static str> {
    PAGE.split("data-figure=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_figure_of_the_page_leads_to_a_test() {
    let mut traced = BTreeMap::new();
    for (test, figures) in TRACED.iter().chain(AT_REST) {
        let is_there = SOURCES.iter().any(|source| source.contains(&format!("async fn {test}()")));
        assert!(is_there, "there is no test {test}");
        traced.extend(figures.split_whitespace().map(|figure| (figure, test)));
    }
    let shown = shown();
    assert!(shown.len() > 90, "{} figures", shown.len());
    let untraced: Vec<_> = shown.iter().filter(|figure| !traced.contains_key(*figure)).collect();
    assert!(untraced.is_empty(), "no test moves {untraced:?}");
    let gone: Vec<_> = traced.keys().filter(|figure| !shown.contains(*figure)).collect();
    assert!(gone.is_empty(), "not on the page: {gone:?}");
}
