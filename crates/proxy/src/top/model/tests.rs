use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::top::{
    feed::{Event, Loss},
    node::Node,
    stub,
    text::Text,
};

/// A node that has told `seconds` of history, and `state` as what is.
fn node(name: &str, seconds: u32, state: &serde_json::Value) -> Node {
    let mut node = Node::new(format!("http://{name}"));
    let history = json!({"columns": stub::COLUMNS, "fine": {"rows": (1..=seconds).map(|at| stub::row(at.into(), 90, 10)).collect::<Vec<_>>()}});
    let sample = stub::row(f64::from(seconds) + 1.0, 90, 10);
    let now = Instant::now();
    node.hear(Event::Hello(serde_json::from_value(json!({"node": name})).unwrap()), now);
    node.hear(Event::History(serde_json::from_value(history).unwrap()), now);
    node.hear(Event::Now(serde_json::from_value(json!({"sample": sample, "state": state})).unwrap()), now);
    node
}

fn lose(node: &mut Node) {
    node.hear(Event::Lost(Loss::Ended), Instant::now());
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 1e-9)
}

#[test]
fn counts_add_up_and_rates_are_those_of_the_sums() {
    let mut other = stub::state();
    other["routes"] =
        json!([{"route": "trending", "calls": 100, "hit": 10, "miss": 90, "p50_ms": 5.0, "p95_ms": 0.5, "bytes": 4}]);
    other["hot"] =
        json!([{"url": "http://localhost:8080/api/pitches/7", "hits": 30, "cost_millis": 60, "score": 1800.0}]);
    let nodes = [node("a", 20, &stub::state()), node("b", 20, &other)];
    let sum = sum(&nodes, None);
    assert_eq!((sum.summed, sum.is_live, sum.latencies_of_worst_node), (2, true, true));
    let trending = &sum.routes[0];
    assert_eq!((trending.route.as_str(), trending.counts.calls, trending.counts.bytes), ("trending", 800, 4_100));
    assert!(close(trending.counts.hit_rate, 700.0 / 800.0), "of the sums, not the mean of both rates");
    assert_eq!((trending.counts.p50_ms, trending.counts.p95_ms), (Some(5.0), Some(0.9)), "each is the worst");
    assert_eq!(sum.routes.iter().map(|route| route.route.as_str()).collect::<Vec<_>>(), ["trending", "pitch", "login"]);
    assert_eq!(sum.totals.calls, 2_000);
    assert!(close(sum.totals.hit_rate, 1_800.0 / 1_960.0), "bypasses and errors are no part of it");
    assert!(close(sum.rates.requests_per_second, 200.0) && close(sum.rates.cpu, 0.5));
    assert_eq!((sum.rates.hit_rate, sum.rates.p95_ms, sum.rates.connections), (Some(0.9), Some(3.1), Some(24.0)));
    assert_eq!(sum.database.as_ref().map(|pool| (pool.connections, pool.max)), Some((6, 20)));
    assert_eq!(sum.permits.as_ref().map(|permits| permits.permits), Some(20));
    let hot = &sum.hot[0];
    assert_eq!((hot.hits, hot.cost_millis, hot.score), (50, 60.0, 1_980.0));
    assert_eq!(sum.hot.len(), 2);
}

#[test]
fn one_node_is_looked_at_alone() {
    let mut other = stub::state();
    other["totals"]["calls"] = json!(5);
    let nodes = [node("a", 20, &stub::state()), node("b", 20, &other)];
    let sum = sum(&nodes, Some(1));
    assert_eq!((sum.totals.calls, sum.summed, sum.latencies_of_worst_node), (5, 1, false));
    assert_eq!(sum.nodes.len(), 2, "the others are still named");
}

#[test]
fn what_is_not_live_is_no_part_of_the_sum_unless_nothing_is() {
    let mut nodes = [node("a", 20, &stub::state()), node("b", 20, &stub::state())];
    lose(&mut nodes[0]);
    let one = sum(&nodes, None);
    assert_eq!((one.summed, one.is_live, one.totals.calls), (1, true, 1_000));
    assert_eq!((one.nodes[0].state, one.nodes[0].why.clone()), ("lost", Some(Text::of("the node ended it"))));
    lose(&mut nodes[1]);
    let none = sum(&nodes, None);
    assert_eq!((none.summed, none.is_live, none.totals.calls), (2, false, 2_000));
    assert_eq!(none.rates, Default::default(), "there are no rates of now");
    assert!(
        bars(&nodes, None, 5, std::time::Duration::from_secs(1)).iter().all(|bar| bar.requests_per_second.is_none())
    );
}

#[test]
fn breakers_alerts_and_checks_say_which_node() {
    let mut bad = stub::state();
    bad["tiers"]["redis"]["reads"] = json!("open");
    bad["origin"]["endpoints"][0]["breaker"] = json!("half-open");
    bad["origin"]["governor"]["pressure"] = json!("high");
    bad["monitor"]["checks"][0]["state"] = json!("down");
    bad["alerts"]["firing"] = json!([
        {"rule": "x", "severity": "warning", "text": "slow"}, {"rule": "y", "severity": "critical", "text": "errors"}
    ]);
    let nodes = [node("a", 2, &stub::state()), node("b", 2, &bad)];
    let sum = sum(&nodes, None);
    let breakers: Vec<String> = sum.breakers.iter().map(|b| format!("{}: {} {}", b.node, b.what, b.state)).collect();
    assert_eq!(breakers, ["b: redis reads open", "b: database primary half-open"]);
    assert_eq!(
        sum.firing.iter().map(|alert| (alert.node.as_str(), alert.text.as_str())).collect::<Vec<_>>(),
        [("b", "errors"), ("b", "slow")]
    );
    assert_eq!(sum.checks_down, [Text::of("b: trending")]);
    assert_eq!(sum.permits.unwrap().pressure.as_str(), "high");
}

#[test]
fn the_past_is_summed_by_age_and_gaps_stay_gaps() {
    let mut late = Node::new("http://b".to_owned());
    // Its clock is an hour ahead, and three seconds are missing.
    let rows: Vec<_> = [3_601.0, 3_605.0, 3_606.0].map(|at| stub::row(at, 10, 30)).to_vec();
    let history = json!({"columns": stub::COLUMNS, "fine": {"rows": rows}});
    late.hear(Event::History(serde_json::from_value(history).unwrap()), Instant::now());
    let sample = stub::row(3_606.0, 10, 30);
    late.hear(Event::Now(serde_json::from_value(json!({"sample": sample, "state": {}})).unwrap()), Instant::now());
    assert_eq!(late.samples.len(), 3, "the history ended with the same second");
    let nodes = [late];
    let second = std::time::Duration::from_secs(1);
    let alone: Vec<_> = bars(&nodes, None, 7, second).iter().map(|bar| bar.requests_per_second).collect();
    assert_eq!(alone, [None, Some(40.0), None, None, None, Some(40.0), Some(40.0)]);
    let [late] = nodes;
    let both = bars(&[node("a", 20, &stub::state()), late], None, 3, 2 * second);
    assert_eq!(both[2].requests_per_second, Some(140.0));
    assert_eq!(both[2].hit_rate, Some(200.0 / 280.0));
    assert_eq!((both[1].requests_per_second, both[1].hit_rate), (Some(100.0), Some(0.9)));
}

#[test]
fn columns_are_found_by_name_and_what_is_no_number_is_unknown() {
    let history =
        json!({"columns": ["p50", "later", "at", "requests"], "fine": {"rows": [[null, "x", 5.0, 7], [1.5], []]}});
    let history: History = serde_json::from_value(history).unwrap();
    let columns = Columns::of(&history.columns);
    let samples: Vec<Sample> = history.fine.rows.iter().map(|row| columns.sample(row)).collect();
    assert_eq!(samples[0], Sample { at: Some(5.0), requests: Some(7.0), ..Sample::default() });
    assert_eq!(samples[1], Sample { p50: Some(1.5), ..Sample::default() });
    assert_eq!(samples[2], Sample::default());
}

#[test]
fn a_node_that_says_little_is_understood() {
    let state: State = serde_json::from_value(json!({"new": 1, "routes": [{"route": "a", "newer": {}}]})).unwrap();
    assert_eq!(state.routes[0].counts, Counts::default());
    assert!(state.database.is_none() && state.alerts.is_none());
}
