//! What is answered from the cache, and what a client sees of that.

use edge_cache_tests::Demo;
use http::StatusCode;

#[tokio::test]
async fn the_second_of_two_equal_questions_is_a_memory_hit() {
    let demo = Demo::start().await;
    let first = demo.get("/api/pitches/trending?limit=17").await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(first.said_by("memory").starts_with("edge-memory; fwd=uri-miss"), "{first:?}");
    assert!(first.said_by("memory").contains("; stored"), "{first:?}");
    assert_eq!(first.ids().len(), 17);

    let second = demo.get("/api/pitches/trending?limit=17").await;
    assert!(second.is_hit_of("memory"), "{second:?}");
    assert_eq!(second.body, first.body);
    for name in ["content-type", "etag", "cache-control"] {
        assert_eq!(second.header(name), first.header(name), "{name}");
    }
    let metrics = demo.metrics().await;
    let of = |result| metrics.sum("edge_cache_requests_total", &[("route", "trending"), ("result", result)]);
    assert_eq!((of("miss"), of("hit")), (1.0, 1.0), "{}", metrics.text());
}

#[tokio::test]
async fn every_spelling_of_a_question_is_one_key() {
    let demo = Demo::start().await;
    for (question, spellings) in [
        (
            "/api/pitches/trending?limit=10",
            &[
                "/api/pitches/trending",
                "/api/pitches/trending?offset=0",
                "/api/pitches/trending?days=none&limit=10&utm_source=mail",
                "/api/pitches/%74rending?limit=010",
            ][..],
        ),
        (
            "/api/pitches/browse?genre=Sci-Fi&limit=24",
            &["/api/pitches/browse?tab=trending&genre=scifi", "/api/pitches/browse?limit=24&genre=SCIFI&_t=17"][..],
        ),
        (
            "/api/pitches/search?q=Night",
            &["/api/pitches/search?q=%20night%20", "/api/pitches/search?page=1&q=NIGHT"][..],
        ),
    ] {
        let first = demo.get(question).await;
        assert_eq!(first.status, StatusCode::OK, "{question} {first:?}");
        assert!(!first.is_hit_of("memory"), "{question} is new");
        for spelling in spellings {
            let again = demo.get(spelling).await;
            assert!(again.is_hit_of("memory"), "{spelling} is not {question}: {again:?}");
            assert_eq!(again.body, first.body, "{spelling}");
        }
    }
}

#[tokio::test]
async fn a_number_above_its_cap_is_the_cap_and_meta_says_so() {
    let demo = Demo::start().await;
    let capped = demo.get("/api/pitches/trending?limit=999").await;
    assert_eq!(capped.status, StatusCode::OK);
    let pagination = &capped.json()["meta"]["pagination"];
    assert_eq!((pagination["limit"].as_i64(), pagination["limit_max"].as_i64()), (Some(50), Some(50)));
    let at_cap = demo.get("/api/pitches/trending?limit=50").await;
    assert!(at_cap.is_hit_of("memory"), "{at_cap:?}");
    assert_eq!(at_cap.body, capped.body);
}

#[tokio::test]
async fn a_head_and_a_condition_are_answered_from_the_stored_get() {
    let demo = Demo::start().await;
    let get = demo.get("/api/pitches/new").await;
    let head = demo.client().ask("HEAD", "/api/pitches/new").send().await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert!(head.is_hit_of("memory"), "{head:?}");
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert_eq!(head.header("etag"), get.header("etag"));

    let ask = |tag: &str| demo.client().get("/api/pitches/new").header("if-none-match", tag).send();
    let known = ask(&format!("\"other\", W/{}", get.header("etag"))).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert!(known.is_hit_of("memory"), "{known:?}");
    assert_eq!(known.header("etag"), get.header("etag"));
    assert_eq!(ask("\"other\"").await.body, get.body);
}

#[tokio::test]
async fn a_condition_on_a_miss_is_not_what_the_next_client_gets() {
    let demo = Demo::start().await;
    let etag = demo.get("/api/categories").await.header("etag").to_owned();
    demo.purge(serde_json::json!({"all": true, "hard": true})).await;
    let known = demo.client().get("/api/categories").header("if-none-match", &etag).send().await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    let whole = demo.get("/api/categories").await;
    assert_eq!(whole.status, StatusCode::OK);
    assert!(whole.is_hit_of("memory"), "{whole:?}");
    assert_eq!(whole.header("etag"), etag);
}

#[tokio::test]
async fn clients_never_see_tags() {
    let demo = Demo::start().await;
    for target in ["/api/pitches/trending", "/api/pitches/1", "/api/creators/1", "/api/pitches/999999"] {
        for _ in 0..2 {
            let answer = demo.get(target).await;
            for name in ["cache-tag", "surrogate-key", "cache-groups"] {
                assert!(!answer.headers.contains_key(name), "{target} {answer:?}");
            }
        }
    }
    let id = demo.draft("The Tagless").await;
    let published =
        demo.write("creator", "POST", &format!("/api/pitches/{id}/publish"), &serde_json::Value::Null).await;
    assert!(!published.headers.contains_key("cache-tag"), "{published:?}");
}

#[tokio::test]
async fn a_question_over_http2_shares_the_key_of_http1() {
    let demo = Demo::start().await;
    let first = demo.get("/api/stats").await;
    let second = demo.client().get("/api/stats").http2().send().await;
    assert!(second.is_hit_of("memory"), "{second:?}");
    assert_eq!(second.body, first.body);
}

#[tokio::test]
async fn a_demo_keeps_its_state_where_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--pitches", "30", "--state", folder.path().to_str().unwrap()];
    let demo = Demo::with(&args).await;
    let id = demo.published("The Lasting").await;
    drop(demo);
    let demo = Demo::with(&args).await;
    assert_eq!(demo.get("/api/pitches/new").await.ids()[0], id);
}
