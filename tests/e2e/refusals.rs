//! Bad input is refused with a status that is true and a message that helps.

use edge_cache_tests::{Demo, raw};
use http::StatusCode;
use serde_json::Value;

#[tokio::test]
async fn a_bad_parameter_is_named_with_its_rule_and_never_stored() {
    let demo = Demo::start().await;
    for value in ["x", "-1", "", "0", "1.5", "99999999999999999999x"] {
        let target = format!("/api/pitches/trending?limit={value}");
        for _ in 0..2 {
            let refused = demo.get(&target).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{target}");
            let error = refused.json();
            assert_eq!(error["success"], false);
            assert_eq!(error["error"]["field"], "limit");
            assert_eq!(error["error"]["message"], "limit: must be a whole number from 1 to 50");
            assert!(refused.said_by("memory").starts_with("edge-memory; fwd=bypass"), "{refused:?}");
        }
    }
    for (target, field) in
        [("/api/pitches/search", "q"), ("/api/pitches/search?q=x", "q"), ("/api/pitches/browse?tab=hot", "tab")]
    {
        let refused = demo.get(target).await;
        assert_eq!((refused.status, refused.json()["error"]["field"].as_str()), (StatusCode::BAD_REQUEST, Some(field)));
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow() {
    let demo = Demo::start().await;
    for target in ["/", "/api", "/api/nothing", "/api/pitches/999999", "/api/pitches/no-such-slug"] {
        let missing = demo.get(target).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{target}");
        assert_eq!(missing.header("content-type"), "application/json");
        assert_eq!(missing.json()["success"], false);
    }
    for (method, target, allowed) in
        [("DELETE", "/api/stats", "GET,HEAD"), ("GET", "/api/views", "POST"), ("PUT", "/api/pitches", "POST")]
    {
        let refused = demo.client().ask(method, target).send().await;
        assert_eq!((refused.status, refused.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, allowed), "{target}");
        assert_eq!(refused.json()["error"]["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn a_target_or_head_beyond_its_limit_is_414_or_431() {
    let demo = Demo::start().await;
    let long = demo.get(&format!("/api/pitches/search?q={}", "x".repeat(8 << 10))).await;
    assert_eq!(long.status, StatusCode::URI_TOO_LONG);
    assert_eq!(long.header("cache-control"), "no-store");
    let just_fits = demo.get(&format!("/api/stats?x={}", "y".repeat((8 << 10) - 13))).await;
    assert_eq!(just_fits.status, StatusCode::OK);

    let heads = [
        format!("x-long: {}\r\n", "y".repeat(80 << 10)),
        (0..150).map(|at| format!("x-{at}: y\r\n")).collect::<String>(),
    ];
    for head in heads {
        let request = format!("GET /api/stats HTTP/1.1\r\nhost: {}\r\n{head}\r\n", demo.address);
        let answer = raw(demo.address, request.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{} bytes: {answer:?}", head.len());
    }
    assert_eq!(demo.get("/api/health").await.status, StatusCode::OK, "it goes on after all that");
}

#[tokio::test]
async fn a_write_without_a_session_is_401_and_with_a_bad_field_422() {
    let demo = Demo::start().await;
    let unknown = demo.write("", "POST", "/api/pitches", &serde_json::json!({"title": "x"})).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    let bad = demo.write("creator", "POST", "/api/pitches", &serde_json::json!({"title": 7})).await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(bad.json()["error"]["field"], "title");
    let foreign = demo.write("viewer", "POST", "/api/pitches/1/archive", &Value::Null).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
}
