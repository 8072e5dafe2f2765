//! One miss, one fill.

use edge_cache_tests::{Gate, Origin, ProxyBuilder, Reply};
use futures_util::future::join_all;

#[tokio::test]
async fn a_crowd_on_one_cold_key_is_one_request() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            held.passed().await;
            Reply::cached("max-age=60", format!("answer {}", request.earlier))
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).patient().start().await;
    let crowd: Vec<_> = (0..50).map(|_| tokio::spawn(proxy.client().get("/").send())).collect();
    origin.arrived("/", 1).await;
    gate.open();
    for answer in join_all(crowd).await {
        assert_eq!(answer.unwrap().text(), "answer 0");
    }
    assert_eq!(origin.count("/"), 1);
}

#[tokio::test]
async fn a_set_cookie_is_shared_with_nobody_who_waited() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            held.passed().await;
            Reply::cached("max-age=60", "hello").header("set-cookie", &format!("id={}", request.earlier))
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).patient().start().await;
    let crowd: Vec<_> = (0..8).map(|_| tokio::spawn(proxy.client().get("/").send())).collect();
    origin.arrived("/", 1).await;
    gate.open();
    let mut cookies: Vec<String> =
        join_all(crowd).await.into_iter().map(|answer| answer.unwrap().header("set-cookie").to_owned()).collect();
    cookies.sort();
    cookies.dedup();
    assert_eq!(cookies.len(), 8, "{cookies:?}");
    assert_eq!(origin.count("/"), 8);
}

#[tokio::test]
async fn a_leader_whose_client_leaves_does_not_lose_the_fill() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            held.passed().await;
            Reply::cached("max-age=60", format!("answer {}", request.earlier))
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).patient().start().await;
    let leader = tokio::spawn(proxy.client().get("/").send());
    origin.arrived("/", 1).await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    let waiter = tokio::spawn(proxy.client().get("/").send());
    gate.open();
    assert_eq!(waiter.await.unwrap().text(), "answer 0");
    assert!(proxy.get("/").await.is_hit_of("memory"));
    assert_eq!(origin.count("/"), 1);
}

#[tokio::test]
async fn variants_do_not_wait_for_one_another_in_vain() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            held.passed().await;
            let language = request.seen.header("accept-language").to_owned();
            Reply::cached("max-age=60", format!("in {language}")).header("vary", "accept-language")
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).patient().start().await;
    let ask = |language: &'static str| tokio::spawn(proxy.client().get("/").header("accept-language", language).send());
    let crowd: Vec<_> =
        ["de", "en", "de", "en", "de", "en"].into_iter().map(|language| (language, ask(language))).collect();
    origin.arrived("/", 1).await;
    gate.open();
    for (language, asked) in crowd {
        assert_eq!(asked.await.unwrap().text(), format!("in {language}"));
    }
}
