//! What is not the cache's business arrives as it was sent.

use edge_cache_tests::{Origin, ProxyBuilder, Reply};
use http::StatusCode;

#[tokio::test]
async fn every_method_and_its_body_reach_the_origin_once() {
    let origin = Origin::start(|mut request| async move {
        let body = request.whole().await;
        let said = format!("{} {}", request.seen.method, String::from_utf8_lossy(&body));
        Reply::new(200).header("x-length", request.seen.header("content-length")).body(said)
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN"] {
        let target = format!("/{}", method.to_lowercase());
        let answer = proxy.client().ask(method, &target).bytes("a body").send().await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, format!("{method} a body").as_str()));
        assert_eq!(answer.header("x-length"), "6");
        assert_eq!(origin.count(&target), 1, "{method}");
    }
    let got = proxy.client().get("/get").bytes("a body").send().await;
    assert_eq!(got.text(), "GET a body");
    assert!(got.said_by("memory").contains("fwd=bypass"), "a GET with a body is no question to share: {got:?}");
    let head = proxy.client().ask("HEAD", "/head").send().await;
    assert_eq!((head.status, head.body.len(), origin.seen().pop().unwrap().method), (StatusCode::OK, 0, "HEAD".into()));
}

#[tokio::test]
async fn statuses_and_headers_pass_in_both_directions() {
    let origin = Origin::start(|request| async move {
        match request.seen.target.as_str() {
            "/moved" => Reply::new(301).header("location", "/elsewhere?x=1#y"),
            "/found" => Reply::new(302).header("location", "https://other.example/"),
            "/none" => Reply::new(204),
            "/teapot" => Reply::new(418).header("x-tea", "mint").header("x-tea", "sage").body("short and stout"),
            "/broken" => Reply::new(500).body("a trace"),
            _ => Reply::new(200).header("cache-control", "no-store").header("etag", "\"a\"").body("tagged"),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let location = async |target: &str| proxy.get(target).await.header("location").to_owned();
    assert_eq!(location("/moved").await, "/elsewhere?x=1#y");
    assert_eq!(location("/found").await, "https://other.example/");
    let none = proxy.get("/none").await;
    assert_eq!((none.status, none.body.len()), (StatusCode::NO_CONTENT, 0));
    let teapot = proxy.get("/teapot").await;
    assert_eq!((teapot.status.as_u16(), teapot.text()), (418, "short and stout"));
    assert_eq!(teapot.headers.get_all("x-tea").iter().collect::<Vec<_>>(), ["mint", "sage"]);
    let broken = proxy.get("/broken").await;
    assert_eq!((broken.status.as_u16(), broken.text()), (500, "a trace"));

    let tagged = proxy.client().get("/tagged").header("if-none-match", "\"a\"").send().await;
    assert_eq!((tagged.status, tagged.header("etag")), (StatusCode::NOT_MODIFIED, "\"a\""));
    let asked = proxy.client().get("/asked").header("x-own", "1").header("x-own", "2").header("accept", "x/y");
    assert_eq!(asked.send().await.text(), "tagged");
    let seen = origin.seen().pop().unwrap();
    assert_eq!(seen.headers.get_all("x-own").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(seen.header("accept"), "x/y");
}

#[tokio::test]
async fn what_belongs_to_one_connection_ends_with_it() {
    let origin = Origin::start(|_| async {
        Reply::new(200)
            .header("connection", "x-mine")
            .header("x-mine", "1")
            .header("keep-alive", "timeout=5")
            .body("ok")
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ask = proxy.client().get("/").header("connection", "x-hop").header("x-hop", "1").header("keep-alive", "300");
    let answer = ask.header("proxy-authorization", "Basic eA==").send().await;
    for name in ["x-mine", "keep-alive"] {
        assert!(!answer.headers.contains_key(name), "{name}: {answer:?}");
    }
    let seen = origin.seen().pop().unwrap();
    for name in ["x-hop", "keep-alive", "proxy-authorization"] {
        assert!(!seen.headers.contains_key(name), "{name}: {seen:?}");
    }
}

#[tokio::test]
async fn the_clients_host_reaches_the_origin_and_splits_the_key() {
    let origin =
        Origin::start(
            |request| async move { Reply::cached("max-age=60", format!("for {}", request.seen.header("host"))) },
        )
        .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for host in ["a.example", "b.example", "a.example:81"] {
        let ask = || proxy.client().get("/").header("host", host).send();
        assert_eq!(ask().await.text(), format!("for {host}"));
        let hit = ask().await;
        assert!(hit.is_hit_of("memory"));
        assert_eq!(hit.text(), format!("for {host}"));
    }
    let upper = proxy.client().get("/").header("host", "A.EXAMPLE").send().await;
    assert!(upper.is_hit_of("memory"), "hosts have no case");
    assert_eq!(origin.count("/"), 3);
}

#[tokio::test]
async fn without_preserve_host_the_origin_sees_its_own_and_keys_stay_split() {
    let origin =
        Origin::start(
            |request| async move { Reply::cached("max-age=60", format!("for {}", request.seen.header("host"))) },
        )
        .await;
    let toml = format!("[origin]\nurl = \"{}\"\npreserve_host = false\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    for host in ["a.example", "b.example"] {
        let answer = proxy.client().get("/").header("host", host).send().await;
        assert_eq!(answer.text(), format!("for {}", origin.address));
        assert!(!answer.is_hit_of("memory"));
    }
}

#[tokio::test]
async fn what_steers_an_origin_past_the_key_does_not_reach_it() {
    let origin = Origin::start(|request| async move {
        Reply::cached("max-age=60", format!("see {}", request.seen.header("x-forwarded-host")))
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let names = ["x-forwarded-host", "x-forwarded-scheme", "forwarded", "x-host", "x-original-url", "x-rewrite-url"];
    let poisoned = names.iter().fold(proxy.client().get("/"), |ask, name| ask.header(name, "evil.example"));
    poisoned.send().await;
    let seen = origin.seen().pop().unwrap();
    for name in names {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(proxy.get("/").await.text(), "see ");
}
