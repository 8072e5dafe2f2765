//! What a write through the proxy makes stale.

use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply};

async fn is_hit(proxy: &Proxy, target: &str) -> bool {
    proxy.get(target).await.is_hit_of("memory")
}

async fn stored(proxy: &Proxy, targets: &[&str]) {
    for target in targets {
        proxy.get(target).await;
        assert!(is_hit(proxy, target).await, "{target}");
    }
}

/// An origin whose reads are cacheable and tagged by their path, and whose writes answer as their target says.
async fn origin() -> Origin {
    Origin::start(|request| async move {
        let target = request.seen.target.as_str();
        match (request.seen.method.as_str(), target) {
            ("GET", _) => {
                let tags = if target.starts_with("/news") { "news, front" } else { "other" };
                Reply::cached("max-age=60, stale-if-error=600", format!("{target} {}", request.earlier))
                    .header("cache-tag", tags)
            }
            (_, "/refused") => Reply::new(409),
            (_, "/broken") => Reply::new(500),
            (_, "/collection") => Reply::new(201).header("location", "/made").header("content-location", "shown"),
            (_, "/foreign") => Reply::new(201).header("location", "http://other.example/kept"),
            (_, "/tell") => Reply::new(204).header("cache-group-invalidation", "\"news\""),
            (_, "/tell-hard") => Reply::new(204).header("cache-group-invalidation", "\"news\";hard"),
            _ => Reply::new(200),
        }
    })
    .await
}

#[tokio::test]
async fn a_write_that_succeeds_purges_its_own_uri() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "X-OWN"] {
        stored(&proxy, &["/page?b=1&a=2", "/page"]).await;
        assert!(proxy.client().ask(method, "/page?a=2&b=1").send().await.status.is_success());
        assert!(!is_hit(&proxy, "/page?b=1&a=2").await, "{method}");
        assert!(is_hit(&proxy, "/page").await, "{method}: another query is another URI");
    }
    for method in ["OPTIONS", "HEAD"] {
        proxy.client().ask(method, "/page").send().await;
        assert!(is_hit(&proxy, "/page").await, "{method} changes nothing");
    }
}

#[tokio::test]
async fn a_write_that_fails_purges_nothing() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for target in ["/refused", "/broken"] {
        stored(&proxy, &[target]).await;
        assert!(!proxy.client().ask("PUT", target).send().await.status.is_success());
        assert!(is_hit(&proxy, target).await, "{target}");
    }
}

#[tokio::test]
async fn a_write_purges_what_its_location_headers_name_on_the_same_origin() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    stored(&proxy, &["/made", "/shown", "/kept", "/collection"]).await;
    proxy.client().ask("POST", "/collection").send().await;
    proxy.client().ask("POST", "/foreign").send().await;
    for target in ["/made", "/shown", "/collection"] {
        assert!(!is_hit(&proxy, target).await, "{target}");
    }
    assert!(is_hit(&proxy, "/kept").await, "that one is another origin's");
}

#[tokio::test]
async fn an_answer_that_names_groups_purges_them() {
    for (target, hard) in [("/tell", false), ("/tell-hard", true)] {
        let mut origin = origin().await;
        let proxy = ProxyBuilder::serve(&origin.url()).start().await;
        stored(&proxy, &["/news/1", "/news/2", "/sport"]).await;
        let told = proxy.client().ask("POST", target).send().await;
        assert!(told.status.is_success());
        assert!(is_hit(&proxy, "/sport").await);
        assert!(!is_hit(&proxy, "/news/1").await, "{target}");
        origin.stop().await;
        let copy = proxy.get("/news/2").await;
        assert_eq!(copy.status.as_u16(), if hard { 502 } else { 200 }, "{target}: {copy:?}");
    }
}

#[tokio::test]
async fn a_write_that_overtakes_a_slow_read_is_not_undone_by_it() {
    use edge_cache_tests::Gate;
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            if request.seen.method != "GET" {
                return Reply::new(204);
            }
            if request.seen.target == "/page" && request.earlier == 0 {
                held.passed().await;
                return Reply::cached("max-age=60", "old");
            }
            Reply::cached("max-age=60", "new")
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let reader = tokio::spawn(proxy.client().get("/page").send());
    origin.arrived("/page", 1).await;
    proxy.client().ask("PUT", "/page").send().await;
    gate.open();
    assert_eq!(reader.await.unwrap().text(), "old", "who led the read still gets its answer");
    assert_eq!(proxy.get("/page").await.text(), "new");
}
