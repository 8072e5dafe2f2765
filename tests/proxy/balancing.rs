//! Several origins with the same content: they share the load, and one may go.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use edge_cache_tests::{Feed, Gate, Origin, Proxy, ProxyBuilder, RawOrigin, Reply, Step, eventually};
use futures_util::future::join_all;
use http::StatusCode;

/// A proxy before two origins, with further lines for `[origin]`.
async fn before(first: &str, second: &str, lines: &str) -> Proxy {
    let toml = format!("[origin]\nurl = \"{first}\"\nmore_urls = [\"{second}\"]\n{lines}\n");
    ProxyBuilder::config(&toml).start().await
}

async fn plain() -> Origin {
    Origin::start(|_| async { Reply::cached("no-store", "ok") }).await
}

/// The sum of a metric over all origins, or of one.
async fn metric(proxy: &Proxy, name: &str, origin: Option<&Origin>) -> f64 {
    let address = origin.map(|origin| origin.address.to_string());
    let labels: Vec<_> = address.iter().map(|address| ("origin", address.as_str())).collect();
    proxy.metrics().await.sum(name, &labels)
}

#[tokio::test]
async fn two_origins_share_what_is_under_way() {
    let gate = Gate::new();
    let held = || {
        let gate = gate.clone();
        Origin::start(move |_| {
            let gate = gate.clone();
            async move {
                gate.passed().await;
                Reply::cached("no-store", "ok")
            }
        })
    };
    let (a, b) = (held().await, held().await);
    let proxy = before(&a.url(), &b.url(), "").await;
    let mut asked = Vec::new();
    for n in 1..=10 {
        asked.push(tokio::spawn(proxy.client().get(&format!("/{n}")).send()));
        eventually("it is under way", async || (a.seen().len() + b.seen().len() == n).then_some(())).await;
    }
    assert_eq!((a.seen().len(), b.seen().len()), (5, 5));
    assert_eq!(metric(&proxy, "edge_cache_upstream_in_flight", Some(&a)).await, 5.0);
    gate.open();
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().text(), "ok");
    }
    eventually("none is under way", async || {
        (metric(&proxy, "edge_cache_upstream_in_flight", None).await == 0.0).then_some(())
    })
    .await;
    assert_eq!(metric(&proxy, "edge_cache_upstream_requests_total", None).await, 10.0);
}

#[tokio::test]
async fn one_that_dies_costs_nobody_an_answer_and_is_used_again() {
    let (mut a, b) = (plain().await, plain().await);
    let proxy = before(&a.url(), &b.url(), "").await;
    let proxy = &proxy;
    let crowd = |round: &'static str| async move {
        for answer in join_all((0..20).map(|n| proxy.client().get(&format!("/{round}/{n}")).send())).await {
            assert_eq!((answer.status, answer.text()), (StatusCode::OK, "ok"), "{round}");
        }
    };
    crowd("both").await;
    a.stop().await;
    for round in ["dead", "dead/still", "dead/yet"] {
        crowd(round).await;
    }
    assert!(metric(proxy, "edge_cache_upstream_breaker", Some(&a)).await > 0.0);
    let shown = proxy.admin().get("/origin").send().await.json();
    assert_ne!(shown["origins"][0]["breaker"], "closed", "{shown}");
    assert_eq!(shown["origins"][1]["breaker"], "closed", "{shown}");
    let ready = proxy.admin().get("/health/ready").send().await.json();
    assert_eq!(ready["parts"]["origin"], "ok", "one is enough: {ready}");
    let before = a.seen().len();
    a.resume();
    eventually("it is used again, and no longer on trial", async || {
        crowd("back").await;
        let closed = metric(proxy, "edge_cache_upstream_breaker", Some(&a)).await == 0.0;
        (closed && a.seen().len() > before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_may_have_been_worked_on_is_sent_once() {
    let hang_up = || RawOrigin::start(|_| vec![Step::Close]);
    let (a, b) = (hang_up().await, hang_up().await);
    let proxy = before(&a.url(), &b.url(), "").await;
    let count = |target: &str| {
        let all = [a.seen(), b.seen()].concat();
        all.iter().filter(|seen| seen.head.contains(&format!(" {target} "))).count()
    };
    for (target, method, body, times) in
        [("/post", "POST", "", 1), ("/patch", "PATCH", "", 1), ("/body", "PUT", "x", 1), ("/get", "GET", "", 2)]
    {
        let ask = proxy.client().ask(method, target);
        let ask = if body.is_empty() { ask } else { ask.bytes(body) };
        assert_eq!(ask.send().await.status, StatusCode::BAD_GATEWAY, "{target}");
        assert_eq!(count(target), times, "{target}");
    }
}

#[tokio::test]
async fn what_was_not_sent_goes_to_the_other_with_its_body() {
    let echo = || {
        Origin::start(|mut request| async move {
            let body = request.whole().await;
            Reply::new(200).body(body)
        })
    };
    let (mut a, b) = (echo().await, echo().await);
    a.stop().await;
    let proxy = before(&a.url(), &b.url(), "").await;
    for n in 0..10 {
        let target = format!("/{n}");
        let answer = proxy.client().ask("POST", &target).bytes(format!("body {n}")).send().await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, format!("body {n}").as_str()));
        assert_eq!(b.count(&target), 1);
    }
}

#[tokio::test]
async fn one_that_fails_its_checks_is_left_out_until_it_passes() {
    let well = Arc::new(AtomicBool::new(false));
    let checked = Arc::clone(&well);
    let a = Origin::start(move |request| {
        let status = if request.seen.target == "/up" && !checked.load(Ordering::SeqCst) { 500 } else { 200 };
        async move { Reply::new(status).header("cache-control", "no-store") }
    })
    .await;
    let b = plain().await;
    let proxy =
        before(&a.url(), &b.url(), "health_path = \"/up\"\nhealth_interval = \"10ms\"\nhealth_timeout = \"1min\"")
            .await;
    let healthy = async |expected: f64| {
        eventually("the checks tell", async || {
            (metric(&proxy, "edge_cache_upstream_healthy", Some(&a)).await == expected).then_some(())
        })
        .await;
    };
    healthy(0.0).await;
    let asked = |origin: &Origin| origin.seen().iter().filter(|seen| seen.target != "/up").count();
    let ask = async |count: usize| {
        for n in 0..count {
            assert_eq!(proxy.get(&format!("/{n}")).await.status, StatusCode::OK);
        }
    };
    let before = asked(&a);
    ask(20).await;
    assert_eq!((asked(&a), asked(&b) >= 20), (before, true));
    assert_eq!(metric(&proxy, "edge_cache_upstream_breaker", None).await, 0.0, "breakers hear nothing of checks");
    well.store(true, Ordering::SeqCst);
    healthy(1.0).await;
    eventually("it is used again", async || {
        ask(1).await;
        (asked(&a) > before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_cut_and_not_stored() {
    let origin = Origin::start(|_| async move {
        let (feeder, feed) = Feed::new();
        feeder.push("the beginning");
        // Held open, and nothing more comes.
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(feeder);
        });
        Reply::cached("max-age=60", "").feed(feed)
    })
    .await;
    let toml = format!("[origin]\nurl = \"{}\"\ntotal_timeout = \"5s\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let cut = proxy.client().get("/").try_send().await;
    assert!(cut.is_err(), "{cut:?}");
    let stored = proxy.client().get("/").header("cache-control", "only-if-cached").send().await;
    assert_eq!((stored.status, origin.count("/")), (StatusCode::GATEWAY_TIMEOUT, 1), "{stored:?}");
}
