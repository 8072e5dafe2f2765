//! What a signed-in user sees is his alone.

use edge_cache_tests::Demo;
use http::StatusCode;
use serde_json::Value;

#[tokio::test]
async fn a_signed_in_detail_is_private_and_never_served_to_another() {
    let demo = Demo::start().await;
    let own = demo.get_as("creator", "/api/pitches/1").await;
    assert_eq!(own.header("cache-control"), "private, no-store");
    assert!(own.said_by("memory").starts_with("edge-memory; fwd=bypass"), "{own:?}");
    let data = &own.json()["data"];
    assert_eq!(data["isOwner"], true);
    assert!(data.get("budget_breakdown").is_some());

    for _ in 0..2 {
        let anyone = demo.get("/api/pitches/1").await.json();
        for field in ["isOwner", "isLiked", "isSaved", "budget_breakdown", "contact_details"] {
            assert!(anyone["data"].get(field).is_none(), "{field}");
        }
        assert_eq!(demo.get_as("viewer", "/api/pitches/1").await.json()["data"]["isOwner"], false);
    }
    let cookie = format!("theme=dark; pitchey-session={}", demo.token("creator"));
    let by_cookie = demo.client().get("/api/pitches/1").header("cookie", &cookie).send().await;
    assert_eq!(by_cookie.json()["data"]["isOwner"], true);
    let no_session = demo.client().get("/api/pitches/1").header("cookie", "theme=dark").send().await;
    assert!(no_session.is_hit_of("memory"), "a cookie of no meaning changes nothing: {no_session:?}");
}

#[tokio::test]
async fn lists_are_shared_though_clients_send_credentials() {
    let demo = Demo::start().await;
    let first = demo.get_as("investor", "/api/pitches/trending").await;
    assert!(first.said_by("memory").contains("stored"), "{first:?}");
    for who in ["", "creator", "viewer"] {
        let again = demo.get_as(who, "/api/pitches/trending").await;
        assert!(again.is_hit_of("memory"), "{who}");
        assert_eq!(again.body, first.body);
    }
}

#[tokio::test]
async fn likes_saves_and_follows_show_to_their_viewer_at_once() {
    let demo = Demo::start().await;
    let flag = async |name: &str| demo.get_as("viewer", "/api/pitches/1").await.json()["data"][name].clone();
    for (path, name) in [("/api/pitches/1/like", "isLiked"), ("/api/pitches/1/save", "isSaved")] {
        assert_eq!(flag(name).await, false);
        assert_eq!(demo.write("viewer", "PUT", path, &Value::Null).await.status, StatusCode::OK);
        assert_eq!(flag(name).await, true, "{path}");
        assert!(demo.write("viewer", "DELETE", path, &Value::Null).await.status.is_success());
        assert_eq!(flag(name).await, false, "{path}");
    }
    assert!(demo.write("viewer", "PUT", "/api/pitches/1/save", &Value::Null).await.status.is_success());
    assert_eq!(demo.get_as("viewer", "/api/saved-pitches").await.ids(), [1]);
    assert!(demo.get_as("investor", "/api/saved-pitches").await.ids().is_empty());

    let before = demo.get_as("viewer", "/api/pitches/following").await.ids();
    assert!(demo.write("viewer", "PUT", "/api/creators/1/follow", &Value::Null).await.status.is_success());
    let after = demo.get_as("viewer", "/api/pitches/following").await;
    assert_ne!(after.ids(), before);
    assert_eq!(after.header("cache-control"), "private, no-store");
    assert_eq!(demo.get("/api/pitches/following").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_agreement_opens_the_closed_fields_until_it_is_revoked() {
    let demo = Demo::start().await;
    let act = async |who: &str, target: &str| demo.write(who, "POST", target, &Value::Null).await;
    let shows =
        async || demo.get_as("investor", "/api/pitches/1").await.json()["data"].get("budget_breakdown").is_some();
    let asked = act("investor", "/api/pitches/1/nda").await;
    assert_eq!(asked.status, StatusCode::CREATED);
    let nda = asked.header("location").to_owned();
    assert!(!shows().await);
    assert_eq!(act("creator", &format!("{nda}/approve")).await.status, StatusCode::OK);
    assert_eq!(act("investor", &format!("{nda}/sign")).await.status, StatusCode::OK);
    assert!(shows().await);
    assert!(demo.get("/api/pitches/1").await.json()["data"].get("budget_breakdown").is_none());
    assert_eq!(act("creator", &format!("{nda}/revoke")).await.status, StatusCode::OK);
    assert!(!shows().await, "a revoke bites on the next request");
}
