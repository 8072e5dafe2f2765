//! Host and tenant confusion: an answer for one is never another's.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{ProxyBuilder, WireOrigin, eventually, raw};
use http::StatusCode;

#[tokio::test]
async fn one_path_on_two_hosts() {
    let origin = WireOrigin::echo().await;
    for policy in ["guarded", "rfc"] {
        let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", policy]).start().await;
        for host in ["a.example", "b.example", "a.example:8080", "a.example.", "ab.example"] {
            for _ in 0..2 {
                let answer = proxy.client().get("/path").header("host", host).send().await;
                assert_eq!(answer.text(), format!("GET /path for {host}"), "{policy}");
                let over_http2 = proxy.client().get("/path").header("host", host).http2().send().await;
                assert_eq!(over_http2.text(), answer.text(), "{policy}");
            }
        }
    }
    assert_eq!(origin.asked().len(), 10, "once a host");
}

#[tokio::test]
async fn hosts_that_two_servers_read_differently() {
    let origin = WireOrigin::echo().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for lines in [
        "host: h\r\nhost: h\r\n",
        "host: h\r\nhost: evil\r\n",
        "host: h\r\nHost : evil\r\n",
        "",
        "host:\r\n",
        "host: h, evil\r\n",
        "host: h evil\r\n",
        "host: h,evil\r\n",
        "host: evil@h\r\n",
        "host: h@evil\r\n",
        "host: user:secret@h\r\n",
        "host: h:80@evil\r\n",
        "host: h:evil\r\n",
        "host: h:80:81\r\n",
        "host: h:99999999\r\n",
        "host: h/evil\r\n",
        "host: h?evil\r\n",
        "host: h#evil\r\n",
        "host: h\\evil\r\n",
        "host: http://h/\r\n",
        "host: h%00evil\r\n",
        "host: %68\r\n",
        "host: h\tevil\r\n",
        "host: [::1\r\n",
        "host: [::1]evil\r\n",
        "host: h;evil\r\n",
        "host: \"h\"\r\n",
        "host: h\u{e9}\r\n",
    ] {
        let attack = format!("GET / HTTP/1.1\r\nconnection: close\r\n{lines}\r\n");
        let attacker = raw(proxy.address, attack.as_bytes()).await.unwrap();
        assert!(attacker.starts_with("HTTP/1.1 400 "), "{lines:?}: {attacker}");
    }
    assert!(origin.asked().is_empty(), "none of it reached the origin");
    let refused = proxy.metrics().await;
    assert!(refused.text().contains("edge_cache_requests_refused_total{status=\"400\"}"), "counted");
    // What looks like another host's header is none.
    let attack = "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nhost_: evil\r\nx-host: evil\r\nx-forwarded-host: evil\r\n\r\n";
    let attacker = raw(proxy.address, attack.as_bytes()).await.unwrap();
    assert!(attacker.ends_with("GET / for h"), "{attacker}");
    assert_eq!(proxy.client().get("/").header("host", "h").send().await.text(), "GET / for h");
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn a_target_with_a_host_of_its_own() {
    let origin = WireOrigin::echo().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    // RFC 9112 §3.2.2: the target counts, for the key and for the origin.
    let attack = "GET http://evil/ HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let attacker = raw(proxy.address, attack.as_bytes()).await.unwrap();
    assert!(attacker.ends_with("GET / for evil"), "{attacker}");
    assert_eq!(proxy.client().get("/").header("host", "h").send().await.text(), "GET / for h");
    for target in [
        "http://user:secret@h/",
        "http://h@evil/",
        "http://h:x/",
        "ftp://h/",
        "file://h/etc/passwd",
        "http:///x",
        "//",
        "http://h%00/",
        "h:80",
        "*",
    ] {
        let attack = format!("GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let attacker = raw(proxy.address, attack.as_bytes()).await.unwrap();
        let status = attacker.get(9..12).unwrap_or_default().to_owned();
        assert!(status == "400" || status == "501" || target == "//" && status == "200", "{target}: {attacker}");
        assert!(!attacker.contains("secret"), "{target}: {attacker}");
    }
    assert_eq!(proxy.client().get("/").header("host", "h").send().await.text(), "GET / for h");
    let seen = origin.seen();
    assert!(seen.iter().all(|seen| seen.target().starts_with('/') && !seen.head.contains("secret")), "{seen:?}");
    let hosts: Vec<_> = seen.iter().map(|seen| seen.header("host").to_owned()).filter(|host| host != "h").collect();
    assert_eq!(hosts, ["evil"]);
}

#[tokio::test]
async fn two_tenants_over_one_redis() {
    let (origin, redis) = (WireOrigin::echo().await, Redis::start().await.unwrap());
    let toml = |tenant: &str| {
        format!(
            "[origin]\nurl = \"{}\"\n[cache]\ntenant = \"{tenant}\"\n[memory]\nenabled = false\n[redis]\nurl = \"{}\"\n",
            origin.url(),
            redis.url()
        )
    };
    let start = |tenant: &str| ProxyBuilder::config(&toml(tenant)).patient().start();
    let tenants = ["ada", "bob"];
    let mut count = 0;
    for tenant in tenants {
        let first = start(tenant).await;
        first.client().get("/").header("host", "h").send().await;
        count += 1;
        assert_eq!(origin.asked().len(), count, "{tenant}: the other's answer is not found");
        let second = start(tenant).await;
        eventually("the same tenant's is", async || {
            let answer = second.client().get("/").header("host", "h").send().await;
            assert_eq!(answer.status, StatusCode::OK);
            answer.said_by("redis").contains("hit").then_some(())
        })
        .await;
        count = origin.asked().len();
    }
}

#[tokio::test]
async fn names_that_run_into_each_other() {
    // Fields of a key are told apart by their lengths: none can be made to look like two.
    let origin = WireOrigin::echo().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for (host, target) in [
        ("h", "/a"),
        ("h", "/a?"),
        ("h", "/?a"),
        ("h", "/a/"),
        ("ha", "/"),
        ("h", "/a?b"),
        ("h", "/a%3Fb"),
        ("h", "/a&b"),
        ("h", "/a?b&"),
        ("h", "/A"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        for _ in 0..2 {
            let answer = raw(proxy.address, request.as_bytes()).await.unwrap();
            let said = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
            // An empty query is none, and is not asked for.
            let asked = target.trim_end_matches('?');
            assert_eq!(said, format!("GET {asked} for {host}"), "{host} {target}");
        }
    }
}
