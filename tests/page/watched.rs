//! The monitor and the alerts of a node.

use std::sync::Arc;

use edge_cache_tests::{Origin, Performance, Proxy, ProxyBuilder, Reply, eventually, row};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

fn check<'a>(state: &'a Value, way: &str) -> &'a Value {
    let checks = state["monitor"]["checks"].as_array().unwrap_or_else(|| panic!("no monitor: {state:#}"));
    checks.iter().find(|check| check["way"] == way).unwrap()
}

#[tokio::test]
async fn the_monitor_sees_a_dead_origin_behind_a_warm_cache() {
    let mut origin = Origin::start(|_| async { Reply::cached("max-age=6000", "x") }).await;
    let monitor = "[monitor]\nevery = \"100ms\"\nauthority = \"shop.example\"\n[[monitor.check]]\nname = \"home\"\npath = \"/\"\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{monitor}", origin.url())).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    let both = |state: &Value, cache: &str, past: &str| {
        state["monitor"].is_object()
            && check(state, "cache")["state"] == cache
            && check(state, "origin")["state"] == past
    };
    let state = page.until("both are up", |state| both(state, "up", "up")).await;
    let home = row(&state["monitor"]["checks"], "name", "home");
    assert_eq!((&home["url"], &home["status"], &home["consecutive_failures"]), (&"/".into(), &200.into(), &0.into()));
    assert!(
        home["millis"].as_f64() > Some(0.0) && home["at"].as_f64() > Some(0.0) && home["error"].is_null(),
        "{home:#}"
    );
    let day = &state["monitor"]["day"];
    assert_eq!((&day["failures"], &day["connection_errors"], &day["uptime"]), (&0.into(), &0.into(), &1.0.into()));
    assert_eq!(day["checks"], day["successes"]);
    assert!(day["checks"].as_u64() >= Some(2) && state["monitor"]["every_seconds"] == 0.1);

    origin.stop().await;
    let state = page.until("past the cache it is down", |state| both(state, "up", "down")).await;
    let past = check(&state, "origin");
    assert!(past["consecutive_failures"].as_u64() >= Some(1) && past["error"].is_string(), "{past:#}");
    let day = &state["monitor"]["day"];
    let number = |name: &str| day[name].as_u64().unwrap();
    assert_eq!(number("checks"), number("successes") + number("failures"));
    assert!(number("failures") >= 1 && day["uptime"].as_f64() < Some(1.0), "{day:#}");
    let metrics = proxy.metrics().await;
    let up = |way| metrics.sum("edge_cache_monitor_up", &[("check", "home"), ("way", way)]);
    assert_eq!((up("cache"), up("origin")), (1.0, 0.0));
    assert!(metrics.sum("edge_cache_monitor_checks_total", &[("way", "origin"), ("result", "failed")]) >= 1.0);
    assert!(metrics.sum("edge_cache_monitor_duration_seconds", &[("way", "cache")]) > 0.0);
}

/// A receiver of webhooks that refuses the first message once.
async fn receiver() -> (Origin, mpsc::UnboundedReceiver<(String, Value)>) {
    let (told, messages) = mpsc::unbounded_channel();
    let receiver = Origin::start(move |mut request| {
        let told = told.clone();
        async move {
            let body = request.whole().await;
            if request.earlier == 0 {
                return Reply::new(503);
            }
            let message = serde_json::from_slice(&body).expect("it is JSON");
            told.send((request.seen.target, message)).expect("the test listens");
            Reply::new(200)
        }
    })
    .await;
    (receiver, messages)
}

/// Asks for what the origin answers well or badly, as it is told, without end.
struct Load {
    bad: watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

fn load(proxy: &Proxy) -> Load {
    let (bad, is_bad) = watch::channel(false);
    let client = proxy.client();
    let task = tokio::spawn(async move {
        loop {
            let target = if *is_bad.borrow() { "/bad" } else { "/good" };
            client.get(target).send().await;
        }
    });
    Load { bad, _task: AbortOnDropHandle::new(task) }
}

#[tokio::test]
async fn alerts_fire_are_told_once_and_recover() {
    let origin = Origin::start(|request| async move {
        if request.seen.target == "/bad" { Reply::new(500) } else { Reply::cached("no-store", "good") }
    })
    .await;
    let (receiver, mut messages) = receiver().await;
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[alerts]\nslack = \"{hook}/slack-s3cret\"\nwebhook = \"{hook}/json-s3cret\"\nauthorization = \"Bearer t0ken\"\n\
         every = \"300ms\"\nfailures = 2\nrequests_min = 1\ncooldown = \"1h\"\n\
         [[alerts.rule]]\nname = \"errors\"\nfigure = \"error-rate\"\nabove = 0.5\nseverity = \"critical\"\n",
        origin.url(),
        hook = receiver.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    let load = load(&proxy);
    let firing = |state: &Value| state["alerts"]["firing"].as_array().map_or(0, Vec::len);
    page.until("nothing fires", |state| state["totals"]["calls"].as_u64() > Some(20) && firing(state) == 0).await;

    load.bad.send_replace(true);
    let state = page.until("it fires", |state| firing(state) == 1).await;
    let alert = row(&state["alerts"]["firing"], "rule", "errors");
    assert_eq!((&alert["severity"], &alert["threshold"]), (&"critical".into(), &0.5.into()));
    assert!(alert["value"].as_f64() > Some(0.5) && alert["since"].as_f64() > Some(0.0), "{alert:#}");
    assert!(alert["text"].as_str().unwrap().contains("error rate"), "{alert:#}");
    assert_eq!(state["alerts"]["recent"][0]["event"], "fired");
    // Each receiver hears it, after a refusal.
    let mut heard = [messages.recv().await.unwrap(), messages.recv().await.unwrap()];
    heard.sort_by(|a, b| a.0.cmp(&b.0));
    let [(json_path, json), (slack_path, slack)] = &heard;
    assert_eq!((json_path.as_str(), slack_path.as_str()), ("/json-s3cret", "/slack-s3cret"));
    assert_eq!(
        (&json["event"], &json["rule"], &json["severity"]),
        (&"fired".into(), &"errors".into(), &"critical".into())
    );
    assert!(slack["text"].as_str().unwrap().contains("error rate"), "{slack:#}");
    let sent = receiver.seen().into_iter().find(|seen| seen.target == "/json-s3cret").unwrap();
    assert_eq!(sent.header("authorization"), "Bearer t0ken");

    load.bad.send_replace(false);
    page.until("it is over", |state| firing(state) == 0).await;
    for _ in 0..2 {
        let (path, message) = messages.recv().await.unwrap();
        assert!(path == "/slack-s3cret" || message["event"] == "recovered", "{message:#}");
    }
    // Within the cooldown it fires, and nobody is told; that it came and went is counted.
    load.bad.send_replace(true);
    let state = page.until("it fires again", |state| firing(state) == 1).await;
    assert_eq!(state["alerts"]["firing"][0]["told"], false, "{state:#}");
    let recent = state["alerts"]["recent"].as_array().unwrap();
    assert_eq!(
        recent.iter().map(|notice| notice["event"].as_str().unwrap()).collect::<Vec<_>>(),
        ["recovered", "fired"]
    );
    assert_eq!(proxy.metrics().await.sum("edge_cache_alerts_firing", &[("severity", "critical")]), 1.0);
    load.bad.send_replace(false);
    page.until("it is over again", |state| firing(state) == 0).await;
    let messages_of =
        async |result| proxy.metrics().await.sum("edge_cache_alert_messages_total", &[("result", result)]);
    eventually("it is counted", async || (messages_of("suppressed").await == 1.0).then_some(())).await;
    assert_eq!((messages_of("sent").await, messages_of("failed").await), (4.0, 0.0));
    assert!(messages.try_recv().is_err(), "nobody was told more");

    drop(load);
    let shown = [page.step().await.to_string(), proxy.metrics().await.text().to_owned()];
    proxy.terminate();
    let ended = proxy.ended().await;
    for text in shown.iter().chain([&ended.stdout, &ended.stderr]) {
        assert!(!text.contains("s3cret") && !text.contains("t0ken"), "{text}");
    }
    assert!(ended.stderr.contains("error rate"), "the log tells it: {}", ended.stderr);
    let _kept = Arc::new(origin);
}
