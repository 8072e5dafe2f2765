//! Web cache deception: a victim is led to an address that the cache takes for public and the origin for his own page.

use edge_cache_tests::{Proxy, ProxyBuilder, WireOrigin, Wired, answer, raw};

/// An origin that finds the page of whoever asks under anything that some server would read as `/api/me`, and lets it be kept.
async fn origin() -> WireOrigin {
    WireOrigin::start(|request| {
        let (path, _) = request.target().split_once('?').unwrap_or((request.target(), ""));
        let is_own = resolved(path).starts_with("/api/me");
        let text = if is_own { format!("page of {}", whose(request)) } else { format!("public {path}") };
        answer(200, "cache-control: max-age=60\r\ncontent-type: text/css\r\n", &text)
    })
    .await
}

fn whose(request: &Wired) -> &str {
    match (request.header("cookie"), request.header("authorization")) {
        ("", "") => "nobody",
        ("", token) => token,
        (cookie, _) => cookie,
    }
}

/// Decoded as often as it can be, back slashes and parameters read as some servers do, dot segments resolved.
fn resolved(path: &str) -> String {
    let mut path = path.to_owned();
    for _ in 0..3 {
        for (code, sign) in
            [("25", "%"), ("2e", "."), ("2f", "/"), ("5c", "/"), ("3b", ";"), ("23", "#"), ("3f", "?"), ("00", "\0")]
        {
            path = path.replace(&format!("%{code}"), sign).replace(&format!("%{}", code.to_uppercase()), sign);
        }
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

async fn ask(proxy: &Proxy, target: &str, who: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{who}\r\n");
    let answer = raw(proxy.address, request.as_bytes()).await.unwrap();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

const VICTIM: [&str; 2] = ["cookie: session=ada\r\n", "authorization: Bearer ada\r\n"];

/// Addresses that look like files, by every delimiter that a server is known to cut at.
const LURES: [&str; 22] = [
    "/api/me/x.css",
    "/api/me/x.js",
    "/api/me.css",
    "/api/me;x.css",
    "/api/me;.css",
    "/api/me%3bx.css",
    "/api/me%3Bx.css",
    "/api/me%00x.css",
    "/api/me%0ax.css",
    "/api/me%0d%0ax.css",
    "/api/me%09x.css",
    "/api/me%23x.css",
    "/api/me%3fx.css",
    "/api/me%2fx.css",
    "/api/me%5cx.css",
    "/api/me%252fx.css",
    "/api/me!x.css",
    "/api/me$x.css",
    "/api/me&x.css",
    "/api/me?x.css",
    "/api/me?x=/static/x.css",
    "/api/me/%2e%2e/me/x.css",
];

/// Addresses beneath a public folder that lead out of it.
const DETOURS: [&str; 15] = [
    "/static/../api/me",
    "/static/%2e%2e/api/me",
    "/static/%2E%2e%2fapi/me",
    "/static/..%2fapi/me",
    "/static/..%2Fapi%2Fme",
    "/static/..%5capi/me",
    "/static/..\\api\\me",
    "/static/..;/api/me",
    "/static/..;x=1/api/me",
    "/static/%2e%2e%3b/api/me",
    "/static//../api/me",
    "/static/./../api/me",
    "/static/x/..%2f..%2fapi/me",
    "/static/%252e%252e/api/me",
    "/static/%2e%2e%252fapi/me",
];

async fn lured(proxy: &Proxy, lure: &str) {
    for who in VICTIM {
        ask(proxy, lure, who).await;
        let attacker = ask(proxy, lure, "").await;
        assert!(!attacker.contains("ada"), "{lure} {who:?}: {attacker}");
        let other = ask(proxy, lure, "cookie: session=bob\r\n").await;
        assert!(!other.contains("ada"), "{lure} {who:?}: {other}");
    }
}

#[tokio::test]
async fn a_private_page_that_looks_like_a_file() {
    let origin = origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for lure in LURES {
        lured(&proxy, lure).await;
        assert_eq!(
            ask(&proxy, lure, VICTIM[0]).await.contains("ada"),
            !lure.contains(['\\']),
            "{lure}: his own is his"
        );
    }
    let count = origin.asked().len();
    for lure in LURES {
        assert!(ask(&proxy, lure, "").await.contains("nobody"), "{lure}");
    }
    let asked_again: Vec<_> = origin.asked().split_off(count);
    // Paths that two servers could read differently are nobody's, not even as pages of nobody.
    assert_eq!(asked_again.len(), LURES.iter().filter(|lure| is_ambiguous(lure)).count(), "{asked_again:?}");
}

fn is_ambiguous(path: &str) -> bool {
    ["%00", "%0a", "%0d", "%09", "%2f", "%2F", "%5c", "%2e%2e", "..", "//", "\\"].iter().any(|code| path.contains(code))
}

#[tokio::test]
async fn a_private_page_that_looks_like_a_file_of_a_route_free_of_identity() {
    // The declaration is wrong: pages under it do depend on who asks. Then nobody's is all that anybody gets of what can be kept.
    let origin = origin().await;
    let route = "[[route]]\nname = \"api\"\npath = \"/api/*\"\nidentity = \"free\"\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for lure in LURES {
        lured(&proxy, lure).await;
    }
}

#[tokio::test]
async fn a_static_suffix_on_a_route_that_makes_answers() {
    let origin = origin().await;
    let route =
        "[[route]]\nname = \"api\"\npath = \"/api/*\"\nidentity = \"free\"\ncontent_types = [\"application/json\"]\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for lure in LURES {
        lured(&proxy, lure).await;
    }
    // Neither the suffix nor the type lets anything of it be kept, not even nobody's.
    let count = origin.asked().len();
    for target in ["/api/me/x.css", "/api/me;x.css", "/api/me"] {
        for _ in 0..2 {
            assert_eq!(ask(&proxy, target, "").await, "page of nobody", "{target}");
        }
    }
    assert_eq!(origin.asked().len(), count + 6);
}

#[tokio::test]
async fn a_way_out_of_a_public_folder() {
    let origin = origin().await;
    let route = "[[route]]\nname = \"static\"\npath = \"/static/*\"\nidentity = \"free\"\nttl = \"1h\"\n[cache]\nidentity_check = \"0s\"\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for detour in DETOURS {
        lured(&proxy, detour).await;
    }
    assert_eq!(ask(&proxy, "/static/x.css", VICTIM[0]).await, "public /static/x.css");
    assert_eq!(ask(&proxy, "/static/x.css", "").await, "public /static/x.css");
    assert_eq!(
        origin.asked().iter().filter(|asked| asked.ends_with("/static/x.css")).count(),
        1,
        "what is public is kept"
    );
}

#[tokio::test]
async fn a_way_into_a_public_folder_poisons_nothing_there() {
    // The other direction: an address that the cache might take for the public file, and the origin for something else.
    let origin = origin().await;
    let route = "[[route]]\nname = \"static\"\npath = \"/static/*\"\nidentity = \"free\"\nttl = \"1h\"\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for way in [
        "/api/me/../../static/x.css",
        "/api/me/..%2f..%2fstatic/x.css",
        "//static/x.css",
        "/./static/x.css",
        "/static/x.css%00",
        "/static/x.css/.",
    ] {
        ask(&proxy, way, VICTIM[0]).await;
        assert_eq!(ask(&proxy, "/static/x.css", "").await, "public /static/x.css", "{way}");
    }
    assert_eq!(origin.asked().iter().filter(|asked| *asked == "GET /static/x.css").count(), 1);
}
