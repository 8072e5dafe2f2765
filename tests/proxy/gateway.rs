//! What a gateway owes both sides (RFC 9110 §7.6), before origins that no HTTP library would be.

use edge_cache_tests::{Gate, Origin, ProxyBuilder, RawOrigin, Reply, Step, eventually, raw};
use http::StatusCode;

const OK: &str = "HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn the_origin_learns_who_asked_and_through_what() {
    let origin = Origin::start(|_| async { Reply::new(200).body("ok") }).await;
    let toml = format!("[origin]\nurl = \"{}\"\nname = \"edge-7\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    proxy.client().get("/").header("via", "1.0 before").header("x-forwarded-for", "192.0.2.1").send().await;
    let seen = origin.seen().pop().unwrap();
    assert_eq!(seen.header("via"), "1.0 before, 1.1 edge-7");
    assert_eq!(seen.header("x-forwarded-for"), "127.0.0.1", "what a client says of itself counts for nothing");
    assert_eq!(seen.header("cdn-loop"), "edge-7");
    proxy.client().get("/2").http2().send().await;
    assert_eq!(origin.seen().pop().unwrap().header("via"), "2.0 edge-7");
}

#[tokio::test]
async fn a_request_that_goes_in_circles_is_refused() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "ok") }).await;
    let named = |name: &str| format!("[origin]\nurl = \"{}\"\nname = \"{name}\"\n", origin.url());
    let proxy = ProxyBuilder::config(&named("edge-7")).start().await;
    let circled = proxy.client().get("/").header("cdn-loop", "other, Edge-7;x=1").send().await;
    assert_eq!((circled.status, origin.seen().len()), (StatusCode::LOOP_DETECTED, 0));
    // Nor does a byte that is no text hide the name.
    let hidden = b"GET / HTTP/1.1\r\nhost: h\r\ncdn-loop: \xff, edge-7\r\nconnection: close\r\n\r\n";
    assert!(raw(proxy.address, hidden).await.unwrap().starts_with("HTTP/1.1 508 "));
    // A chain of two is no circle, and one that leads back to itself ends.
    let outer = ProxyBuilder::serve(&format!("http://{}", proxy.address)).start().await;
    assert_eq!(outer.get("/").await.text(), "ok");
    assert!(origin.seen()[0].header("cdn-loop").ends_with(", edge-7"));
}

#[tokio::test]
async fn max_forwards_ends_a_trace_here() {
    let origin = Origin::start(|_| async { Reply::new(200).body("from the origin") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let trace =
        |left: &str| proxy.client().ask("TRACE", "/x").header("max-forwards", left).header("cookie", "secret=1");
    let here = trace("0").send().await;
    assert_eq!((here.status, here.header("content-type")), (StatusCode::OK, "message/http"));
    assert!(here.text().starts_with("TRACE /x") && here.text().contains("max-forwards: 0"), "{here:?}");
    assert!(!here.text().contains("secret"), "{here:?}");
    let keyed = trace("0").header("x-api-key", "secret").send().await;
    assert!(!keyed.text().contains("secret"), "{keyed:?}");
    assert_eq!(trace("3").send().await.text(), "from the origin");
    assert_eq!(origin.seen().pop().unwrap().header("max-forwards"), "2");
    let options = proxy.client().ask("OPTIONS", "/x").header("max-forwards", "0").send().await;
    assert_eq!((options.status, options.header("allow").contains("GET")), (StatusCode::NO_CONTENT, true));
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn an_expectation_is_passed_on_and_met() {
    let origin = Origin::start(|mut request| async move {
        let body = request.whole().await;
        Reply::new(200).header("x-expect", request.seen.header("expect")).body(body)
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let request =
        "POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody";
    let answer = raw(proxy.address, request.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("x-expect: 100-continue\r\n") && answer.ends_with("\r\n\r\nbody"), "{answer}");
}

#[tokio::test]
async fn an_origin_of_http_1_0_is_understood_and_its_answer_kept() {
    let origin = RawOrigin::start(|_| {
        vec![Step::send("HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\n\r\nto the end"), Step::Close]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    assert_eq!(proxy.get("/").await.text(), "to the end");
    let hit = proxy.get("/").await;
    assert!(hit.is_hit_of("memory"), "{hit:?}");
    assert_eq!((hit.text(), origin.seen().len()), ("to the end", 1));
}

/// Answers the first request on each connection; closes instead of answering the second.
async fn forgetful() -> RawOrigin {
    RawOrigin::start(|request| if request.earlier == 0 { vec![Step::send(OK)] } else { vec![Step::Close] }).await
}

/// Keeps connections for longer than a busy machine takes between two requests.
fn long_idle(origin: &RawOrigin) -> ProxyBuilder {
    ProxyBuilder::serve(&origin.url()).env("CACHE_PROXY__ORIGIN__IDLE_TIMEOUT", "1h")
}

#[tokio::test]
async fn a_request_without_a_body_survives_a_connection_that_died_idle() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"] {
        let origin = forgetful().await;
        let proxy = long_idle(&origin).start().await;
        assert_eq!(proxy.get("/first").await.text(), "ok");
        let answer = proxy.client().ask(method, "/second").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{method}");
        let seen: Vec<_> = origin.seen().iter().map(|seen| (seen.connection, seen.earlier)).collect();
        assert_eq!(seen, [(0, 0), (0, 1), (1, 0)], "{method}: once more, on a new connection");
    }
}

#[tokio::test]
async fn nothing_else_is_ever_sent_twice() {
    // What may not be repeated, and what has a body.
    for (method, body) in [("POST", ""), ("POST", "x"), ("PUT", "x"), ("PATCH", "")] {
        let origin = forgetful().await;
        let proxy = long_idle(&origin).start().await;
        proxy.get("/first").await;
        let mut ask = proxy.client().ask(method, "/second");
        if !body.is_empty() {
            ask = ask.bytes(body);
        }
        assert_eq!(ask.send().await.status, StatusCode::BAD_GATEWAY, "{method} {body}");
        assert_eq!(origin.seen().iter().filter(|seen| seen.head.contains("/second")).count(), 1, "{method} {body}");
    }
    // An origin that dies at work: on a new connection, or after the first byte of its answer.
    let origin = RawOrigin::start(|request| match (request.head.contains("/fresh"), request.earlier) {
        (true, _) => vec![Step::Close],
        (_, 0) => vec![Step::send(OK)],
        _ => vec![Step::send("HTTP/1.1 200"), Step::Close],
    })
    .await;
    let proxy = long_idle(&origin).start().await;
    assert_eq!(proxy.get("/fresh").await.status, StatusCode::BAD_GATEWAY);
    proxy.get("/first").await;
    assert_eq!(proxy.get("/begun").await.status, StatusCode::BAD_GATEWAY);
    let count = |path: &str| origin.seen().iter().filter(|seen| seen.head.contains(path)).count();
    assert_eq!((count("/fresh"), count("/begun")), (1, 1));
}

#[tokio::test]
async fn a_connection_that_brought_too_much_is_never_used_again() {
    // The surplus would be read as the answer to the next request: whoever asks it.
    let surplus = "HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong";
    let origin = RawOrigin::start(move |_| vec![Step::send(surplus)]).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for _ in 0..20 {
        assert_eq!(proxy.get("/").await.text(), "ok");
    }
    assert!(origin.seen().iter().all(|seen| seen.earlier == 0), "{:?}", origin.seen());
}

#[tokio::test]
async fn bytes_of_any_kind_in_a_header_and_trailers_survive() {
    let answer = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nx-latin: caf\xe9 \xfc\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n";
    let origin = RawOrigin::start(move |_| vec![Step::Send(answer.to_vec())]).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ask = || proxy.client().get("/").header("te", "trailers").header("connection", "te").send();
    let first = ask().await;
    assert_eq!(first.headers["x-latin"].as_bytes(), b"caf\xe9 \xfc");
    assert_eq!((first.text(), first.trailers["x-sum"].as_bytes()), ("body", &b"7"[..]));
    assert!(origin.seen()[0].head.contains("te: trailers\r\n"), "{:?}", origin.seen());
    let hit = ask().await;
    assert!(hit.is_hit_of("memory"), "{hit:?}");
    assert_eq!((hit.headers["x-latin"].as_bytes(), hit.text()), (&b"caf\xe9 \xfc"[..], "body"));
}

#[tokio::test]
async fn an_unknown_transfer_coding_ends_with_the_connection_and_its_bytes_arrive() {
    let origin = RawOrigin::start(|_| {
        vec![
            Step::send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: foo\r\n\r\nas it is"),
            Step::Close,
        ]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for _ in 0..2 {
        let answer = proxy.get("/").await;
        assert_eq!((answer.text(), answer.header("transfer-encoding").contains("foo")), ("as it is", false));
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn an_origin_that_hangs_up_is_a_502_or_what_is_stored() {
    // Fresh for no time at all: the second request finds it stale.
    let origin = RawOrigin::start(|request| {
        let cc = if request.head.contains("/strict") { "max-age=0, must-revalidate" } else { "max-age=0" };
        let kept = format!("HTTP/1.1 200 OK\r\ncache-control: {cc}\r\netag: \"a\"\r\ncontent-length: 4\r\n\r\nkept");
        let hangs_up = request.head.contains("if-none-match") || request.head.contains("/nothing");
        if hangs_up { vec![Step::Close] } else { vec![Step::send(&kept), Step::Close] }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc"]).start().await;
    for (target, status) in [("/kept", StatusCode::OK), ("/strict", StatusCode::BAD_GATEWAY)] {
        assert_eq!(proxy.get(target).await.text(), "kept");
        let again = proxy.get(target).await;
        assert_eq!(again.status, status, "{again:?}");
        assert!(again.said_by("memory").contains("fwd=stale"), "{again:?}");
    }
    let nothing = proxy.get("/nothing").await;
    assert_eq!((nothing.status, nothing.header("retry-after")), (StatusCode::BAD_GATEWAY, "1"));
    // Nobody listens where somebody did a moment ago.
    let address = origin.address;
    drop(origin);
    let nobody = ProxyBuilder::serve(&format!("http://{address}")).start().await;
    assert_eq!(nobody.get("/").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn one_dead_connection_among_many_costs_nothing() {
    // Three at once, so that three connections wait; each dies at its next request.
    let gate = Gate::new();
    let closed = gate.clone();
    let origin = RawOrigin::start(move |request| match request.earlier {
        0 if request.head.contains("/first") => vec![Step::Wait(closed.clone()), Step::send(OK)],
        0 => vec![Step::send(OK)],
        _ => vec![Step::Close],
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let first: Vec<_> = (0..3).map(|n| tokio::spawn(proxy.client().get(&format!("/first/{n}")).send())).collect();
    eventually("three connections", async || (origin.seen().len() == 3).then_some(())).await;
    gate.open();
    for first in first {
        assert_eq!(first.await.unwrap().text(), "ok");
    }
    for n in 0..3 {
        let answer = proxy.get(&format!("/second/{n}")).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "ok"), "sent again on a new connection");
    }
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_as_long_as_it_is_said() {
    for (idle, reused) in [("1h", true), ("1ns", false)] {
        let origin = RawOrigin::start(|_| vec![Step::send(OK)]).await;
        let toml = format!("[origin]\nurl = \"{}\"\nidle_timeout = \"{idle}\"\n", origin.url());
        let proxy = ProxyBuilder::config(&toml).start().await;
        for _ in 0..10 {
            proxy.get("/").await;
        }
        assert_eq!(origin.seen().iter().any(|seen| seen.earlier > 0), reused, "{idle}: {:?}", origin.seen());
    }
}

#[tokio::test]
async fn an_answer_that_switches_protocols_unasked_is_no_answer() {
    let origin = RawOrigin::start(|_| {
        vec![Step::send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n"), Step::Echo]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    assert_eq!(proxy.get("/").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(proxy.client().get("/").http2().send().await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn who_forwards_nothing_sees_no_circles() {
    let demo = ProxyBuilder::demo().start().await;
    for line in ["cloudflare,", "", "\"\""] {
        assert_eq!(demo.client().get("/api/config").header("cdn-loop", line).send().await.status, StatusCode::OK);
    }
}
