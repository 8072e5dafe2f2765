//! Two sets of rules, for the whole cache and for a route.

use edge_cache_tests::{Origin, ProxyBuilder, Reply};

async fn origin() -> Origin {
    Origin::start(|_| async { Reply::cached("max-age=60", "body").header("set-cookie", "a=b") }).await
}

#[tokio::test]
async fn a_route_can_have_rules_of_its_own() {
    let origin = origin().await;
    let route = "[[route]]\nname = \"plain\"\npath = \"/plain/*\"\npolicy = \"rfc\"\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for (target, stored) in [("/plain/a", true), ("/guarded", false)] {
        proxy.get(target).await;
        assert_eq!(proxy.get(target).await.is_hit_of("memory"), stored, "{target}: Set-Cookie");
        let reload = proxy.client().get(target).header("cache-control", "no-cache").send().await;
        assert!(!reload.is_hit_of("memory"), "{target}");
    }
    let guarded = format!(
        "[origin]\nurl = \"{}\"\n[cache]\npolicy = \"rfc\"\n[[route]]\nname = \"kept\"\npath = \"/kept\"\npolicy = \"guarded\"\n",
        origin.url()
    );
    let proxy = ProxyBuilder::config(&guarded).start().await;
    for (target, stored) in [("/kept", false), ("/any", true)] {
        proxy.get(target).await;
        assert_eq!(proxy.get(target).await.is_hit_of("memory"), stored, "{target}");
    }
}

#[tokio::test]
async fn a_stranger_s_reload_is_a_query_under_rfc_only() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "body") }).await;
    for (policy, hit) in [("rfc", false), ("guarded", true)] {
        let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", policy]).start().await;
        proxy.get("/").await;
        for (name, value) in [("cache-control", "no-cache"), ("cache-control", "max-age=0"), ("pragma", "no-cache")] {
            let reload = proxy.client().get("/").header(name, value).send().await;
            assert_eq!(reload.is_hit_of("memory"), hit, "{policy}: {name}: {value}");
        }
    }
}
