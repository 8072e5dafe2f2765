//! `POST /purge` on the admin listener.

use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply};
use http::StatusCode;
use serde_json::{Value, json};

const TARGETS: [&str; 5] = ["/a/1", "/a/2?y=1&x=2", "/b/1", "/b", "/bc"];

async fn started() -> (Origin, Proxy) {
    let origin = Origin::start(|request| async move {
        let tag = request.seen.target[1..2].to_owned();
        Reply::cached("max-age=60, stale-if-error=600", "x").header("cache-tag", &format!("{tag}, all-of-it"))
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for target in TARGETS {
        proxy.get(target).await;
        assert!(proxy.get(target).await.is_hit_of("memory"), "{target}");
    }
    (origin, proxy)
}

async fn purged_by(body: Value) -> Vec<&'static str> {
    let (_origin, proxy) = started().await;
    let at = format!("http://{}", proxy.address);
    let body: Value = serde_json::from_str(&body.to_string().replace("http://HERE", &at)).unwrap();
    proxy.purge(body).await;
    let mut purged = Vec::new();
    for target in TARGETS {
        if !proxy.get(target).await.is_hit_of("memory") {
            purged.push(target);
        }
    }
    purged
}

#[tokio::test]
async fn by_tag_by_url_by_prefix_and_all() {
    for (body, expected) in [
        (json!({"tags": ["a"]}), &["/a/1", "/a/2?y=1&x=2"][..]),
        (json!({"tags": ["all-of-it"]}), &TARGETS[..]),
        (json!({"tags": ["A", "nobody"]}), &[]),
        (json!({"urls": ["http://HERE/a/2?x=2&y=1", "http://HERE/b"]}), &["/a/2?y=1&x=2", "/b"]),
        (json!({"urls": ["http://other.example/b"]}), &[]),
        (json!({"prefixes": ["http://HERE/b/"]}), &["/b/1"]),
        (json!({"prefixes": ["http://HERE/"]}), &TARGETS[..]),
        (json!({"all": true}), &TARGETS[..]),
        (json!({"tags": ["a"], "urls": ["http://HERE/b"]}), &["/a/1", "/a/2?y=1&x=2", "/b"]),
    ] {
        assert_eq!(purged_by(body.clone()).await, expected, "{body}");
    }
}

#[tokio::test]
async fn a_soft_purge_leaves_a_copy_for_a_failing_origin_and_a_hard_one_does_not() {
    for (hard, status) in [(false, StatusCode::OK), (true, StatusCode::BAD_GATEWAY)] {
        for what in [json!({"tags": ["a"]}), json!({"all": true})] {
            let (mut origin, proxy) = started().await;
            let mut body = what.clone();
            body["hard"] = hard.into();
            proxy.purge(body).await;
            origin.stop().await;
            for _ in 0..2 {
                let answer = proxy.get("/a/1").await;
                assert_eq!(answer.status, status, "{what} hard: {hard}: {answer:?}");
                assert!(!answer.is_hit_of("memory"), "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_purge_is_refused_with_a_reason() {
    let (_origin, proxy) = started().await;
    for (body, reason) in [
        (json!({}), "nothing to purge"),
        (json!({"hard": true}), "nothing to purge"),
        (json!({"tag": ["a"]}), "tag"),
        (json!({"tags": "a"}), "tags"),
        (json!({"urls": ["/a/1"]}), "absolute"),
        (json!({"prefixes": ["a"]}), "absolute"),
    ] {
        let refused = proxy.admin().post("/purge", &body).send().await;
        assert!(refused.status.is_client_error(), "{body}: {refused:?}");
        let said = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(said.contains(reason), "{body}: {said}");
    }
    let broken = proxy.admin().ask("POST", "/purge").header("content-type", "application/json").bytes("{").send().await;
    assert!(broken.status.is_client_error());
    let from_a_page = proxy.admin().ask("POST", "/purge").header("content-type", "text/plain").bytes("{\"all\":true}");
    assert_eq!(from_a_page.send().await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(proxy.admin().get("/purge").send().await.status, StatusCode::METHOD_NOT_ALLOWED);
    for target in TARGETS {
        assert!(proxy.get(target).await.is_hit_of("memory"), "{target}");
    }
}

#[tokio::test]
async fn with_a_token_only_its_bearer_purges() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let started = ProxyBuilder::serve(&origin.url()).env("CACHE_PROXY_ADMIN_TOKEN", "open-sesame").start();
    let proxy = started.await;
    proxy.get("/").await;
    let ask = |token: &'static str| proxy.admin().post("/purge", &json!({"all": true})).bearer(token).send();
    for token in ["", "open", "open-sesame-2"] {
        let refused = ask(token).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(!refused.text().contains("open-sesame"));
    }
    assert!(proxy.get("/").await.is_hit_of("memory"));
    assert_eq!(ask("open-sesame").await.status, StatusCode::OK);
    assert!(!proxy.get("/").await.is_hit_of("memory"));
}

#[tokio::test]
async fn clients_cannot_reach_what_is_for_operators() {
    let origin = Origin::start(|_| async { Reply::new(404) }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for target in ["/metrics", "/health/ready"] {
        assert_eq!(proxy.get(target).await.status, StatusCode::NOT_FOUND);
        assert_eq!(origin.count(target), 1, "it is the origin's path");
    }
    assert_eq!(proxy.client().post("/purge", &json!({"all": true})).send().await.status, StatusCode::NOT_FOUND);
}
