//! `cache-proxy warm` and its origin: never more than the set rate and concurrency, and nothing twice after an interruption.

use std::time::Duration;

use edge_cache_tests::{Arrival, CountingOrigin, Ended, Proxy, ProxyBuilder, eventually};
use serde_json::Value;
use tempfile::TempDir;

/// Ten thousand URLs take a while, perhaps on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
const CONCURRENCY: usize = 3;

/// A plan of `count` URLs, and the folder that runs keep their journals in.
fn place(count: usize) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    let text = format!("[[template]]\npath = \"/item/{{n}}\"\nvalues = {{ n = {{ from = 1, to = {count} }} }}\n");
    std::fs::write(&plan, text).unwrap();
    let plan = plan.to_str().unwrap().to_owned();
    (folder, plan)
}

fn warm(folder: &TempDir, plan: &str, proxy: &Proxy, rate: f64, more: &[&str]) -> ProxyBuilder {
    let (target, rate) = (format!("http://{}", proxy.address), rate.to_string());
    let args = ["warm", "--plan", plan, "--target", &target, "--rate", &rate, "--json", "-"];
    ProxyBuilder::bare(&args).args(more).env("XDG_STATE_HOME", folder.path().to_str().unwrap())
}

fn report(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn number(report: &Value, field: &str) -> usize {
    report[field].as_u64().unwrap_or_else(|| panic!("no {field} in {report}")).try_into().unwrap()
}

/// Whether in every span of time `w` at most `rate × (w + 1 ms) + concurrency + 1` requests arrived.
///
/// That is certain, however this machine is loaded. Slots are at least 1/rate apart, but for the millisecond by which a timer may be late, so a
/// span holds at most `rate × (w + 1 ms) + 1` of them. Each request has a slot of its own before it arrives, and its place from then until
/// it is answered, which is after its arrival was noted. So one that arrives in the span, and whose slot was before it, was in flight when the
/// span began: at most `concurrency` are.
///
/// In one pass: with `d(k) = k - rate × t(k)`, arrivals i to j break the bound if `d(j) - d(i) + 1` is above `rate × 1 ms + concurrency + 1`.
fn within_the_rate(arrivals: &[Arrival], rate: u32) {
    let Some(first) = arrivals.first() else { return };
    let bound = f64::from(rate) * 0.001 + CONCURRENCY as f64 + 1.0;
    let mut least = f64::INFINITY;
    for (arrival, k) in arrivals.iter().zip(0_u32..) {
        let d = f64::from(k) - f64::from(rate) * arrival.at.duration_since(first.at).as_secs_f64();
        least = least.min(d);
        assert!(d - least + 1.0 <= bound + 1e-6, "too many up to request {k}: {} above {bound}", d - least + 1.0);
    }
}

#[tokio::test]
async fn ten_thousand_urls_within_rate_and_concurrency_and_each_once_though_it_is_killed() {
    const URLS: usize = 10_000;
    const RATE: u32 = 500;
    let origin = CountingOrigin::start(Duration::from_millis(3)).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let (folder, plan) = place(URLS);
    let killed = warm(&folder, &plan, &proxy, RATE.into(), &[]).spawn();
    origin.arrived(URLS / 3).await;
    // SIGKILL: it cannot tidy up.
    drop(killed);
    let at_the_kill = origin.arrivals().len();
    eventually("what was in flight is answered", async || (origin.in_flight() == 0).then_some(())).await;
    let first = origin.arrivals();
    within_the_rate(&first, RATE);
    assert_eq!(origin.take_most(), CONCURRENCY, "as many as may be, and no more");

    let ended = warm(&folder, &plan, &proxy, RATE.into(), &[]).to_end_within(PATIENCE).await;
    let report = report(&ended, 0);
    within_the_rate(&origin.arrivals()[first.len()..], RATE);
    assert_eq!(origin.take_most(), CONCURRENCY);
    let resumed = number(&report, "resumed");
    assert!(resumed + CONCURRENCY >= at_the_kill, "all but what was in flight was noted: {at_the_kill}, {report}");
    assert_eq!(resumed + number(&report, "asked"), URLS);
    let counts = origin.by_target();
    assert_eq!((counts.len(), origin.arrivals().len()), (URLS, URLS), "each was asked of the origin once");
    for n in [1, URLS / 3, URLS] {
        assert!(proxy.get(&format!("/item/{n}")).await.is_hit_of("memory"), "{n}");
    }
}

#[tokio::test]
async fn the_rate_holds_for_all_targets_together() {
    // Far below what the job could do, so that nothing else holds it back.
    const URLS: usize = 150;
    const RATE: u32 = 50;
    let origin = CountingOrigin::start(Duration::ZERO).await;
    let proxies = [ProxyBuilder::serve(&origin.url()).start().await, ProxyBuilder::serve(&origin.url()).start().await];
    let (folder, plan) = place(URLS);
    let other = format!("http://{}", proxies[1].address);
    let both = warm(&folder, &plan, &proxies[0], RATE.into(), &["--target", &other]);
    let report = report(&both.to_end_within(PATIENCE).await, 0);
    assert_eq!(number(&report, "warmed"), 2 * URLS, "{report}");
    assert_eq!(origin.arrivals().len(), 2 * URLS);
    within_the_rate(&origin.arrivals(), RATE);
}

#[tokio::test]
async fn a_killed_refresh_repeats_only_what_was_in_flight() {
    const URLS: usize = 600;
    let origin = CountingOrigin::start(Duration::from_millis(2)).await;
    let toml = format!("[origin]\nurl = \"{}\"\n[cache]\ntrusted = [\"127.0.0.1\"]\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let (folder, plan) = place(URLS);
    // Here the cache is no help: who asks again is sent on to the origin.
    let killed = warm(&folder, &plan, &proxy, 1_000.0, &["--refresh"]).spawn();
    origin.arrived(URLS / 2).await;
    drop(killed);
    let ended = warm(&folder, &plan, &proxy, 1_000.0, &["--refresh"]).to_end_within(PATIENCE).await;
    let again = report(&ended, 0);
    assert_eq!(number(&again, "resumed") + number(&again, "warmed"), URLS, "{again}");
    let counts = origin.by_target();
    let twice = counts.values().filter(|count| **count > 1).count();
    assert_eq!((counts.len(), counts.values().max()), (URLS, Some(&(1 + usize::from(twice > 0)))));
    assert!(twice <= CONCURRENCY, "{twice} were asked for again");
    // That run has come to its end: the next is another.
    let ended = warm(&folder, &plan, &proxy, 1_000.0, &["--refresh"]).to_end_within(PATIENCE).await;
    let third = report(&ended, 0);
    assert_eq!((number(&third, "resumed"), number(&third, "warmed")), (0, URLS), "{third}");
}

#[tokio::test]
async fn what_is_fresh_costs_the_origin_nothing_and_the_job_no_time_at_its_rate() {
    const URLS: usize = 200;
    let origin = CountingOrigin::start(Duration::ZERO).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let (folder, plan) = place(URLS);
    report(&warm(&folder, &plan, &proxy, 1_000.0, &[]).to_end_within(PATIENCE).await, 0);
    // At this rate 200 slots would take 55 hours.
    let slow = warm(&folder, &plan, &proxy, 0.001, &[]);
    let again = report(&slow.to_end_within(PATIENCE).await, 0);
    assert_eq!((number(&again, "fresh"), number(&again, "asked")), (URLS, URLS), "{again}");
    assert_eq!(origin.arrivals().len(), URLS);
}
