//! Web cache poisoning: what is not in the key must not shape what is kept under it.

use edge_cache_tests::{Arrived, Origin, Proxy, ProxyBuilder, Reply, WireOrigin, answer, raw};
use http::StatusCode;

const EVIL: &str = "evil.example";

/// Headers that common servers and frameworks obey, in spellings that some of them take for the same.
const STEERING: [&str; 42] = [
    "forwarded",
    "front-end-https",
    "proxy",
    "x-arr-ssl",
    "x-base-url",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-forwarded",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-forwarded-user",
    "x-host",
    "x-http-destinationurl",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-http-path-override",
    "x-invoke-path",
    "x-invoke-status",
    "x-matched-path",
    "x-method-override",
    "x-middleware-prefetch",
    "x-middleware-subrequest",
    "x-now-route-matches",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-react-router-spa-mode",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x_forwarded_host",
    "x_original_url",
];

/// An origin that builds links from whatever anybody tells it, and lets them be kept.
async fn gullible() -> Origin {
    Origin::start(|request| async move { reflected(&request, &[]) }).await
}

fn reflected(request: &Arrived, vary: &[&str]) -> Reply {
    let told = request.seen.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    let own = ["host", "via", "cdn-loop", "x-forwarded-for", "x-forwarded-proto: http", "traceparent"];
    let told: Vec<_> = told.filter(|line| !own.iter().any(|own| line.starts_with(own))).collect();
    let mut reply = Reply::cached("max-age=60", format!("links by [{}]", told.join(" | ")));
    for name in vary {
        reply = reply.header("vary", name);
    }
    reply
}

/// One to whom the attacker's words come through a proxy that is trusted, and hands everything on: of anybody else most of them are taken off before.
async fn guarded(origin: &Origin) -> Proxy {
    let listen = "[listen]\ntrusted_proxies = [\"127.0.0.1\"]";
    ProxyBuilder::config(&format!("{listen}\n[origin]\nurl = \"{}\"\n", origin.url())).start().await
}

#[tokio::test]
async fn each_unkeyed_header_that_steers() {
    let origin = gullible().await;
    let proxy = guarded(&origin).await;
    for name in STEERING {
        let target = format!("/{name}");
        let attacker = proxy.client().get(&target).header(name, EVIL).send().await;
        assert_eq!((attacker.status, attacker.text()), (StatusCode::OK, "links by []"), "{name}");
        let victim = proxy.get(&target).await;
        assert!(victim.is_hit_of("memory"), "{name}: {victim:?}");
        assert_eq!(victim.text(), "links by []", "{name}");
        assert_eq!(origin.count(&target), 1, "{name}");
        let seen = origin.seen().pop().unwrap();
        assert!(!format!("{:?}", seen.headers).contains(EVIL), "{name}: {seen:?}");
    }
}

#[tokio::test]
async fn a_header_that_only_this_origin_obeys() {
    let origin = gullible().await;
    for (names, is_stopped) in [("[]", false), ("[\"X-Our-Theme\", \"rsc\"]", true)] {
        let toml = format!("[origin]\nurl = \"{}\"\n[cache]\nsteering_headers = {names}\n", origin.url());
        let proxy = ProxyBuilder::config(&toml).start().await;
        for name in ["x-our-theme", "rsc"] {
            let attacker = proxy.client().get("/").header("host", name).header(name, EVIL).send().await;
            let victim = proxy.client().get("/").header("host", name).send().await;
            assert!(victim.is_hit_of("memory"), "{victim:?}");
            assert_eq!(attacker.text(), victim.text(), "one key");
            assert_eq!(!victim.text().contains(EVIL), is_stopped, "{names} {name}: {victim:?}");
            // A hit is one with the header as well.
            let again = proxy.client().get("/").header("host", name).header(name, "other").send().await;
            assert_eq!((again.is_hit_of("memory"), again.text()), (true, victim.text()));
        }
    }
    assert_eq!(origin.seen().len(), 4);
}

#[tokio::test]
async fn the_scheme_that_the_origin_is_told_is_the_one_in_the_key() {
    let origin = WireOrigin::start(|request| match request.header("x-forwarded-proto") {
        "http" => answer(200, "cache-control: max-age=60\r\n", "page"),
        _ => answer(301, "cache-control: max-age=60\r\nlocation: https://h/\r\n", ""),
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for claimed in ["https", "ftp", "http, https"] {
        let attacker = proxy.client().get("/").header("x-forwarded-proto", claimed).send().await;
        assert_eq!(attacker.text(), "page", "{claimed}");
    }
    // What an absolute target claims counts for as little: the connection is what it is.
    let other = raw(proxy.address, b"GET https://h/ HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    let victim = proxy.client().get("/").header("host", "h").send().await;
    assert_eq!((victim.is_hit_of("memory"), victim.text()), (true, "page"));
    let schemes: Vec<_> = origin.seen().iter().map(|seen| seen.header("x-forwarded-proto").to_owned()).collect();
    assert_eq!(schemes, ["http", "http"]);
}

#[tokio::test]
async fn a_get_with_a_body() {
    let origin = WireOrigin::start(|request| {
        let text = format!("{} said {}", request.target(), request.text());
        answer(200, "cache-control: max-age=60\r\n", &text)
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let head = "GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n";
    for body in ["content-length: 4\r\n\r\nevil", "transfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"] {
        let attacker = raw(proxy.address, format!("{head}{body}").as_bytes()).await.unwrap();
        assert!(attacker.ends_with("/x said evil"), "his own answer is to his own question: {attacker}");
    }
    let over_http2 = proxy.client().get("/x").header("host", "h").http2().bytes("evil").send().await;
    assert_eq!(over_http2.text(), "/x said evil");
    let victim = proxy.client().get("/x").header("host", "h").send().await;
    assert_eq!(victim.text(), "/x said ");
    assert_eq!(origin.asked(), ["GET /x"; 4]);
}

#[tokio::test]
async fn a_parameter_that_two_parsers_read_differently() {
    let origin = WireOrigin::echo().await;
    let route = "[[route]]\nname = \"list\"\npath = \"/list\"\nquery = [\"page\", \"callback\"]\n";
    let toml = format!("[origin]\nurl = \"{}\"\n{route}", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    // What the origin is asked for is what is keyed, to the letter: it can hide nothing from the key.
    for (sent, asked) in [
        ("/list?utm_content=1;callback=evil&page=1", "/list?page=1"),
        ("/list?page=1;callback=evil", "/list?page=1;callback=evil"),
        ("/list?callback=a&callback=evil", "/list?callback=a&callback=evil"),
        ("/list?%63allback=evil&page=2", "/list?page=2"),
        ("/list?callback[]=evil&page=3", "/list?page=3"),
        ("/list?page=4&x=1#&callback=evil", "/list?page=4"),
        ("/list?PAGE=5", "/list"),
        ("/list?=evil&&page=6", "/list?page=6"),
    ] {
        let request = format!("GET {sent} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let attacker = raw(proxy.address, request.as_bytes()).await.unwrap();
        assert!(attacker.ends_with(&format!("GET {asked} for h")), "{sent}: {attacker}");
        let victim = proxy.client().get(asked).header("host", "h").send().await;
        assert_eq!((victim.is_hit_of("memory"), victim.text()), (true, &*format!("GET {asked} for h")), "{sent}");
    }
    for clean in ["/list?page=7", "/list?callback=a"] {
        assert_eq!(proxy.client().get(clean).header("host", "h").send().await.text(), format!("GET {clean} for h"));
    }
    assert_eq!(origin.asked().len(), 10);
}

#[tokio::test]
async fn a_query_that_is_not_in_the_key_does_not_reach_the_origin() {
    let origin = WireOrigin::echo().await;
    let route = "[[route]]\nname = \"page\"\npath = \"/page\"\nquery = []\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for sent in ["/page?utm_source=%3Cscript%3E", "/page?_method=DELETE", "/page?"] {
        let request = format!("GET {sent} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let attacker = raw(proxy.address, request.as_bytes()).await.unwrap();
        assert!(attacker.ends_with("GET /page for h"), "{sent}: {attacker}");
    }
    assert_eq!(proxy.client().get("/page").header("host", "h").send().await.text(), "GET /page for h");
    // Where nothing is declared all of it is in the key.
    for sent in ["/other?_method=DELETE", "/other?a=1;b=2", "/other"] {
        assert_eq!(proxy.client().get(sent).header("host", "h").send().await.text(), format!("GET {sent} for h"));
    }
    assert_eq!(origin.asked().len(), 4);
}

#[tokio::test]
async fn a_port_that_the_origin_puts_into_links() {
    let origin = WireOrigin::echo().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    // The port that says nothing is in no key, and the origin does not hear of it.
    for (host, heard) in [("h:1337", "h:1337"), ("h.", "h."), ("h:80", "h"), ("h:", "h"), ("h", "h")] {
        let attacker = proxy.client().get("/").header("host", host).send().await;
        assert_eq!(attacker.text(), format!("GET / for {heard}"));
    }
    assert_eq!(origin.asked().len(), 3);
    // A name has no case, and the origin is asked with the one that came: the first who asks may write it as he likes.
    assert_eq!(proxy.client().get("/b").header("host", "H").send().await.text(), "GET /b for H");
    assert_eq!(proxy.client().get("/b").header("host", "h").send().await.text().to_ascii_lowercase(), "get /b for h");
    assert_eq!(origin.asked().len(), 4);
}

#[tokio::test]
async fn another_spelling_of_a_path_which_the_origin_answers_otherwise() {
    // It knows one spelling, and redirects or denies others.
    let origin = WireOrigin::start(|request| match request.target() {
        "/home" | "/caf%C3%A9" => answer(200, "cache-control: max-age=60\r\n", "page"),
        _ => answer(404, "cache-control: max-age=60\r\n", "no such page"),
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for (spelt, plain) in [("/%68ome", "/home"), ("/caf%c3%a9", "/caf%C3%A9")] {
        assert_eq!(proxy.get(spelt).await.text(), "page", "{spelt}: the origin is asked in the spelling that is keyed");
        let victim = proxy.get(plain).await;
        assert_eq!((victim.is_hit_of("memory"), victim.text()), (true, "page"), "{plain}");
    }
    assert_eq!(origin.asked(), ["GET /home", "GET /caf%C3%A9"]);
}

#[tokio::test]
async fn a_header_taken_off_by_connection_after_it_chose_the_variant() {
    let origin = Origin::start(|request| async move {
        let language = request.seen.header("accept-language").to_owned();
        Reply::cached("max-age=60", format!("in {language}")).header("vary", "accept-language, x-tenant")
    })
    .await;
    for policy in ["guarded", "rfc"] {
        let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", policy]).start().await;
        let ask = |connection: &str| {
            let ask = proxy.client().get("/").header("host", policy).header("accept-language", "de");
            if connection.is_empty() { ask } else { ask.header("connection", connection) }
        };
        for named in ["accept-language", "keep-alive, Accept-Language", "close, accept-language"] {
            let attacker = ask(named).send().await;
            assert_eq!(attacker.text(), "in ", "{policy} {named}: as if he had not sent it");
        }
        let victim = ask("").send().await;
        assert_eq!(victim.text(), "in de", "{policy}: {victim:?}");
        assert_eq!(origin.seen().iter().filter(|seen| seen.header("host") == policy).count(), 2);
    }
}

#[tokio::test]
async fn a_header_for_everybody_is_not_taken_off_by_connection() {
    let origin = Origin::start(|request| async move {
        let seen = |name: &str| request.seen.header(name).to_owned();
        Reply::cached("private", format!("{} {} {}", seen("authorization"), seen("x-forwarded-for"), seen("via")))
    })
    .await;
    let proxy = guarded(&origin).await;
    let attack = "GET / HTTP/1.1\r\nhost: h\r\nauthorization: Bearer a\r\nx-forwarded-for: 192.0.2.1\r\nvia: 1.1 front\r\n\
        connection: close, authorization, x-forwarded-for, via, host, content-length, cookie\r\n\r\n";
    let answer = raw(proxy.address, attack.as_bytes()).await.unwrap();
    assert!(answer.contains("\r\n\r\nBearer a 192.0.2.1, 127.0.0.1 1.1 front, 1.1 "), "{answer}");
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn what_another_cache_is_said_to_have_done() {
    let origin = Origin::start(|_| async {
        let reply = Reply::cached("max-age=60", "x").header("cache-status", "edge-memory; hit; ttl=9999");
        reply.header("x-cache", "HIT").header("x-edge-cache-id", "0000000000000000").header("age", "0")
    })
    .await;
    let proxy = guarded(&origin).await;
    let spoofed = proxy.client().get("/").header("cache-status", "edge-memory; hit").header("age", "999").send().await;
    let lines: Vec<_> = spoofed.headers.get_all("cache-status").iter().map(|line| line.to_str().unwrap()).collect();
    let own = lines.last().unwrap().split(", ").last().unwrap();
    assert!(own.starts_with("edge-memory; fwd=uri-miss"), "the last word is this cache's: {lines:?}");
    assert_ne!(spoofed.header("x-edge-cache-id"), "0000000000000000", "{spoofed:?}");
    let victim = proxy.get("/").await;
    assert_ne!(victim.header("age"), "999");
    assert_eq!(victim.headers.get_all("x-edge-cache-id").iter().count(), 1);
}

#[tokio::test]
async fn what_an_origin_names_in_vary_is_in_the_key_and_what_it_hides_is_not() {
    let origin = Origin::start(|request| async move {
        let vary: &[&str] = if request.seen.target == "/named" { &["x-own, origin", "accept"] } else { &[] };
        reflected(&request, vary)
    })
    .await;
    let proxy = guarded(&origin).await;
    for name in ["x-own", "origin", "accept"] {
        let attacker = proxy.client().get("/named").header(name, EVIL).send().await;
        assert!(attacker.text().contains(EVIL));
    }
    assert_eq!(proxy.get("/named").await.text(), "links by []");
    // The limit: an origin that obeys a header, lets its answer be kept and says nothing of it, where no setting names the header.
    proxy.client().get("/hidden").header("x-own", EVIL).send().await;
    assert!(proxy.get("/hidden").await.text().contains(EVIL));
    assert_eq!(origin.seen().len(), 5);
}

#[tokio::test]
async fn under_rfc_the_origin_s_word_is_all_that_counts() {
    let origin = gullible().await;
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc"]).start().await;
    proxy.client().get("/").header("x-host", EVIL).send().await;
    assert!(proxy.get("/").await.text().contains(EVIL), "to the letter: nothing is taken off");
}

/// An origin that names in `Vary` what it answers by.
async fn by(header: &'static str) -> Origin {
    Origin::start(move |request| async move {
        let said = request.seen.headers.get(header).map_or("nothing", |value| value.to_str().unwrap());
        Reply::cached("max-age=60", format!("for {said:?}")).header("vary", header)
    })
    .await
}

#[tokio::test]
async fn a_variant_whose_header_is_only_almost_the_victims() {
    for policy in ["rfc", "guarded"] {
        for (header, attackers, victims) in [
            ("origin", "https://shop.example,", "https://shop.example"),
            ("origin", ",https://shop.example", "https://shop.example"),
            ("x-tenant", "a ; b", "a;b"),
            ("x-tenant", "\"a, b\"", "\"a,b\""),
            ("accept-encoding", "*", "gzip;q=0, *"),
            ("accept-encoding", "br, identity;q=0", "br"),
        ] {
            let origin = by(header).await;
            let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", policy]).start().await;
            for sent in [attackers, victims] {
                let answer = proxy.client().get("/").header(header, sent).send().await;
                assert_eq!(answer.text(), format!("for {sent:?}"), "{policy}: {header}");
            }
        }
    }
}

#[tokio::test]
async fn a_variant_by_what_is_only_added_behind_the_cache() {
    let origin = by("x-forwarded-for").await;
    for policy in ["rfc", "guarded"] {
        let toml = format!(
            "[cache]\npolicy = \"{policy}\"\n[listen]\ntrusted_proxies = [\"127.0.0.1\"]\n[origin]\nurl = \"{}\"\n",
            origin.url()
        );
        let proxies = [ProxyBuilder::serve(&origin.url()).args(&["--policy", policy]), ProxyBuilder::config(&toml)];
        for proxy in proxies {
            let proxy = proxy.start().await;
            for _ in 0..2 {
                let answer = proxy.get("/").await;
                assert_eq!((answer.text(), answer.is_hit_of("memory")), ("for \"127.0.0.1\"", false), "{policy}");
            }
        }
    }
}
