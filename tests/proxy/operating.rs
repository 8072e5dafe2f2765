//! Operators' commands: `purge`, `explain`, and the `PURGE` method.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Ended, Origin, Proxy, ProxyBuilder, Reply, Resp, eventually};
use serde_json::Value;

async fn origin() -> Origin {
    Origin::start(|request| async move {
        let reply = Reply::cached("max-age=600, stale-if-error=600", format!("answer {}", request.earlier));
        match request.seen.target.as_str() {
            "/private" => Reply::cached("private", "x"),
            "/varied" => reply.header("vary", "accept-language").header("cache-tag", "b"),
            _ => reply.header("cache-tag", "a, all-of-it").header("etag", "\"1\""),
        }
    })
    .await
}

async fn command(proxy: &Proxy, args: &[&str]) -> Ended {
    let admin = format!("http://{}", proxy.admin_address());
    ProxyBuilder::bare(&[args, &["--admin", &admin]].concat()).to_end().await
}

async fn held(proxy: &Proxy, target: &str) {
    proxy.get(target).await;
    assert!(proxy.get(target).await.is_hit_of("memory"), "{target}");
}

#[tokio::test]
async fn the_purge_command_purges_and_says_how_certain_that_is() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let url = format!("http://{}/x", proxy.address);
    let prefix = format!("http://{}/", proxy.address);
    for args in [&["--tag", "a"][..], &["--url", &url], &["--prefix", &prefix], &["--all"], &["--all", "--hard"]] {
        held(&proxy, "/x").await;
        let dry = command(&proxy, &[&["purge", "--dry-run"], args].concat()).await;
        assert!(dry.stdout.contains("1 entries in memory"), "{dry:?}");
        assert!(proxy.get("/x").await.is_hit_of("memory"), "a dry run purges nothing");
        let done = command(&proxy, &[&["purge", "--reason", "a test"], args].concat()).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.stdout.contains("acknowledged"), "{done:?}");
        assert!(!proxy.get("/x").await.is_hit_of("memory"), "{args:?}");
    }
    let line = proxy.logged("a test").await;
    assert!(line.contains("edge_cache::audit") && line.contains("tag a"), "{line}");
    // What is no whole directory takes the one above, and says so.
    let wider = command(&proxy, &["purge", "--prefix", &format!("{prefix}news"), "--dry-run"]).await;
    assert!(wider.stdout.contains(&format!("all below {}/:", proxy.address)), "{wider:?}");
    for none in ["", " ", "a,b"] {
        let none = command(&proxy, &["purge", "--tag", none]).await;
        assert!(none.code == Some(64) && none.stderr.contains("must be the name of one tag"), "{none:?}");
    }
}

#[tokio::test]
async fn a_wrong_command_is_a_usage_error_and_an_absent_node_a_failure() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for args in [&["purge"][..], &["purge", "--url", "/x"], &["explain", "no url"], &["explain"]] {
        let ended = command(&proxy, args).await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
    }
    let nobody = ProxyBuilder::bare(&["purge", "--all", "--admin", "ftp://h"]).to_end().await;
    assert_eq!(nobody.code, Some(64), "{nobody:?}");
    // The clients' port: whatever answers there, nothing was purged.
    let clients = format!("http://{}", proxy.address);
    let wrong = ProxyBuilder::bare(&["purge", "--all", "--admin", &clients]).to_end().await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = ProxyBuilder::bare(&["purge", "--all", "--admin", &gone]).to_end().await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("no node at"), "{nobody:?}");
}

#[tokio::test]
async fn ready_is_an_exit_code_and_needs_no_token() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).env("CACHE_PROXY_ADMIN_TOKEN", "s3cret-of-operators").start().await;
    let admin = format!("http://{}", proxy.admin_address());
    let ask = || ProxyBuilder::bare(&["ready", "--admin", &admin]).to_end();
    eventually("it is ready", async || (ask().await.code == Some(0)).then_some(())).await;
    proxy.terminate();
    proxy.ended().await;
    assert_eq!(ask().await.code, Some(1), "nobody is there");
}

#[tokio::test]
async fn the_commands_send_the_token() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).env("CACHE_PROXY_ADMIN_TOKEN", "s3cret-of-operators").start().await;
    let admin = format!("http://{}", proxy.admin_address());
    for args in [&["purge", "--all"][..], &["explain", "http://h/x"]] {
        let args = [args, &["--admin", &admin]].concat();
        assert_eq!(ProxyBuilder::bare(&args).to_end().await.code, Some(1));
        let with = ProxyBuilder::bare(&args).env("CACHE_PROXY_ADMIN_TOKEN", "s3cret-of-operators").to_end().await;
        assert_eq!(with.code, Some(0), "{with:?}");
    }
}

async fn explained(proxy: &Proxy, args: &[&str]) -> Value {
    let ended = command(proxy, &[&["explain", "--json"], args].concat()).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test]
async fn explain_tells_the_key_what_is_held_and_why_not() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let url = |target: &str| format!("http://{}{target}", proxy.address);
    let unknown = explained(&proxy, &[&url("/x?b=2&a=1")]).await;
    assert_eq!(unknown["key"]["query"], "a=1&b=2");
    assert_eq!(unknown["tiers"][0]["outcome"], "a miss");

    held(&proxy, "/x").await;
    let known = explained(&proxy, &[&url("/x")]).await;
    let tier = &known["tiers"][0];
    assert_eq!((&tier["tier"], &tier["outcome"]), (&"memory".into(), &"a hit".into()), "{known:#}");
    let entry = &tier["held"];
    assert_eq!((&entry["status"], &entry["body_bytes"]), (&200.into(), &8.into()));
    assert_eq!(entry["headers"]["etag"], "\"1\"");
    assert!(entry["fresh_for_seconds"].as_f64().unwrap() > 500.0, "{entry:#}");
    let tags: Vec<_> = entry["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    assert!(tags.contains(&"this URL") && tags.contains(&"everything"), "{tags:?}");
    assert_eq!(tags.iter().filter(|tag| tag.starts_with("named by the origin")).count(), 2, "{tags:?}");

    proxy.purge(serde_json::json!({"tags": ["a"]})).await;
    let purged = explained(&proxy, &[&url("/x")]).await;
    assert_eq!(purged["tiers"][0]["held"]["purges"], "purged softly");
    proxy.purge(serde_json::json!({"tags": ["a"], "hard": true})).await;
    assert_eq!(explained(&proxy, &[&url("/x")]).await["tiers"][0]["outcome"], "a miss");

    proxy.get("/private").await;
    let private = explained(&proxy, &[&url("/private")]).await;
    assert_eq!(private["tiers"][0]["not_stored_because"], "private");

    proxy.client().get("/varied").header("accept-language", "de").send().await;
    let german = explained(&proxy, &[&url("/varied"), "--header", "accept-language: de"]).await;
    assert_eq!(german["tiers"][0]["varies_by"][0], "accept-language");
    assert_eq!(german["tiers"][0]["outcome"], "a hit");
    let french = explained(&proxy, &[&url("/varied"), "--header", "accept-language: fr"]).await;
    assert_eq!(french["tiers"][0]["outcome"], "a miss: no variant for these headers");

    let words = command(&proxy, &["explain", &url("/varied"), "--header", "accept-language: de"]).await.stdout;
    for expected in ["route", "memory", "a hit", "by accept-language", "prefix"] {
        assert!(words.contains(expected), "{words}");
    }
    let ambiguous = explained(&proxy, &[&url("/a/%2e%2e/b")]).await;
    assert_eq!(ambiguous["bypass"], "path");
}

#[tokio::test]
async fn purges_are_written_down_where_all_nodes_find_them_and_explained_in_both_tiers() {
    let (origin, redis) = (origin().await, Redis::start().await.unwrap());
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--redis", redis.url()]).patient().start().await;
    let url = format!("http://{}/x", proxy.address);
    held(&proxy, "/x").await;
    let both = eventually("both tiers hold it", async || {
        let said = explained(&proxy, &[&url]).await;
        (said["tiers"][1]["outcome"] == "a hit").then_some(said)
    })
    .await;
    assert_eq!((&both["tiers"][0]["outcome"], &both["tiers"][1]["tier"]), (&"a hit".into(), &"redis".into()));
    let purged = command(&proxy, &["purge", "--tag", "a", "--reason", "written down"]).await;
    assert_eq!(purged.code, Some(0), "{purged:?}");
    let mut resp = Resp::connect(redis.port()).await;
    eventually("it is written down", async || {
        let entries = resp.stream("{ec}:audit").await;
        ["written down", "tag a", "soft"].iter().all(|word| entries.contains(word)).then_some(())
    })
    .await;
    let said = explained(&proxy, &[&url]).await;
    for tier in [0, 1] {
        assert_eq!(said["tiers"][tier]["held"]["purges"], "purged softly", "{said:#}");
    }
}

#[tokio::test]
async fn the_purge_method_is_for_trusted_clients_and_off_unless_enabled() {
    let origin = origin().await;
    let config = |cache: &str| format!("[origin]\nurl = \"{}\"\n[cache]\n{cache}", origin.url());
    let purge = async |proxy: &Proxy, hard: &str| {
        proxy.client().ask("PURGE", "/x").header("purge", hard).send().await.status.as_u16()
    };
    let trusted = ProxyBuilder::config(&config("purge_method = true\ntrusted = [\"127.0.0.1\"]\n")).start().await;
    held(&trusted, "/x").await;
    assert_eq!(purge(&trusted, "soft").await, 200);
    assert!(trusted.get("/x").await.said_by("memory").contains("fwd=stale"));
    held(&trusted, "/x").await;
    assert_eq!(purge(&trusted, "hard").await, 200);
    assert!(trusted.get("/x").await.said_by("memory").contains("fwd=uri-miss"));
    let stranger = ProxyBuilder::config(&config("purge_method = true\n")).start().await;
    held(&stranger, "/x").await;
    assert_eq!(purge(&stranger, "soft").await, 403);
    assert!(stranger.get("/x").await.is_hit_of("memory"));
    let before = origin.count("/x");
    let off = ProxyBuilder::config(&config("trusted = [\"127.0.0.1\"]\n")).start().await;
    purge(&off, "soft").await;
    assert_eq!(origin.count("/x"), before + 1, "a method like any other, for the origin to answer");
}

#[tokio::test]
async fn many_tags_at_once_purge_what_they_name_and_not_everything() {
    let (origin, redis) = (origin().await, Redis::start().await.unwrap());
    let proxy = ProxyBuilder::serve(&origin.url())
        .env("CACHE_PROXY__REDIS__LEASE", "3s")
        .patient()
        .args(&["--redis", redis.url()])
        .start()
        .await;
    held(&proxy, "/x").await;
    proxy.client().get("/varied").send().await;
    let mut tags: Vec<String> = (0..3000).map(|n| format!("tag-{n}")).collect();
    tags.push("b".to_owned());
    proxy.purge(serde_json::json!({ "tags": tags })).await;
    assert!(proxy.get("/x").await.is_hit_of("memory"), "nothing named it");
    assert!(proxy.get("/varied").await.said_by("memory").contains("fwd=stale"));
}
