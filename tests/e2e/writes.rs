//! A write shows on the next read, as the table of writes says.

use edge_cache_tests::Demo;
use http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn a_publish_shows_in_the_first_pages_on_the_next_read() {
    let demo = Demo::start().await;
    let id = demo.draft("A Quiet Harbour").await;
    let detail = format!("/api/pitches/{id}");
    let lists = [
        "/api/pitches/new",
        "/api/pitches/public",
        "/api/pitches/browse?tab=new",
        "/api/pitches/browse?genre=drama&sort=date",
        "/api/pitches/trending?days=7&limit=50",
    ];
    for list in lists {
        assert!(!demo.get(list).await.ids().contains(&id), "{list}");
        assert!(demo.get(list).await.is_hit_of("memory"), "{list} is cached before the publish");
    }
    assert_eq!(demo.get(&detail).await.status, StatusCode::NOT_FOUND, "which is cached too");
    assert!(demo.get(&detail).await.is_hit_of("memory"));

    demo.step(id, "publish").await;
    for list in lists {
        let after = demo.get(list).await;
        assert!(after.ids().contains(&id), "{list}: {:?} {:?}", after.ids(), after.said_by("memory"));
    }
    assert_eq!(demo.get(&detail).await.status, StatusCode::OK);
    assert_eq!(demo.get("/api/pitches/new").await.ids()[0], id);
}

#[tokio::test]
async fn an_archive_is_gone_from_the_detail_and_every_list_on_the_next_read() {
    let demo = Demo::start().await;
    let id = demo.published("A Loud Harbour").await;
    let by_slug = "/api/pitches/a-loud-harbour".to_owned();
    let details = [format!("/api/pitches/{id}"), by_slug];
    let lists = [
        "/api/pitches/new",
        "/api/pitches/public",
        "/api/pitches/browse?tab=new&limit=100",
        "/api/pitches/search?q=loud+harbour",
    ];
    for detail in &details {
        assert_eq!(demo.get(detail).await.status, StatusCode::OK, "{detail}");
    }
    for list in lists {
        assert!(demo.get(list).await.ids().contains(&id), "{list}");
    }

    demo.step(id, "archive").await;
    for detail in &details {
        assert_eq!(demo.get(detail).await.status, StatusCode::NOT_FOUND, "{detail}");
    }
    for list in lists {
        assert!(!demo.get(list).await.ids().contains(&id), "{list}");
    }
}

#[tokio::test]
async fn an_edit_shows_in_the_detail_and_moves_between_slices() {
    let demo = Demo::start().await;
    let id = demo.published("A Wide Harbour").await;
    let detail = format!("/api/pitches/{id}");
    let (drama, western) = ("/api/pitches/browse?genre=drama&sort=date", "/api/pitches/browse?genre=western&sort=date");
    assert!(demo.get(drama).await.ids().contains(&id));
    assert!(!demo.get(western).await.ids().contains(&id));
    assert_eq!(demo.get(&detail).await.json()["data"]["title"], "A Wide Harbour");

    let edit = json!({"tagline": "Wider than you think", "genre": "western"});
    assert_eq!(demo.write("creator", "PATCH", &detail, &edit).await.status, StatusCode::OK);
    let after = demo.get(&detail).await.json();
    assert_eq!(after["data"]["tagline"], "Wider than you think");
    assert!(!demo.get(drama).await.ids().contains(&id));
    assert!(demo.get(western).await.ids().contains(&id));
}

#[tokio::test]
async fn a_profile_update_shows_wherever_the_creator_does() {
    let demo = Demo::start().await;
    let id = demo.published("A Low Harbour").await;
    let detail = format!("/api/pitches/{id}");
    assert_ne!(demo.get(&detail).await.json()["data"]["creator"]["company_name"], "Harbour Films");
    assert_eq!(demo.get("/api/creators/1").await.status, StatusCode::OK);
    let update = json!({"company_name": "Harbour Films"});
    assert_eq!(demo.write("creator", "PATCH", "/api/profile", &update).await.status, StatusCode::OK);
    assert_eq!(demo.get(&detail).await.json()["data"]["creator"]["company_name"], "Harbour Films");
    assert!(demo.get("/api/creators/1").await.text().contains("Harbour Films"));
}

#[tokio::test]
async fn counters_may_lag_and_purge_nothing() {
    let demo = Demo::start().await;
    let before = demo.get("/api/pitches/1").await;
    let view = demo.write("viewer", "POST", "/api/views", &json!({"pitch_id": 1})).await;
    assert_eq!(view.status, StatusCode::OK);
    let like = demo.write("viewer", "PUT", "/api/pitches/1/like", &serde_json::Value::Null).await;
    assert_eq!(like.status, StatusCode::OK);
    let after = demo.get("/api/pitches/1").await;
    assert!(after.is_hit_of("memory"), "{after:?}");
    assert_eq!(after.body, before.body);
}
