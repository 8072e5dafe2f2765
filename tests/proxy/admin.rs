//! Who may see and change what through the admin listener, and what is written down of it.

use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply, eventually};
use http::StatusCode;
use serde_json::{Value, json};

const TOKEN: &str = "open-sesame-for-operators";

/// Everything that reveals something.
const REVEALING: [&str; 8] = [
    "/metrics",
    "/origin",
    "/hot",
    "/requests",
    "/requests/0123456789abcdef",
    "/explain?url=http://h/x",
    "/admin/performance/feed",
    "/purge",
];

async fn node(token: &str) -> (Origin, Proxy) {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let mut builder = ProxyBuilder::serve(&origin.url());
    if !token.is_empty() {
        builder = builder.env("CACHE_PROXY_ADMIN_TOKEN", token);
    }
    let proxy = builder.start().await;
    (origin, proxy)
}

/// The status of a GET.
async fn status(proxy: &Proxy, target: &str, headers: &[(&str, &str)]) -> StatusCode {
    let ask = headers.iter().fold(proxy.admin().get(target), |ask, (name, value)| ask.header(name, value));
    // The feed has no end.
    ask.open().await.status
}

#[tokio::test]
async fn with_a_token_nothing_is_revealed_without_it() {
    let (_origin, proxy) = node(TOKEN).await;
    for target in REVEALING {
        for wrong in ["", "Bearer open-sesame", "Basic open-sesame-for-operators", "Bearer open-sesame-for-operators2"]
        {
            let ask = proxy.admin().get(target);
            let refused = if wrong.is_empty() { ask } else { ask.header("authorization", wrong) }.send().await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{target} {wrong}");
            assert_eq!((refused.header("www-authenticate"), refused.header("cache-control")), ("Bearer", "no-store"));
            assert!(!refused.text().contains("sesame") && refused.body.len() < 100, "{refused:?}");
        }
        let with = status(&proxy, target, &[("authorization", &format!("Bearer {TOKEN}"))]).await;
        let expected = match target {
            "/purge" => StatusCode::METHOD_NOT_ALLOWED,
            "/requests/0123456789abcdef" => StatusCode::NOT_FOUND,
            _ => StatusCode::OK,
        };
        assert_eq!(with, expected, "{target}");
    }
    for open in ["/health/live", "/admin/performance", "/admin/performance/assets/page.js"] {
        assert_eq!(status(&proxy, open, &[]).await, StatusCode::OK, "{open}");
    }
}

/// What a balancer learns, once the node has started.
async fn is_ready_and_no_more(proxy: &Proxy, host: Option<&str>) {
    eventually("it is ready", async || {
        let ask = proxy.admin().get("/health/ready");
        let answer = if let Some(host) = host { ask.header("host", host) } else { ask }.send().await;
        let ready = answer.status == StatusCode::OK;
        assert_eq!(answer.json(), json!({ "ready": ready }));
        ready.then_some(())
    })
    .await;
}

#[tokio::test]
async fn health_says_why_only_to_who_may_know() {
    let (_origin, proxy) = node(TOKEN).await;
    is_ready_and_no_more(&proxy, None).await;
    let known = proxy.admin().get("/health/ready").bearer(TOKEN).send().await.json();
    assert_eq!((&known["ready"], &known["parts"]["memory"]), (&json!(true), &json!("ok")), "{known}");
    let (_origin, proxy) = node("").await;
    assert_eq!(proxy.admin().get("/health/ready").send().await.json()["parts"]["memory"], "ok");
    is_ready_and_no_more(&proxy, Some("rebound.example")).await;
}

#[tokio::test]
async fn on_loopback_without_a_token_a_page_that_rebinds_its_name_sees_nothing() {
    let (_origin, proxy) = node("").await;
    for target in REVEALING {
        let rebound = status(&proxy, target, &[("host", "rebound.example:9901")]).await;
        assert_eq!(rebound, StatusCode::FORBIDDEN, "{target}");
    }
    assert_eq!(status(&proxy, "/metrics", &[("host", "localhost:1")]).await, StatusCode::OK);
}

#[tokio::test]
async fn off_loopback_without_a_token_nobody_sees_anything() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let started = ProxyBuilder::serve_with_admin_at(&origin.url(), "0.0.0.0:0").start().await;
    for target in REVEALING {
        assert_eq!(status(&started, target, &[]).await, StatusCode::FORBIDDEN, "{target}");
    }
    is_ready_and_no_more(&started, None).await;
    let purge = started.admin().post("/purge", &json!({"all": true})).send().await;
    assert_eq!(purge.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn no_page_of_another_site_changes_anything() {
    for token in ["", TOKEN] {
        let (_origin, proxy) = node(token).await;
        proxy.get("/").await;
        let own = format!("http://{}", proxy.admin_address());
        let purge = |name: &'static str, value: String| {
            proxy.admin().post("/purge", &json!({"all": true})).bearer(token).header(name, &value).send()
        };
        for (name, value) in [
            ("sec-fetch-site", "cross-site".to_owned()),
            ("sec-fetch-site", "same-site".to_owned()),
            ("origin", "http://evil.example".to_owned()),
            ("origin", "null".to_owned()),
        ] {
            assert_eq!(purge(name, value.clone()).await.status, StatusCode::FORBIDDEN, "{name}: {value}");
        }
        assert!(proxy.get("/").await.is_hit_of("memory"));
        assert_eq!(purge("origin", own).await.status, StatusCode::OK);
        assert!(!proxy.get("/").await.is_hit_of("memory"));
        assert_eq!(purge("sec-fetch-site", "same-origin".to_owned()).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_take_nothing_further() {
    let (_origin, proxy) = node("").await;
    for target in ["/", "/admin/performance", "/metrics", "/origin", "/health/ready", "/no/such/place"] {
        let answer = proxy.admin().get(target).send().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{target}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{target}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{target}");
        let kept = if target == "/admin/performance" { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), kept, "{target}");
    }
    let page = proxy.admin().get("/admin/performance").send().await;
    let policy = page.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !page.text().contains("<script>") && !page.text().contains("style="));
}

#[tokio::test]
async fn who_changed_something_and_who_may_not_is_written_down() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let toml = format!("[origin]\nurl = \"{}\"\n[log]\nformat = \"json\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).env("CACHE_PROXY_ADMIN_TOKEN", TOKEN).start().await;
    for _ in 0..50 {
        proxy.admin().get("/metrics").bearer("a-guess-of-somebody").send().await;
    }
    let what = json!({"tags": ["list"], "actor": "ann", "reason": "a new price"});
    assert_eq!(proxy.admin().post("/purge", &what).bearer(TOKEN).send().await.status, StatusCode::OK);
    proxy.terminate();
    let said = proxy.ended().await.stderr;
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let audit: Vec<_> = lines.iter().filter(|line| line["target"] == "audit").map(|line| &line["fields"]).collect();
    assert_eq!(audit.len(), 2, "a flood is one line: {audit:#?}");
    let (refused, purged) = (audit[0], audit[1]);
    assert_eq!((&refused["message"], &refused["path"]), (&json!("refused"), &json!("/metrics")), "{refused}");
    assert_eq!((&refused["why"], &refused["client"]), (&json!("another token"), &json!("127.0.0.1")), "{refused}");
    assert_eq!((&purged["message"], &purged["door"]), (&json!("purged"), &json!("token")), "{purged}");
    assert_eq!((&purged["actor"], &purged["what"]), (&json!("ann"), &json!("tag list")), "{purged}");
    assert_eq!(purged["client"], json!("127.0.0.1"), "{purged}");
    assert!(!said.contains("sesame") && !said.contains("a-guess-of-somebody"), "{said}");
}

#[tokio::test]
async fn a_token_that_can_be_guessed_is_refused_or_warned_of() {
    let start = |token: &'static str| ProxyBuilder::serve("http://127.0.0.1:1").env("CACHE_PROXY_ADMIN_TOKEN", token);
    for short in ["letmein", "with a space in it"] {
        let ended = start(short).to_end().await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains("CACHE_PROXY_ADMIN_TOKEN: must") && !ended.stderr.contains(short), "{ended:?}");
    }
    let proxy = start("letmein-now").start().await;
    let line = proxy.logged("fewer than 16 bytes").await;
    assert!(!line.contains("letmein"), "{line}");
}
