//! What every endpoint has in common: statuses, headers, who may see what.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use axum::body::Body;
use edge_cache_origin::database::{Database, DatabaseConfig};
use edge_cache_pitchey::{MigrateError, SeedError, SeedOptions, endpoints, is_foreign, migrate, seed};
use http::{Request, StatusCode};
use support::{NOW, Site, options};

#[tokio::test]
async fn a_clamped_limit_is_the_cap_and_meta_says_so() {
    let site = Site::sqlite(200).await;
    let capped = site.get("/api/pitches/trending?limit=900").await;
    assert_eq!(capped.body["meta"]["pagination"]["limit"], 50);
    assert_eq!(capped.body["meta"]["pagination"]["limit_max"], 50);
    assert_eq!(capped.ids().len(), 50);
    assert_eq!(capped.body, site.get("/api/pitches/trending?limit=50&utm_source=x").await.body);
}

#[tokio::test]
async fn a_bad_parameter_is_named_with_its_range() {
    let site = Site::sqlite(20).await;
    let refused = site.get("/api/pitches/new?limit=ten").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.body["error"]["message"], "limit: must be a whole number from 1 to 50");
    assert_eq!(refused.header("cache-control"), "no-store");
}

#[tokio::test]
async fn lists_tell_shared_caches_how_long_and_browsers_to_ask() {
    let site = Site::sqlite(60).await;
    let list = site.get("/api/pitches/trending").await;
    let caches = "max-age=300, stale-while-revalidate=30, stale-if-error=86400";
    assert_eq!(list.header("cdn-cache-control"), caches);
    assert_eq!(list.header("cache-control"), "public, max-age=0, must-revalidate");
    assert!(list.has_tag("list-trending") && list.has_tag(&format!("pitch-{}", list.ids()[0])));
    let later = site.get("/api/pitches/trending?offset=10").await;
    assert!(!later.has_tag("list-trending"), "later pages may lag");
    let slice = site.get("/api/pitches/browse?genre=Sci-Fi&format=TV").await;
    assert!(slice.has_tag("list-browse") && slice.has_tag("genre-scifi") && slice.has_tag("format-tv"));
    assert_eq!(site.get("/api/config").await.header("cache-control"), "public, max-age=3600");
}

#[tokio::test]
async fn a_known_etag_is_answered_without_a_body() {
    let site = Site::sqlite(20).await;
    let first = site.get("/api/stats").await;
    let etag = first.header("etag");
    let request = Request::get("/api/stats").header("if-none-match", format!("\"x\", W/{etag}"));
    let second = site.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(second.status, StatusCode::NOT_MODIFIED);
    assert!(second.body.is_null());
    assert_eq!(second.header("cdn-cache-control"), first.header("cdn-cache-control"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let site = Site::sqlite(20).await;
    let path = site.get("/api/pitch").await;
    assert_eq!((path.status, path.body["error"]["code"].as_str()), (StatusCode::NOT_FOUND, Some("not_found")));
    let method = site.call("", "DELETE", "/api/stats", "").await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.header("allow"), "GET,HEAD");
    assert_eq!(method.body["error"]["code"], "method_not_allowed");
}

#[tokio::test]
async fn a_missing_pitch_is_kept_for_a_moment_under_the_tags_it_would_have() {
    let site = Site::sqlite(20).await;
    for (path, tag) in [("/api/pitches/999", "pitch-999"), ("/api/pitches/no-such", "slug-no-such")] {
        let missing = site.get(path).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
        assert_eq!(missing.header("cdn-cache-control"), "max-age=5");
        assert_eq!(missing.header("cache-tag"), tag);
    }
}

#[tokio::test]
async fn a_body_is_bounded() {
    let site = Site::sqlite(20).await;
    let body = format!(r#"{{"bio":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(site.call("creator", "PATCH", "/api/profile", &body).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_session_also_comes_by_cookie_and_an_unknown_one_is_nobodys() {
    let site = Site::sqlite(20).await;
    let by = async |cookie: String| {
        let request = Request::get("/api/pitches/1").header("cookie", cookie);
        site.send(request.body(Body::empty()).unwrap()).await
    };
    let own = by(format!("theme=dark; pitchey-session={}", site.token("creator"))).await;
    assert_eq!(own.body["data"]["isOwner"], true);
    let stranger = by("pitchey-session=over".into()).await;
    assert_eq!(stranger.status, StatusCode::OK);
    assert!(stranger.body["data"].get("isOwner").is_none());
    assert_eq!(stranger.header("cache-control"), "private, no-store");
    let shared = by("theme=dark".into()).await;
    assert!(!shared.header("cdn-cache-control").is_empty(), "a cookie of no meaning changes nothing");
    let forged = Request::post("/api/pitches/1/archive")
        .header("cookie", format!("pitchey-session={}", site.token("creator")))
        .header("host", "pitchey.example")
        .header("origin", "https://evil.example");
    assert_eq!(site.send(forged.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_without_a_right_sees_a_closed_pitch() {
    let site = Site::sqlite(60).await;
    // 4 is for investors, 7 is private, 9 is a draft; all belong to the creator.
    for (who, path, status) in [
        ("", "/api/pitches/4", 404),
        ("viewer", "/api/pitches/4", 404),
        ("investor", "/api/pitches/4", 200),
        ("creator", "/api/pitches/4", 200),
        ("investor", "/api/pitches/7", 404),
        ("creator", "/api/pitches/7", 200),
        ("viewer", "/api/pitches/9", 404),
        ("creator", "/api/pitches/9", 200),
    ] {
        assert_eq!(site.call(who, "GET", path, "").await.status.as_u16(), status, "{who} {path}");
    }
    let all = site.get("/api/pitches/browse?limit=100").await;
    assert_eq!(all.body["meta"]["pagination"]["total"], 36);
    assert!(!all.ids().iter().any(|id| [4, 7, 9, 0].contains(&(id % 10))));
}

#[tokio::test]
async fn cors_names_one_origin_always_and_several_only_with_vary() {
    let ask = async |site: &Site, origin: &str| {
        let request = Request::get("/api/stats").header("origin", origin);
        site.send(request.body(Body::empty()).unwrap()).await
    };
    let mut one = options();
    one.cors_origins = vec!["https://a.example".into()];
    let site = Site::sqlite(20).await.with(one.clone());
    let answer = ask(&site, "https://b.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://a.example");
    assert!(!answer.headers.contains_key("vary"));
    one.cors_origins.push("https://b.example".into());
    let site = site.with(one);
    let answer = ask(&site, "https://b.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://b.example");
    assert_eq!(answer.header("vary"), "Origin");
    assert!(!ask(&site, "https://c.example").await.headers.contains_key("access-control-allow-origin"));
    let preflight = Request::options("/api/pitches")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "POST");
    let preflight = site.send(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
}

#[tokio::test]
async fn search_puts_exact_titles_first_then_prefixes() {
    let site = Site::sqlite(60).await;
    for title in ["Owl Light", "owl", "The Owl", "Owl Light"] {
        let body = format!(r#"{{"title":"{title}","genre":"drama"}}"#);
        let location = site.call("creator", "POST", "/api/pitches", &body).await.header("location").to_owned();
        site.call("creator", "POST", &format!("{location}/publish"), "").await;
    }
    assert_eq!(site.get("/api/pitches/search?q=OWL").await.ids(), [62, 64, 61, 63]);
    assert_eq!(site.get("/api/search/autocomplete?q=owl+l").await.ids(), [61, 64]);
    assert_eq!(site.get("/api/pitches/64").await.body["data"]["slug"], "owl-light-2");
}

#[tokio::test]
async fn a_failing_database_is_a_503_and_never_an_empty_list() {
    let site = Site::sqlite(20).await;
    site.db.batch("DROP TABLE pitch_search").await.unwrap();
    assert_eq!(site.get("/api/pitches/search?q=the").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let server = edge_cache_sandbox::Postgres::start().await.unwrap();
    let site = Site::start(server.url(), 20, None).await;
    server.stop(edge_cache_sandbox::Mode::Immediate).await.unwrap();
    for endpoint in endpoints().iter().filter(|endpoint| !["config", "health"].contains(&endpoint.name)) {
        let path = endpoint.pattern.replace("{id}", "1").replace("{page}", "about");
        let path = if path.contains("search") { format!("{path}?q=the") } else { path };
        let answer = site.get_as("creator", &path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.body["error"]["code"], "database_unavailable");
    }
    assert_eq!(site.get("/api/health").await.status, StatusCode::OK, "liveness is without the database");
}

#[tokio::test]
async fn migrating_and_seeding_happen_once_and_never_in_a_strangers_database() {
    let site = Site::sqlite(20).await;
    migrate(&site.db, NOW).await.unwrap();
    assert!(matches!(seed(&site.db, SeedOptions::default(), NOW).await, Err(SeedError::NotEmpty)));
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("other.db").display());
    let other = Database::connect(DatabaseConfig { url, ..DatabaseConfig::default() }).await.unwrap();
    other.batch("CREATE TABLE users (id integer)").await.unwrap();
    assert!(is_foreign(&other).await.unwrap());
    assert!(matches!(migrate(&other, NOW).await, Err(MigrateError::Foreign { tables }) if tables == ["users"]));
}
