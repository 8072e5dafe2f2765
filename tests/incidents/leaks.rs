//! 4: what is one person's never reaches another.

use edge_cache_tests::{Demo, Origin, ProxyBuilder, Reply};
use http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn incident_04_a_private_pitch_never_reaches_an_anonymous_reader() {
    let demo = Demo::start().await;
    let id = demo.draft("Nobody Knows This").await;
    let detail = format!("/api/pitches/{id}");
    for _ in 0..2 {
        assert_eq!(demo.get_as("creator", &detail).await.status, StatusCode::OK);
        for who in ["", "viewer", "investor"] {
            let refused = demo.get_as(who, &detail).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "{who}");
            assert!(!refused.text().contains("Nobody Knows"), "{who}");
        }
    }
    demo.step(id, "publish").await;
    assert_eq!(demo.get(&detail).await.status, StatusCode::OK);
    let closed = demo.write("creator", "PATCH", &detail, &json!({"visibility": "private"})).await;
    assert_eq!(closed.status, StatusCode::OK);
    assert_eq!(demo.get(&detail).await.status, StatusCode::NOT_FOUND);
    assert_eq!(demo.get_as("creator", &detail).await.status, StatusCode::OK);
    assert_eq!(demo.get(&detail).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn incident_04_lists_show_no_closed_rows_and_no_closed_columns() {
    let demo = Demo::start().await;
    let lists = [
        "/api/pitches/trending?limit=50",
        "/api/pitches/new?limit=50",
        "/api/pitches/featured?limit=12",
        "/api/pitches/public?limit=50",
        "/api/pitches/browse?limit=100",
        "/api/pitches/search?q=the&limit=50",
    ];
    for list in lists {
        for who in ["admin", "creator", "investor", ""] {
            let answer = demo.get_as(who, list).await;
            for field in ["budget_breakdown", "financial_projections", "distribution_plan", "contact_details"] {
                assert!(!answer.text().contains(field), "{field} in {list} for {who}");
            }
        }
        for id in demo.get(list).await.ids().into_iter().take(60) {
            assert_eq!(demo.get(&format!("/api/pitches/{id}")).await.status, StatusCode::OK, "{id} of {list}");
        }
    }
}

#[tokio::test]
async fn incident_04_tokens_that_begin_alike_are_not_one_user() {
    let origin =
        Origin::start(
            |request| async move { Reply::cached("max-age=60", request.seen.header("authorization").to_owned()) },
        )
        .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    for _ in 0..2 {
        for token in ["eyJhbGciOiJIUzI1NiJ9.ada", "eyJhbGciOiJIUzI1NiJ9.bob"] {
            let answer = proxy.client().get("/me").bearer(token).send().await;
            assert_eq!(answer.text(), format!("Bearer {token}"));
        }
        assert_eq!(proxy.client().get("/you").send().await.text(), "");
    }
}
