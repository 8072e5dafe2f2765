//! What each write makes stale, and what a write changes for the next read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use http::StatusCode;
use serde_json::json;
use support::{Answer, Site};

fn stale(answer: &Answer) -> Vec<&str> {
    answer.header("cache-group-invalidation").split(", ").filter(|member| !member.is_empty()).collect()
}

async fn draft(site: &Site) -> Answer {
    let body = r#"{"title":"The Ninth Wave","genre":"Drama","format":"feature"}"#;
    let made = site.call("creator", "POST", "/api/pitches", body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.header("location"), "/api/pitches/61");
    made
}

#[tokio::test]
async fn a_draft_makes_nothing_stale_and_is_the_owners_alone() {
    let site = Site::sqlite(60).await;
    assert!(stale(&draft(&site).await).is_empty());
    assert_eq!(site.get("/api/pitches/61").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get_as("viewer", "/api/pitches/61").await.status, StatusCode::NOT_FOUND);
    let own = site.get_as("creator", "/api/pitches/61").await;
    assert_eq!(own.body["data"]["isOwner"], true);
    assert_eq!(own.header("cache-control"), "private, no-store");
    assert_eq!(site.get_as("creator", "/api/pitches/mine").await.ids()[0], 61);
}

#[tokio::test]
async fn a_publish_names_every_first_page_it_comes_into() {
    let site = Site::sqlite(60).await;
    draft(&site).await;
    let published = site.call("creator", "POST", "/api/pitches/61/publish", "").await;
    let expected = [
        r#""pitch-61""#,
        r#""slug-the-ninth-wave""#,
        r#""list-new""#,
        r#""list-public""#,
        r#""list-trending-open""#,
        r#""list-browse-open""#,
        r#""genre-drama-open""#,
        r#""format-feature-open""#,
        r#""creator-1""#,
    ];
    assert_eq!(stale(&published), expected);
    let newest = site.get("/api/pitches/new").await;
    assert_eq!(newest.ids()[0], 61);
    assert!(newest.has_tag("pitch-61") && newest.has_tag("list-new"));
    assert_eq!(site.get("/api/pitches/the-ninth-wave").await.body["data"]["id"], 61);
}

#[tokio::test]
async fn a_pitch_that_was_never_seen_does_not_come_into_full_pages_of_those_that_were() {
    let site = Site::sqlite(60).await;
    draft(&site).await;
    let ranked =
        ["/api/pitches/trending?limit=5", "/api/pitches/browse?sort=views&limit=5", "/api/pitches/browse?limit=5"];
    for list in ranked {
        let before = site.get(list).await;
        let own = if list.contains("browse") { "list-browse" } else { "list-trending" };
        assert!(before.has_tag(own) && !before.has_tag(&format!("{own}-open")), "{list}");
    }
    // Not full, or not ordered by what is counted.
    let open = [
        ("/api/pitches/browse?limit=100", "list-browse-open"),
        ("/api/pitches/browse?sort=date&limit=5", "list-browse-open"),
        ("/api/pitches/browse?genre=drama&limit=100", "genre-drama-open"),
    ];
    for (list, tag) in open {
        assert!(site.get(list).await.has_tag(tag), "{list}");
    }
    let before = [site.get(ranked[0]).await.ids(), site.get(ranked[1]).await.ids(), site.get(ranked[2]).await.ids()];
    site.call("creator", "POST", "/api/pitches/61/publish", "").await;
    for (list, before) in ranked.iter().zip(before) {
        assert_eq!(site.get(list).await.ids(), before, "{list}: what was stored is still true");
    }
    for (list, _) in open {
        assert!(site.get(list).await.ids().contains(&61), "{list}");
    }
}

#[tokio::test]
async fn an_edit_names_the_pitch_and_the_slices_it_moves_between() {
    let site = Site::sqlite(60).await;
    draft(&site).await;
    site.call("creator", "POST", "/api/pitches/61/publish", "").await;
    let retold = site.call("creator", "PATCH", "/api/pitches/61", r#"{"tagline":"Hold on."}"#).await;
    assert_eq!(stale(&retold), [r#""pitch-61""#]);
    let moved = site.call("creator", "PATCH", "/api/pitches/61", r#"{"genre":"Sci-Fi","format":"tv"}"#).await;
    let slices = [r#""pitch-61""#, r#""genre-drama""#, r#""genre-scifi""#, r#""format-feature""#, r#""format-tv""#];
    assert_eq!(stale(&moved), slices);
    assert!(site.get("/api/pitches/search?q=hold+on").await.ids().contains(&61));
}

#[tokio::test]
async fn what_shrinks_visibility_is_purged_hard_by_the_pitchs_own_tags() {
    let hard = [r#""pitch-1";hard"#, r#""slug-SLUG";hard"#];
    let writes = [
        ("POST", "/api/pitches/1/archive", ""),
        ("DELETE", "/api/pitches/1", ""),
        ("PATCH", "/api/pitches/1", r#"{"status":"draft"}"#),
        ("PATCH", "/api/pitches/1", r#"{"visibility":"private"}"#),
        ("PATCH", "/api/pitches/1", r#"{"visibility":"investors_only"}"#),
        ("PATCH", "/api/pitches/1", r#"{"require_nda":true}"#),
    ];
    for (method, path, body) in writes {
        let site = Site::sqlite(20).await;
        let slug = site.get("/api/pitches/1").await.body["data"]["slug"].as_str().unwrap().to_owned();
        let answer = site.call("creator", method, path, body).await;
        let expected: Vec<String> = hard.iter().map(|tag| tag.replace("SLUG", &slug)).collect();
        assert_eq!(stale(&answer), expected, "{method} {path} {body}");
        let status = if body.contains("require_nda") { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(site.get("/api/pitches/1").await.status, status, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn a_profile_update_names_every_public_pitch_of_the_creator() {
    let site = Site::sqlite(60).await;
    let updated = site.call("creator", "PATCH", "/api/profile", r#"{"company_name":"Lake Films"}"#).await;
    let pitches = [
        r#""creator-1""#,
        r#""pitch-1""#,
        r#""pitch-2""#,
        r#""pitch-3""#,
        r#""pitch-5""#,
        r#""pitch-6""#,
        r#""pitch-8""#,
    ];
    assert_eq!(stale(&updated), pitches);
    assert_eq!(site.get("/api/pitches/1").await.body["data"]["creator"]["company_name"], "Lake Films");
}

#[tokio::test]
async fn likes_saves_follows_and_views_make_nothing_stale() {
    let site = Site::sqlite(60).await;
    let before = site.get("/api/pitches/1").await.body["data"].clone();
    for (method, path, body) in [
        ("PUT", "/api/pitches/1/like", ""),
        ("PUT", "/api/pitches/1/like", ""),
        ("PUT", "/api/pitches/1/save", ""),
        ("PUT", "/api/creators/1/follow", ""),
        ("POST", "/api/views", r#"{"pitch_id":1}"#),
        ("POST", "/api/views", r#"{"pitch_id":1}"#),
    ] {
        let answer = site.call("viewer", method, path, body).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(stale(&answer).is_empty(), "{method} {path}");
    }
    let after = site.get_as("viewer", "/api/pitches/1").await.body["data"].clone();
    assert_eq!(after["view_count"].as_i64(), before["view_count"].as_i64().map(|views| views + 1));
    assert_eq!(after["like_count"].as_i64(), before["like_count"].as_i64().map(|likes| likes + 1));
    assert_eq!((&after["isLiked"], &after["isSaved"]), (&json!(true), &json!(true)));
    assert_eq!(site.get_as("viewer", "/api/saved-pitches").await.ids(), [1]);
    assert!(!site.get_as("viewer", "/api/pitches/following").await.ids().is_empty());
}

#[tokio::test]
async fn an_agreement_opens_the_closed_fields_and_a_revoke_shuts_them_at_once() {
    let site = Site::sqlite(60).await;
    let asked = site.call("investor", "POST", "/api/pitches/1/nda", "").await;
    assert_eq!(asked.status, StatusCode::CREATED);
    let nda = asked.header("location").to_owned();
    let shows = async || site.get_as("investor", "/api/pitches/1").await.body["data"].get("budget_breakdown").is_some();
    assert!(!shows().await);
    assert_eq!(site.call("investor", "POST", &format!("{nda}/approve"), "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(site.call("viewer", "POST", &format!("{nda}/sign"), "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.call("creator", "POST", &format!("{nda}/approve"), "").await.status, StatusCode::OK);
    assert!(!shows().await, "granted, but not signed");
    assert_eq!(site.call("investor", "POST", &format!("{nda}/sign"), "").await.status, StatusCode::OK);
    assert!(shows().await);
    assert!(site.get("/api/pitches/1").await.body["data"].get("budget_breakdown").is_none());
    let revoked = site.call("creator", "POST", &format!("{nda}/revoke"), "").await;
    assert_eq!(stale(&revoked), [r#""pitch-1";hard"#]);
    assert!(!shows().await);
    assert_eq!(site.call("creator", "POST", &format!("{nda}/approve"), "").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_agreement_can_be_rejected() {
    let site = Site::sqlite(60).await;
    let nda = site.call("investor", "POST", "/api/pitches/1/nda", "").await.header("location").to_owned();
    let rejected = site.call("creator", "POST", &format!("{nda}/reject"), "").await;
    assert_eq!(rejected.body["data"]["status"], "rejected");
    assert_eq!(site.call("investor", "POST", &format!("{nda}/sign"), "").await.status, StatusCode::CONFLICT);
}
