//! Cache-poisoned denial of service: one client provokes an error, and everybody is to get it (HHO, HMC, HMO).

use edge_cache_tests::{Gate, Origin, ProxyBuilder, Reply, WireOrigin, answer, eventually, raw};
use http::StatusCode;

/// An origin that lets all its answers be kept, errors too, and chokes where others do not.
async fn delicate() -> WireOrigin {
    WireOrigin::start(|request| {
        let head = &request.head;
        let status = match request.target() {
            _ if head.len() > 8 << 10 => 400,
            _ if head.contains(['\u{fffd}', '\u{1}']) => 400,
            _ if head.to_ascii_lowercase().contains("override") => 405,
            _ if !request.header("x-malformed").is_empty() => 422,
            _ => 200,
        };
        answer(status, "cache-control: public, max-age=3600\r\n", if status == 200 { "page" } else { "error" })
    })
    .await
}

#[tokio::test]
async fn hho_a_header_that_is_too_long_for_the_origin_alone() {
    let origin = delicate().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for bytes in [9 << 10, 40 << 10] {
        let attacker = proxy.client().get("/").header("x-oversized", &"x".repeat(bytes)).send().await;
        assert_eq!((attacker.status, attacker.text()), (StatusCode::BAD_REQUEST, "error"), "{bytes}");
        assert!(attacker.said_by("memory").contains("detail=status"), "{attacker:?}");
    }
    // For this cache too: it does not get that far.
    let attack = format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "x".repeat(70 << 10));
    let attacker = raw(proxy.address, attack.as_bytes()).await.unwrap();
    assert!(attacker.starts_with("HTTP/1.1 431 "), "{attacker}");
    let attack = format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n", "x: y\r\n".repeat(120));
    let attacker = raw(proxy.address, attack.as_bytes()).await.unwrap();
    assert!(attacker.starts_with("HTTP/1.1 431 "), "{attacker}");
    let victim = proxy.get("/").await;
    assert_eq!((victim.status, victim.text()), (StatusCode::OK, "page"));
    assert!(proxy.get("/").await.is_hit_of("memory"));
    assert_eq!(origin.asked().len(), 3);
}

#[tokio::test]
async fn hmc_a_meta_character_in_a_header() {
    let origin = delicate().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for byte in [&b"\0"[..], b"\x01", b"\x07", b"\x08", b"\x0b", b"\x0c", b"\x1b", b"\r", b"\x7f"] {
        let attack = [b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-meta: a", byte, b"b\r\n\r\n"].concat();
        let attacker = raw(proxy.address, &attack).await.unwrap();
        assert!(attacker.starts_with("HTTP/1.1 400 "), "{byte:?}: {attacker}");
    }
    assert!(origin.asked().is_empty(), "control characters do not pass");
    // Bytes beyond ASCII may stand in a header.
    let attacker =
        raw(proxy.address, b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx-meta: \xff\r\n\r\n").await.unwrap();
    assert!(attacker.starts_with("HTTP/1.1 400 ") && attacker.ends_with("error"), "{attacker}");
    let victim = proxy.client().get("/").header("host", "h").send().await;
    assert_eq!((victim.status, victim.text()), (StatusCode::OK, "page"));
    assert_eq!(origin.asked().len(), 2);
}

#[tokio::test]
async fn hmo_a_method_override() {
    let origin = delicate().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for (at, name) in ["x-http-method-override", "x-http-method", "x-method-override", "x_http_method_override"]
        .into_iter()
        .enumerate()
    {
        let target = format!("/{at}");
        let attacker = proxy.client().get(&target).header(name, "POST").send().await;
        assert_eq!((attacker.status, attacker.text()), (StatusCode::OK, "page"), "{name}: the origin is not told");
        assert!(proxy.get(&target).await.is_hit_of("memory"), "{name}");
    }
    assert_eq!(origin.asked().len(), 4);
}

#[tokio::test]
async fn an_error_that_one_request_provoked_is_nobody_else_s() {
    let statuses = [
        400, 401, 402, 403, 405, 406, 408, 409, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 429, 431, 451,
        500, 501, 502, 503, 504, 505,
    ];
    let origin = Origin::start(|request| async move {
        let provoked = request.seen.header("x-provoke").parse().unwrap_or(200);
        Reply::new(provoked).header("cache-control", "public, s-maxage=3600, max-age=3600").body(provoked.to_string())
    })
    .await;
    // A route's own lifetime does not let it in either.
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nttl = \"1h\"\nttl_min = \"1h\"\nidentity = \"free\"\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for status in statuses {
        let target = format!("/{status}");
        let attacker = proxy.client().get(&target).header("x-provoke", &status.to_string()).send().await;
        assert_eq!(attacker.status.as_u16(), status);
        for _ in 0..2 {
            let victim = proxy.get(&target).await;
            assert_eq!((victim.status, victim.text()), (StatusCode::OK, "200"), "{status}: {victim:?}");
        }
        assert_eq!(origin.count(&target), 2, "{status}");
    }
    // What is not there is not there for all, for as long as the origin says.
    for status in ["404", "410"] {
        proxy.client().get(&format!("/{status}")).header("x-provoke", status).send().await;
        assert_eq!(proxy.get(&format!("/{status}")).await.status.as_str(), status);
    }
}

#[tokio::test]
async fn under_rfc_explicit_freshness_decides_of_errors() {
    let origin = delicate().await;
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc"]).start().await;
    proxy.client().get("/").header("x-malformed", "1").send().await;
    let victim = proxy.get("/").await;
    assert_eq!((victim.is_hit_of("memory"), victim.status), (true, StatusCode::UNPROCESSABLE_ENTITY), "to the letter");
}

#[tokio::test]
async fn an_error_for_whoever_leads_is_not_the_answer_of_those_who_wait() {
    let gate = Gate::new();
    let closed = gate.clone();
    let origin = Origin::start(move |request| {
        let closed = closed.clone();
        async move {
            let provoked = request.seen.header("x-provoke").parse().unwrap_or(200);
            if provoked != 200 {
                closed.passed().await;
            }
            Reply::new(provoked).header("cache-control", "public, max-age=3600").body(provoked.to_string())
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).patient().start().await;
    let leads = |target: &'static str, status: &'static str| {
        tokio::spawn(proxy.client().get(target).header("x-provoke", status).send())
    };
    let attackers = [leads("/400", "400"), leads("/431", "431")];
    origin.arrived("/400", 1).await;
    origin.arrived("/431", 1).await;
    let victims: Vec<_> =
        (0..10).map(|n| tokio::spawn(proxy.client().get(if n % 2 == 0 { "/400" } else { "/431" }).send())).collect();
    eventually("ten wait or are being answered", async || {
        let metrics = proxy.metrics().await;
        (metrics.sum("edge_cache_requests_in_flight", &[]) >= 12.0).then_some(())
    })
    .await;
    gate.open();
    for attacker in attackers {
        assert!(attacker.await.unwrap().status.is_client_error());
    }
    for victim in victims {
        let victim = victim.await.unwrap();
        assert_eq!((victim.status, victim.text()), (StatusCode::OK, "200"), "{victim:?}");
    }
}

#[tokio::test]
async fn a_target_that_is_too_long_for_this_cache_alone() {
    let origin = WireOrigin::echo().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let attack = format!("GET /?{} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", "x".repeat(8200));
    let attacker = raw(proxy.address, attack.as_bytes()).await.unwrap();
    assert!(attacker.starts_with("HTTP/1.1 414 ") && attacker.contains("cache-control: no-store"), "{attacker}");
    assert_eq!(proxy.client().get("/").header("host", "h").send().await.text(), "GET / for h");
    assert_eq!(origin.asked(), ["GET /"]);
}
