//! What a client's own directives do: little for a stranger, as asked for one who is trusted.

use edge_cache_tests::{Origin, ProxyBuilder, Reply};
use http::StatusCode;

async fn origin() -> Origin {
    Origin::start(|request| async move { Reply::cached("max-age=600", format!("answer {}", request.earlier)) }).await
}

#[tokio::test]
async fn a_strangers_reload_is_no_request_to_the_origin() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    proxy.get("/").await;
    for (name, value) in [("cache-control", "no-cache"), ("cache-control", "max-age=0"), ("pragma", "no-cache")] {
        let answer = proxy.client().get("/").header(name, value).send().await;
        assert!(answer.is_hit_of("memory"), "{value}: {answer:?}");
    }
    assert_eq!(origin.count("/"), 1);
}

#[tokio::test]
async fn a_trusted_clients_reload_is_and_brings_the_new_answer_to_all() {
    let origin = origin().await;
    let toml = format!("[origin]\nurl = \"{}\"\n[cache]\ntrusted = [\"127.0.0.0/8\"]\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    proxy.get("/").await;
    let reload = proxy.client().get("/").header("cache-control", "no-cache").send().await;
    assert_eq!(reload.text(), "answer 1");
    assert!(reload.said_by("memory").contains("fwd=request"), "{reload:?}");
    assert_eq!(proxy.get("/").await.text(), "answer 1");
    assert_eq!(origin.count("/"), 2);
}

#[tokio::test]
async fn only_if_cached_never_reaches_the_origin_and_no_store_is_not_stored() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ask = |directive: &'static str| proxy.client().get("/").header("cache-control", directive).send();
    assert_eq!(ask("only-if-cached").await.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(origin.count("/"), 0);
    assert_eq!(ask("no-store").await.text(), "answer 0");
    assert_eq!(proxy.get("/").await.text(), "answer 1");
    assert_eq!(ask("only-if-cached").await.text(), "answer 1");
}
