//! One request, told from its coming to its last byte.

use edge_cache_tests::{Gate, Origin, Performance, Proxy, ProxyBuilder, Reply, eventually};
use serde_json::Value;

async fn story(proxy: &Proxy, id: &str) -> Value {
    let answer = proxy.admin().get(&format!("/requests/{id}")).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The story of a request whose fill has ended: that may be a moment after its answer.
async fn whole_story(proxy: &Proxy, id: &str) -> Value {
    eventually("its fill ends", async || Some(story(proxy, id).await).filter(|told| says(told, "memory", "kept"))).await
}

fn steps(story: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    story["steps"].as_array().unwrap().iter().map(|step| (text(&step["who"]), text(&step["what"]))).collect()
}

fn says(story: &Value, who: &str, what: &str) -> bool {
    steps(story).iter().any(|(by, said)| by == who && said.contains(what))
}

#[tokio::test]
async fn a_miss_tells_each_decision_and_a_hit_that_it_was_one() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let (miss, hit) = (proxy.get("/a?b=1").await, proxy.get("/a?b=1").await);
    let told = whole_story(&proxy, miss.header("x-edge-cache-id")).await;
    for (name, expected) in
        [("method", "GET"), ("result", "miss"), ("tier", "origin"), ("route", "other"), ("client", "127.0.0.1")]
    {
        assert_eq!(told[name], expected, "{told:#}");
    }
    assert_eq!((&told["status"], &told["bytes"]), (&200.into(), &1.into()));
    assert_eq!(told["url"], format!("{}/a?b=1", proxy.address));
    assert_eq!(told["cache_status"], miss.said_by("memory"));
    let asked = format!("{} answered 200", origin.address);
    for (who, what) in
        [("memory", "nothing is stored"), ("memory", "leads the fill"), ("origin", &asked), ("memory", "kept")]
    {
        assert!(says(&told, who, what), "{who}: {what} in {told:#}");
    }
    let times: Vec<_> = told["steps"].as_array().unwrap().iter().map(|step| step["at_ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && told["millis"].as_f64() > Some(0.0), "{told:#}");
    let told = story(&proxy, hit.header("x-edge-cache-id")).await;
    assert_eq!((&told["result"], &told["tier"]), (&"hit".into(), &"memory".into()));
    assert!(told["age_seconds"].as_u64().is_some_and(|age| age < 60), "{told:#}");
    assert_eq!(told["steps"], Value::Array(Vec::new()));
    // And listed, the newest first.
    let list = proxy.admin().get("/requests?n=1").send().await.json();
    assert_eq!(list["requests"][0]["id"], hit.header("x-edge-cache-id"));
}

#[tokio::test]
async fn a_waiter_names_the_request_that_leads_its_fill() {
    let gate = Gate::new();
    let origin = Origin::behind(&gate, "max-age=600").await;
    let proxy = ProxyBuilder::serve(&origin.url()).patient().start().await;
    let mut page = Performance::open(proxy.admin_address()).await;
    let leader = tokio::spawn(proxy.client().get("/").send());
    origin.arrived("/", 1).await;
    let waiter = tokio::spawn(proxy.client().get("/").send());
    page.until("both are there", |state| state["process"]["in_flight"] == 2).await;
    gate.open();
    let (leader, waiter) = (leader.await.unwrap(), waiter.await.unwrap());
    let told = story(&proxy, waiter.header("x-edge-cache-id")).await;
    let leads = format!("waits for the fill that request {} leads", leader.header("x-edge-cache-id"));
    assert!(says(&told, "memory", &leads), "{told:#}");
    assert_eq!(told["result"], "coalesced");
}

#[tokio::test]
async fn a_purge_a_failure_and_a_bypass_are_reasons() {
    let origin = Origin::start(|request| async move {
        match (request.seen.target.as_str(), request.earlier) {
            ("/private", _) => Reply::cached("private", "x"),
            (_, 0) => Reply::cached("max-age=600, stale-if-error=600", "x"),
            _ => Reply::new(500),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let id = async |target: &str| proxy.get(target).await.header("x-edge-cache-id").to_owned();
    id("/a").await;
    proxy.purge(serde_json::json!({"urls": [format!("http://{}/a", proxy.address)]})).await;
    let told = story(&proxy, &id("/a").await).await;
    assert!(says(&told, "memory", "what is stored was purged"), "{told:#}");
    assert!(says(&told, "memory", "the origin failed: answers with what is stale"), "{told:#}");
    let told = story(&proxy, &id("/private").await).await;
    assert!(says(&told, "memory", "not kept: private"), "{told:#}");
    let sent = proxy.client().get("/b").header("cookie", "session=1").send().await;
    let told = story(&proxy, sent.header("x-edge-cache-id")).await;
    assert!(says(&told, "memory", "it bears credentials") && told["result"] == "bypass", "{told:#}");
    let posted = proxy.client().ask("POST", "/c").send().await;
    let told = story(&proxy, posted.header("x-edge-cache-id")).await;
    assert!(says(&told, "purge", "soft: 1 tags"), "{told:#}");
}

#[tokio::test]
async fn what_is_not_there_is_said_so() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let toml =
        format!("[origin]\nurl = \"{}\"\n[telemetry]\nrequests_kept = 2\nid_header = \"x-my-name\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    // Of a flood what fits is kept.
    for target in ["/1", "/2"] {
        proxy.get(target).await;
    }
    let first_too_many = proxy.get("/3").await;
    for (name, status, why) in [
        (first_too_many.header("x-my-name"), 404, "not among the last ones"),
        ("00000000000000000", 400, "sixteen hexadecimal digits"),
        ("xyz", 400, "sixteen hexadecimal digits"),
    ] {
        let answer = proxy.admin().get(&format!("/requests/{name}")).send().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.text().contains(why), "{answer:?}");
    }
    let said = ProxyBuilder::bare(&[
        "request",
        first_too_many.header("x-my-name"),
        "--admin",
        &format!("http://{}", proxy.admin_address()),
    ])
    .to_end()
    .await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("not among the last ones"), "{said:?}");
}

#[tokio::test]
async fn the_command_tells_the_same_in_words() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let miss = proxy.get("/a").await;
    whole_story(&proxy, miss.header("x-edge-cache-id")).await;
    let admin = format!("http://{}", proxy.admin_address());
    let told = ProxyBuilder::bare(&["request", miss.header("x-edge-cache-id"), "--admin", &admin]).to_end().await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for part in ["GET", "/a", "miss", "leads the fill", "kept"] {
        assert!(told.stdout.contains(part), "{part} in {}", told.stdout);
    }
    let list = ProxyBuilder::bare(&["request", "--admin", &admin]).to_end().await;
    assert!(list.code == Some(0) && list.stdout.contains(miss.header("x-edge-cache-id")), "{list:?}");
}

#[tokio::test]
async fn a_trace_goes_through() {
    let origin = Origin::start(|_| async { Reply::cached("no-store", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = proxy.client().get("/a").header("traceparent", sent).header("tracestate", "vendor=1").send().await;
    let id = answer.header("x-edge-cache-id").to_owned();
    let seen = &origin.seen()[0];
    assert_eq!(seen.header("traceparent"), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{id}-01"));
    assert_eq!(seen.header("tracestate"), "vendor=1");
    assert_eq!(story(&proxy, &id).await["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    // A trace that is none begins here.
    let answer = proxy.client().get("/b").header("traceparent", "00-0-0-00").send().await;
    let parts: Vec<_> = origin.seen()[1].header("traceparent").split('-').map(str::to_owned).collect();
    assert_eq!((parts.len(), parts[2].as_str()), (4, answer.header("x-edge-cache-id")));
    assert_eq!(story(&proxy, &parts[2]).await["trace_id"], *parts[1]);
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_request_and_the_warm_up_job_reads_it() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let folder = tempfile::tempdir().unwrap();
    for format in ["combined", "json"] {
        let log = folder.path().join(format);
        let toml = format!(
            "[origin]\nurl = \"{}\"\n[telemetry]\naccess_log = \"{}\"\naccess_log_format = \"{format}\"\n",
            origin.url(),
            log.display()
        );
        let proxy = ProxyBuilder::config(&toml).start().await;
        let mut ids = Vec::new();
        for target in ["/a", "/a", "/b?c=1"] {
            let answer =
                proxy.client().get(target).header("user-agent", "a \"b\"").header("referer", "http://r/").send().await;
            ids.push(answer.header("x-edge-cache-id").to_owned());
        }
        let text = eventually("the lines are written", async || {
            std::fs::read_to_string(&log).ok().filter(|text| text.lines().count() == 3)
        })
        .await;
        for (id, (result, target)) in ids.iter().zip([("miss", "/a"), ("hit", "/a"), ("miss", "/b?c=1")]) {
            // The lines of one thread are in order, and those of several are near it.
            let line = text.lines().find(|line| line.contains(id.as_str())).unwrap();
            if format == "combined" {
                assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with(id.as_str()), "{line}");
                let request = format!("\"GET {target} HTTP/1.1\" 200 1 \"http://r/\" \"a \\x22b\\x22\" {result} ");
                assert!(line.contains(&request), "{line}");
            } else {
                let line: Value = serde_json::from_str(line).unwrap();
                assert_eq!(
                    (&line["result"], &line["target"], &line["id"]),
                    (&result.into(), &target.into(), &id.as_str().into())
                );
                assert_eq!((&line["user_agent"], &line["bytes"]), (&"a \"b\"".into(), &1.into()));
            }
        }
        if format == "combined" {
            let (target, log) = (format!("http://{}", proxy.address), log.display().to_string());
            let args = ["warm", "--target", &target, "--authority", "shop.example", "--from-log", &log];
            let warmed = ProxyBuilder::bare(&args).to_end().await;
            assert_eq!(warmed.code, Some(0), "{warmed:?}");
            let asked = |target: &str| {
                origin
                    .seen()
                    .iter()
                    .filter(|seen| seen.target == target && seen.header("host") == "shop.example")
                    .count()
            };
            assert_eq!((asked("/a"), asked("/b?c=1")), (1, 1), "{warmed:?}");
        }
    }
}
