//! The process, its origin, its purges, what is hot.

use edge_cache_tests::{Demo, Gate, Origin, Performance, ProxyBuilder, Reply, eventually, figure, row};
use serde_json::{Value, json};
use tokio::net::TcpStream;

#[tokio::test]
async fn the_process_is_measured() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    let before = page.step().await.clone();
    let open = |state: &Value| state["process"]["open_descriptors"].as_u64().unwrap();
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(TcpStream::connect(proxy.address).await.unwrap());
    }
    let after = page.until("five are connected", |state| state["process"]["connections"] == 5).await;
    assert!(open(&after) >= open(&before) + 5, "{after:#}");
    assert_eq!(page.most("connections"), 5.0);
    drop(idle);
    page.until("none is", |state| state["process"]["connections"] == 0).await;

    // It takes time to answer, and the seconds say how much of a core.
    let cpu = |state: &Value| state["process"]["cpu_seconds"].as_f64().unwrap();
    let client = proxy.client();
    let busy = page
        .until("it has worked", {
            let start = cpu(&after);
            tokio::spawn(async move {
                loop {
                    client.get("/").send().await;
                }
            });
            move |state| cpu(state) > start + 0.02
        })
        .await;
    let seconds = page.column("seconds");
    let used: f64 = page.column("cpu").iter().zip(&seconds).map(|(share, seconds)| share * seconds).sum();
    // The first row began after the process did.
    assert!(used > 0.0 && used <= cpu(&busy) + 0.01, "{used} of {busy:#}");
    let resident = busy["process"]["resident_bytes"].as_u64().unwrap();
    // No closer: the peak is no exact figure. In pages or in kibibytes it would be far off.
    let most = 2 * proxy.memory_peak_bytes();
    assert!(resident > 1 << 20 && resident < most, "{resident}");
    assert!(page.most("resident") < most as f64);
    let metrics = proxy.metrics().await;
    assert!(metrics.sum("process_cpu_seconds_total", &[]) >= cpu(&busy));
    assert!(metrics.sum("process_resident_memory_bytes", &[]) > 0.0);
    assert!(busy["uptime_seconds"].as_f64().unwrap() > before["uptime_seconds"].as_f64().unwrap());
    assert!(busy["at"].as_f64().unwrap() > before["at"].as_f64().unwrap());
}

#[tokio::test]
async fn permits_are_counted_as_they_are_taken_waited_for_and_refused() {
    let gate = Gate::new();
    let origin = Origin::behind(&gate, "no-store").await;
    let limits = "connections_max = 1\nqueue_max = 1\nqueue_timeout = \"30s\"";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{limits}\n", origin.url())).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    let client = proxy.client();
    let first = tokio::spawn(client.get("/1").send());
    origin.arrived("/1", 1).await;
    let second = tokio::spawn(client.get("/2").send());
    let state = page.until("one waits", |state| state["origin"]["governor"]["waiting"] == 1).await;
    let governor = &state["origin"]["governor"];
    assert_eq!(
        (&governor["in_use"], &governor["permits"], &governor["permits_most"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(page.most("waiting"), 1.0);
    assert_eq!(client.get("/3").send().await.status, 503, "there is no place in the queue");
    gate.open();
    assert_eq!(
        (first.await.unwrap().status, second.await.unwrap().status),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    let state = page.until("all is done", |state| state["origin"]["governor"]["in_use"] == 0).await;
    let governor = &state["origin"]["governor"];
    assert_eq!((&governor["admitted"], &governor["shed"], &governor["in_use_most"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!((&governor["waiting"], &governor["redis_lost"]), (&0.into(), &false.into()));
    assert!(governor["safe"].as_u64().is_some(), "{governor:#}");
    let metrics = proxy.metrics().await;
    assert_eq!(metrics.sum("edge_cache_origin_shed_total", &[]), 1.0);
    assert!(metrics.sum("edge_cache_origin_wait_seconds_total", &[]) > 0.0);
}

#[tokio::test]
async fn pressure_is_told() {
    let gate = Gate::new();
    let origin = Origin::behind(&gate, "no-store").await;
    let proxy = ProxyBuilder::config(&format!(
        "[origin]\nurl = \"{}\"\nconnections_max = 1\nqueue_timeout = \"30s\"\n",
        origin.url()
    ))
    .start()
    .await;
    let mut page = Performance::open(proxy.admin_address()).await;
    page.until("it is calm", |state| state["origin"]["governor"]["pressure"] == "calm").await;
    let held: Vec<_> = (0..4).map(|at| tokio::spawn(proxy.client().get(&format!("/{at}")).send())).collect();
    let state = page.until("fills queue", |state| state["origin"]["governor"]["pressure"] == "queue").await;
    assert_eq!(state["origin"]["governor"]["utilisation"].as_f64(), Some(1.0), "{state:#}");
    gate.open();
    for answer in held {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    page.until("it is calm again", |state| state["origin"]["governor"]["pressure"] == "calm").await;
}

#[tokio::test]
async fn each_origin_is_counted_and_its_breaker_shown() {
    let (a, b) = (
        Origin::start(|_| async { Reply::cached("no-store", "a") }).await,
        Origin::start(|_| async { Reply::cached("no-store", "b") }).await,
    );
    let checks = "health_path = \"/health\"\nhealth_interval = \"1s\"\nhealth_timeout = \"30s\"";
    let toml = format!("[origin]\nurl = \"{}\"\nmore_urls = [\"{}\"]\n{checks}\n", a.url(), b.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    for at in 0..20 {
        assert_eq!(proxy.get(&format!("/{at}")).await.status, 200);
    }
    let state = page.until("all are counted", |state| state["totals"]["calls"] == 20).await;
    let of = |state: &Value, origin: &Origin, name: &str| {
        row(&state["origin"]["origins"], "origin", &origin.address.to_string())[name].clone()
    };
    let asked = |origin: &Origin| origin.seen().iter().filter(|seen| seen.target != "/health").count();
    assert_eq!((of(&state, &a, "requests"), of(&state, &b, "requests")), (asked(&a).into(), asked(&b).into()));
    for name in ["in_flight", "failures", "retries"] {
        assert_eq!(of(&state, &a, name), 0, "{name}");
    }
    assert_eq!((of(&state, &a, "breaker"), of(&state, &a, "healthy")), ("closed".into(), true.into()));

    let (mut a, b) = (a, b);
    a.stop().await;
    for at in 20..60 {
        assert_eq!(proxy.get(&format!("/{at}")).await.status, 200, "the other one answers");
    }
    let state = page
        .until("it is found out", |state| of(state, &a, "healthy") == false && of(state, &a, "breaker") != "closed")
        .await;
    let (failures, retries) =
        (of(&state, &a, "failures").as_u64().unwrap(), of(&state, &b, "retries").as_u64().unwrap());
    assert!(failures > 0 && failures == retries, "{state:#}");
}

#[tokio::test]
async fn purges_are_told_with_who_and_why() {
    let demo = Demo::start().await;
    let mut page = Performance::open(demo.admin_address()).await;
    assert_eq!(page.step().await["purges"], json!([]));
    demo.purge(
        json!({"tags": ["list-trending", "list-new"], "hard": true, "actor": "anna", "reason": "a wrong price"}),
    )
    .await;
    let state = page.until("it is told", |state| state["purges"].as_array().is_some_and(|all| !all.is_empty())).await;
    let purge = &state["purges"][0];
    for (name, expected) in [
        ("kind", "hard"),
        ("by", "api"),
        ("actor", "anna"),
        ("reason", "a wrong price"),
        ("what", "tag list-trending, tag list-new"),
    ] {
        assert_eq!(purge[name], expected, "{purge:#}");
    }
    assert_eq!(purge["tags"], 2);
    assert!(purge["at"].as_f64().unwrap() <= state["at"].as_f64().unwrap());
    let id = demo.draft("The Long Purge").await;
    demo.step(id, "publish").await;
    let what = format!("POST /api/pitches/{id}/publish");
    let state = page.until("a write is told", |state| state["purges"][0]["what"] == *what).await;
    assert_eq!(state["purges"][0]["by"], "write", "{state:#}");
    let metrics = demo.metrics().await;
    assert!(metrics.sum("edge_cache_purges_total", &[("kind", "hard")]) >= 1.0);
}

#[tokio::test]
async fn what_is_hot_is_told_with_its_hits_and_its_cost() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    for _ in 0..7 {
        proxy.client().get("/hot").header("host", "shop.example").send().await;
    }
    let seven = |state: &Value| state["hot"].as_array().is_some_and(|keys| keys.iter().any(|key| key["hits"] == 7));
    let state = page.until("it is counted", seven).await;
    let hot = row(&state["hot"], "url", "http://shop.example/hot");
    assert_eq!(hot["score"], 7.0 * hot["cost_millis"].as_f64().unwrap().max(1.0), "{hot:#}");
}

#[tokio::test]
async fn the_node_says_whether_it_is_ready() {
    let demo = Demo::start().await;
    let mut page = Performance::open(demo.admin_address()).await;
    let state = page.until("it is ready", |state| state["ready"]["ready"] == true).await;
    assert_eq!((figure(&state, "ready.draining"), figure(&state, "ready.backplane")), (&false.into(), &"alone".into()));
    assert_eq!(figure(&state, "ready.warm.state"), &json!("warm"), "{state:#}");
    assert!(figure(&state, "ready.warm.held").is_u64() && figure(&state, "ready.warm.hot").is_u64());
}

#[tokio::test]
async fn a_node_that_stops_says_so() {
    let gate = Gate::new();
    let origin = Origin::behind(&gate, "max-age=600").await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    let last = tokio::spawn(proxy.client().get("/").send());
    origin.arrived("/", 1).await;
    proxy.terminate();
    let state = page.until("it drains", |state| state["ready"]["draining"] == true).await;
    assert_eq!((&state["ready"]["ready"], &state["process"]["in_flight"]), (&false.into(), &1.into()), "{state:#}");
    gate.open();
    assert_eq!(last.await.unwrap().status, 200);
    assert_eq!(proxy.ended().await.code, Some(0));
}

#[tokio::test]
async fn who_does_not_wait_and_what_is_refused_are_counted_apart() {
    let origin = Origin::start(|_| std::future::pending::<Reply>()).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let impatient = tokio::spawn(proxy.client().get("/slow").send());
    origin.arrived("/slow", 1).await;
    impatient.abort();
    let count = async |name: &str| proxy.metrics().await.sum(name, &[]);
    eventually("it is counted", async || (count("edge_cache_requests_abandoned_total").await == 1.0).then_some(()))
        .await;
    assert_eq!((count("edge_cache_requests_total").await, count("edge_cache_requests_in_flight").await), (0.0, 0.0));
    let list = proxy.admin().get("/requests").send().await.json();
    assert_eq!((&list["requests"][0]["status"], &list["requests"][0]["result"]), (&499.into(), &"error".into()));
    assert_eq!(proxy.get(&format!("/{}", "x".repeat(9000))).await.status, 414);
    let refused = proxy.metrics().await.sum("edge_cache_requests_refused_total", &[("status", "414")]);
    assert_eq!(refused, 1.0);
}
