//! What was done for requests, route by route.

use std::time::Duration;

use edge_cache_tests::{Gate, Origin, Performance, Proxy, ProxyBuilder, Reply, Samples, figure, row};
use serde_json::Value;
use tokio::time::Instant;

const ROUTES: &str = "[[route]]\nname = \"lists\"\npath = \"/lists/*\"\n";

/// What histogram_quantile makes of all durations, in milliseconds.
fn quantile(metrics: &Samples, labels: &[(&str, &str)], q: f64) -> f64 {
    let bounds = [
        "1e-5", "2.5e-5", "5e-5", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
        "0.1", "0.25", "0.5", "1.0", "2.0", "3.0", "5.0", "10.0",
    ];
    let up_to = |bound: &str| {
        let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
        metrics.sum("edge_cache_request_duration_seconds_bucket", &labels)
    };
    let rank = q * up_to("+Inf");
    let (mut start, mut below) = (0.0, 0.0);
    for bound in bounds {
        let (end, count) = (bound.parse::<f64>().unwrap(), up_to(bound));
        if count >= rank && count > below {
            return 1000.0 * (start + (end - start) * (rank - below) / (count - below));
        }
        (start, below) = (end, count);
    }
    10_000.0
}

fn is(figure: &Value, expected: f64) {
    let found = figure.as_f64().unwrap_or_else(|| panic!("{figure} is no number"));
    assert!((found - expected).abs() <= 1e-5 * expected.abs(), "{found} and not {expected}");
}

/// A hit, a stale answer, waiters, misses, one past the cache, an error.
async fn one_of_each() -> (Origin, Proxy, Performance, Value, Duration) {
    let gate = Gate::new();
    let passed = gate.clone();
    let origin = Origin::start(move |request| {
        let gate = gate.clone();
        async move {
            match request.seen.target.as_str() {
                "/lists/a" => Reply::cached("max-age=600", "a".repeat(100)),
                "/lists/stale" => {
                    Reply::cached("max-age=600, stale-while-revalidate=6000", "stale").header("age", "700")
                }
                "/lists/slow" => {
                    gate.passed().await;
                    Reply::cached("max-age=600", "slow")
                }
                "/plain" => Reply::cached("max-age=600", "plain"),
                _ => Reply::new(500),
            }
        }
    })
    .await;
    // The feed tells once a second: two of its steps may pass before those who wait get their answer.
    let toml = format!("[origin]\nurl = \"{}\"\n[cache]\nwait_max = \"60s\"\n{ROUTES}", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;

    for _ in 0..4 {
        assert_eq!(proxy.get("/lists/a").await.status, 200);
    }
    for _ in 0..2 {
        assert_eq!(proxy.get("/lists/stale").await.status, 200);
    }
    let client = proxy.client();
    let slow: Vec<_> = (0..3).map(|_| tokio::spawn(client.get("/lists/slow").send())).collect();
    page.until("three are being answered", |state| state["process"]["in_flight"] == 3).await;
    let arrived = Instant::now();
    page.step().await;
    let held = arrived.elapsed();
    passed.open();
    for answer in slow {
        assert_eq!(answer.await.unwrap().text(), "slow");
    }
    assert_eq!(proxy.client().ask("POST", "/elsewhere").send().await.status, 500);
    assert_eq!(proxy.get("/elsewhere").await.status, 500);
    let mine = proxy.client().get("/plain").header("cookie", "session=1").send().await;
    assert_eq!(mine.text(), "plain");
    let state = page.until("all are counted", |state| state["totals"]["calls"] == 12).await;
    (origin, proxy, page, state, held)
}

#[tokio::test]
async fn each_result_counts_once() {
    let (_origin, _proxy, page, state, _) = one_of_each().await;
    for (name, expected) in
        [("calls", 12), ("hit", 3), ("stale", 1), ("coalesced", 2), ("miss", 3), ("bypass", 1), ("error", 2)]
    {
        assert_eq!(figure(&state, &format!("totals.{name}")), expected, "{name} in {state:#}");
    }
    for (name, expected) in [("memory", 4), ("redis", 0), ("disk", 0)] {
        assert_eq!(state["totals"][name], expected, "{name}");
    }
    is(&state["totals"]["hit_rate"], 4.0 / 9.0);
    is(&state["totals"]["error_rate"], 2.0 / 12.0);
    assert_eq!(state["process"]["in_flight"], 0);
    // What the seconds say adds up to the same.
    for (column, total) in [
        ("requests", "calls"),
        ("hit", "hit"),
        ("stale", "stale"),
        ("coalesced", "coalesced"),
        ("miss", "miss"),
        ("bypass", "bypass"),
        ("error", "error"),
        ("memory", "memory"),
        ("redis", "redis"),
        ("disk", "disk"),
        ("bytes", "bytes"),
    ] {
        is(&state["totals"][total], page.sum(column));
    }
    assert_eq!(page.most("in_flight"), 3.0);
}

#[tokio::test]
async fn a_route_counts_what_is_its_own() {
    let (_origin, proxy, _page, state, _) = one_of_each().await;
    let lists = row(&state["routes"], "route", "lists");
    for (name, expected) in [("calls", 9), ("hit", 3), ("stale", 1), ("coalesced", 2), ("miss", 3), ("error", 0)] {
        assert_eq!(lists[name], expected, "{name} in {lists:#}");
    }
    let other = row(&state["routes"], "route", "other");
    assert_eq!((&other["calls"], &other["error"], &other["hit_rate"]), (&3.into(), &2.into(), &Value::Null));
    is(&lists["hit_rate"], 4.0 / 9.0);
    let metrics = proxy.metrics().await;
    for (route, figures) in [("lists", lists), ("other", other)] {
        for (name, q) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
            is(&figures[name], quantile(&metrics, &[("route", route)], q));
        }
    }
}

#[tokio::test]
async fn bytes_are_those_of_bodies() {
    let (_origin, _proxy, _page, state, _) = one_of_each().await;
    // Four of a hundred bytes, two of "stale", three of "slow"; "plain" is of no list.
    let lists = 4 * 100 + 2 * 5 + 3 * 4;
    assert_eq!(state["totals"]["bytes"], lists + 5, "{state:#}");
    assert_eq!(row(&state["routes"], "route", "lists")["bytes"], lists);
}

#[tokio::test]
async fn what_the_origin_was_spared_is_counted_in_calls_and_in_its_time() {
    let (origin, _proxy, mut page, state, held) = one_of_each().await;
    let saved = state["totals"]["saved_seconds"].as_f64().unwrap();
    // Two waited for what took the origin this long; whole milliseconds are kept. The stale answer spared nothing: it was asked for behind it.
    let least = 2.0 * (held.as_secs_f64() - 0.001);
    assert!(saved >= least, "{saved} and not {least}");
    is(&state["totals"]["saved_seconds"], page.sum("saved_seconds"));
    assert_eq!((&state["totals"]["saved_calls"], page.sum("saved_calls")), (&5.into(), 5.0));
    let lists = row(&state["routes"], "route", "lists");
    assert_eq!((&lists["saved_calls"], lists["saved_seconds"].as_f64()), (&5.into(), Some(saved)));
    // /a, /stale, /slow, and /stale once more behind the stale answer.
    // What went past is counted when its answer has ended, which the origin does not wait for.
    while page.sum("fills") < 4.0 || page.sum("origin_calls") < origin.seen().len() as f64 {
        page.step().await;
    }
    page.step().await;
    assert_eq!(page.sum("fills"), 4.0);
    // And beside the fills what went past, and what failed.
    assert_eq!(page.sum("origin_calls"), origin.seen().len() as f64);
}

#[tokio::test]
async fn a_slow_answer_moves_the_percentiles_and_they_are_those_of_the_metrics() {
    let (_origin, proxy, page, state, held) = one_of_each().await;
    let metrics = proxy.metrics().await;
    for (name, q) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
        is(&state["totals"][name], quantile(&metrics, &[], q));
    }
    let p99 = state["totals"]["p99_ms"].as_f64().unwrap();
    // It lies in the bucket of what was held, whose lower bound is at least half as much.
    assert!(p99 >= held.as_secs_f64() * 1000.0 / 2.5, "{p99} of {held:?}");
    assert!(page.most("p99") >= held.as_secs_f64() * 1000.0 / 2.5);
    assert!(page.column("p50").len() < page.column("at").len(), "a second without requests has none");
    assert_eq!(page.column("p50").len(), page.column("p95").len());
}

#[tokio::test]
async fn the_age_at_serving_is_counted() {
    let (_origin, proxy, _page, _state, _) = one_of_each().await;
    let metrics = proxy.metrics().await;
    let of_memory = [("tier", "memory")];
    assert_eq!(metrics.sum("edge_cache_served_age_seconds_count", &of_memory), 4.0);
    // Three are a few seconds old, one is more than 700.
    let up_to = |bound| metrics.sum("edge_cache_served_age_seconds_bucket", &[("tier", "memory"), ("le", bound)]);
    assert_eq!((up_to("60.0"), up_to("300.0"), up_to("900.0")), (3.0, 3.0, 4.0));
}

#[tokio::test]
async fn without_telemetry_nothing_is_counted_and_everything_works() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let toml = format!("[origin]\nurl = \"{}\"\n[telemetry]\nenabled = false\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    proxy.get("/").await;
    let hit = proxy.get("/").await;
    assert!(hit.is_hit_of("memory") && hit.header("x-edge-cache-id").is_empty(), "{hit:?}");
    assert_eq!(proxy.metrics().await.sum("edge_cache_requests_total", &[]), 0.0);
}
