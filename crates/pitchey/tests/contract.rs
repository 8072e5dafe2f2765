//! The same requests to both databases get the same answers.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use edge_cache_sandbox::Postgres;
use http::HeaderMap;
use serde_json::Value;
use support::Site;

/// Who asks (nobody where empty), method, path, body.
type Line = (&'static str, &'static str, &'static str, &'static str);

const READS: &[&str] = &[
    "/api/pitches/trending",
    "/api/pitches/trending?limit=50&offset=3&days=90",
    "/api/pitches/trending?limit=4&days=7",
    "/api/pitches/new",
    "/api/pitches/new?limit=900&offset=20",
    "/api/pitches/featured",
    "/api/pitches/featured?limit=12",
    "/api/pitches/public",
    "/api/pitches/public?page=2&limit=7",
    "/api/pitches/public?genre=Sci-Fi",
    "/api/pitches/public?format=tv&genre=drama",
    "/api/pitches/browse",
    "/api/pitches/browse?tab=new&limit=100",
    "/api/pitches/browse?tab=popular",
    "/api/pitches/browse?sort=date&offset=5",
    "/api/pitches/browse?sort=views&order=asc",
    "/api/pitches/browse?sort=likes&genre=thriller",
    "/api/pitches/browse?sort=title",
    "/api/pitches/browse?sort=title&order=desc&format=short",
    "/api/pitches/browse?offset=9000",
    "/api/pitches/browse?genre=no-such-genre",
    "/api/pitches/search?q=the",
    "/api/pitches/search?q=%20THE%20%20gl&page=1&limit=5",
    "/api/pitches/search?q=valparaÍso",
    "/api/pitches/search?q=100%25",
    "/api/pitches/search?q=noir&format=feature",
    "/api/search/autocomplete?q=the%20g",
    "/api/search/autocomplete?q=the&limit=3",
    "/api/search/facets",
    "/api/categories",
    "/api/pitches/1",
    "/api/pitches/2",
    "/api/pitches/4",
    "/api/pitches/7",
    "/api/pitches/9",
    "/api/pitches/999999",
    "/api/pitches/01",
    "/api/pitches/no-such-slug",
    "/api/pitches/No%20Slug",
    "/api/creators/1",
    "/api/creators/12",
    "/api/creators/4",
    "/api/creators/999999",
    "/api/creators/x",
    "/api/stats",
    "/api/config",
    "/api/content/about",
    "/api/content/nothing",
    "/api/health",
    "/api/health/ready",
    "/api/pitches/following",
    "/api/pitches/mine",
    "/api/saved-pitches",
    "/api/pitches/trending?limit=0",
    "/api/pitches/search",
    "/api/nothing",
];

const PRIVATE_READS: &[&str] = &[
    "/api/pitches/1",
    "/api/pitches/2",
    "/api/pitches/3",
    "/api/pitches/4",
    "/api/pitches/7",
    "/api/pitches/9",
    "/api/pitches/following",
    "/api/pitches/mine?limit=3&offset=1",
    "/api/saved-pitches",
];

/// A life of a pitch, and everything around it. The pitch made first is number 61.
const WRITES: &[Line] = &[
    ("", "POST", "/api/pitches", r#"{"title":"x","genre":"drama"}"#),
    ("viewer", "POST", "/api/pitches", r#"{"title":"x","genre":"drama"}"#),
    ("creator", "POST", "/api/pitches", r#"{"title":"x""#),
    ("creator", "POST", "/api/pitches", r#"[1]"#),
    ("creator", "POST", "/api/pitches", r#"{"genre":"drama"}"#),
    ("creator", "POST", "/api/pitches", r#"{"title":"","genre":"drama"}"#),
    ("creator", "POST", "/api/pitches", r#"{"title":"x","genre":"--"}"#),
    ("creator", "POST", "/api/pitches", r#"{"title":"x","genre":"drama","views":3}"#),
    ("creator", "POST", "/api/pitches", r#"{"title":"x","genre":"drama","estimated_budget":-1}"#),
    ("creator", "POST", "/api/pitches", r#"{"title":"x\u0000","genre":"drama"}"#),
    (
        "creator",
        "POST",
        "/api/pitches",
        r#"{"title":"Zürich: The Øpera","genre":"Sci Fi","format":"tv","tagline":"Sing.","tags":["a\"b","c\\d","é"],
            "budget_breakdown":{"b":1.5,"a":[1,null,"x"]},"estimated_budget":5000,"require_nda":true}"#,
    ),
    ("creator", "GET", "/api/pitches/61", ""),
    ("", "GET", "/api/pitches/61", ""),
    ("creator", "POST", "/api/pitches", r#"{"title":"Zürich: The Øpera","genre":"drama"}"#),
    ("viewer", "POST", "/api/pitches/61/publish", ""),
    ("creator", "POST", "/api/pitches/61/publish", r#"{"visibility":"nobody"}"#),
    ("creator", "POST", "/api/pitches/61/publish", ""),
    ("creator", "POST", "/api/pitches/61/publish", ""),
    ("", "GET", "/api/pitches/61", ""),
    ("", "GET", "/api/pitches/z-rich-the-pera", ""),
    ("", "GET", "/api/pitches/new?limit=3", ""),
    ("", "GET", "/api/pitches/search?q=ZÜRICH", ""),
    ("viewer", "PATCH", "/api/pitches/61", r#"{"tagline":"mine"}"#),
    ("creator", "PATCH", "/api/pitches/61", r#"{"genre":"Noir","tagline":null,"logline":"A singer, a lake."}"#),
    ("creator", "PATCH", "/api/pitches/61", r#"{"status":"published"}"#),
    ("creator", "PATCH", "/api/pitches/61", r#"{"title":null}"#),
    ("", "GET", "/api/pitches/search?q=lake", ""),
    ("", "GET", "/api/pitches/search?q=sing.", ""),
    ("viewer", "PUT", "/api/pitches/61/like", ""),
    ("viewer", "PUT", "/api/pitches/61/like", ""),
    ("viewer", "PUT", "/api/pitches/61/save", ""),
    ("viewer", "PUT", "/api/pitches/7/like", ""),
    ("investor", "PUT", "/api/pitches/4/save", ""),
    ("", "POST", "/api/views", r#"{"pitch_id":61,"session_id":"abc"}"#),
    ("", "POST", "/api/views", r#"{"pitch_id":61,"session_id":"abc"}"#),
    ("", "POST", "/api/views", r#"{"pitch_id":61}"#),
    ("viewer", "POST", "/api/views", r#"{"pitch_id":61}"#),
    ("viewer", "POST", "/api/views", r#"{"pitch_id":61}"#),
    ("", "POST", "/api/views", r#"{}"#),
    ("", "POST", "/api/views", r#"{"pitch_id":9}"#),
    ("viewer", "GET", "/api/pitches/61", ""),
    ("viewer", "GET", "/api/saved-pitches", ""),
    ("viewer", "DELETE", "/api/pitches/61/like", ""),
    ("viewer", "DELETE", "/api/pitches/61/like", ""),
    ("viewer", "DELETE", "/api/pitches/61/save", ""),
    ("viewer", "PUT", "/api/creators/1/follow", ""),
    ("viewer", "PUT", "/api/creators/4/follow", ""),
    ("viewer", "PUT", "/api/creators/999999/follow", ""),
    ("viewer", "GET", "/api/pitches/following?limit=2", ""),
    ("", "GET", "/api/creators/1", ""),
    ("viewer", "DELETE", "/api/creators/1/follow", ""),
    ("creator", "POST", "/api/pitches/61/nda", ""),
    ("viewer", "POST", "/api/pitches/61/nda", ""),
    ("viewer", "POST", "/api/pitches/61/nda", ""),
    ("viewer", "PATCH", "/api/profile", r#"{"bio":"Reads a lot.","username":"reader"}"#),
    ("creator", "PATCH", "/api/profile", r#"{"username":"READER"}"#),
    ("creator", "PATCH", "/api/profile", r#"{"username":"no spaces"}"#),
    ("creator", "PATCH", "/api/profile", r#"{"company_name":"Lake Films"}"#),
    ("", "GET", "/api/creators/1", ""),
    ("creator", "PATCH", "/api/pitches/61", r#"{"visibility":"investors_only"}"#),
    ("", "GET", "/api/pitches/61", ""),
    ("viewer", "GET", "/api/pitches/61", ""),
    ("investor", "GET", "/api/pitches/61", ""),
    ("creator", "PATCH", "/api/pitches/61", r#"{"visibility":"public"}"#),
    ("creator", "PATCH", "/api/pitches/61", r#"{"require_nda":false}"#),
    ("creator", "POST", "/api/pitches/61/archive", ""),
    ("creator", "POST", "/api/pitches/61/archive", ""),
    ("creator", "POST", "/api/pitches/61/publish", ""),
    ("", "GET", "/api/pitches/61", ""),
    ("viewer", "DELETE", "/api/pitches/61", ""),
    ("creator", "DELETE", "/api/pitches/61", ""),
    ("creator", "DELETE", "/api/pitches/61", ""),
    ("", "GET", "/api/stats", ""),
];

/// Headers that are part of the contract.
const HEADERS: [&str; 9] = [
    "allow",
    "cache-control",
    "cache-group-invalidation",
    "cache-tag",
    "cdn-cache-control",
    "content-type",
    "etag",
    "location",
    "retry-after",
];

fn relevant(headers: &HeaderMap) -> Vec<(String, String)> {
    let known = |name: &&str| headers.get(*name).map(|value| ((*name).to_owned(), value.to_str().unwrap().to_owned()));
    HEADERS.iter().filter_map(known).collect()
}

fn lines() -> impl Iterator<Item = Line> {
    let reads = READS.iter().map(|path| ("", "GET", *path, ""));
    let users = ["creator", "production", "investor", "viewer", "admin"];
    let private = users.into_iter().flat_map(|who| PRIVATE_READS.iter().map(move |path| (who, "GET", *path, "")));
    reads.chain(private).chain(WRITES.iter().copied())
}

#[tokio::test]
async fn both_databases_give_the_same_answers() {
    let server = Postgres::start().await.unwrap();
    let postgres = Site::start(server.url(), 60, None).await;
    let sqlite = Site::sqlite(60).await;
    assert_eq!(postgres.seeded, sqlite.seeded);
    for (who, method, path, body) in lines() {
        let one = postgres.call(who, method, path, body).await;
        let other = sqlite.call(who, method, path, body).await;
        let what = format!("{method} {path} {body} as {who:?}");
        assert!(one.status.as_u16() < 500, "{what}: {} {}", one.status, one.body);
        assert_eq!(one.status, other.status, "{what}: {} {}", one.body, other.body);
        assert_eq!(one.body, other.body, "{what}");
        assert_eq!(relevant(&one.headers), relevant(&other.headers), "{what}");
        check(&what, &one.headers, &one.body, one.status.as_u16());
    }
    assert!(postgres.db.state().connections <= 10);
}

/// What holds for every answer.
fn check(what: &str, headers: &HeaderMap, body: &Value, status: u16) {
    let cache_control = headers["cache-control"].to_str().unwrap();
    let is_stored = !cache_control.contains("no-store");
    assert_eq!(is_stored, headers.contains_key("cdn-cache-control"), "{what}: {cache_control}");
    if is_stored {
        assert!(status == 200 || status == 404, "{what}: {status}");
        let text = body.to_string();
        for closed in ["budget_breakdown", "financial_projections", "distribution_plan", "contact_details", "isLiked"] {
            assert!(!text.contains(closed), "{what} shows {closed} to everyone");
        }
        assert!(!text.contains("investors_only\"") || what.contains("/api/config"), "{what} shows a closed pitch");
    }
    if status != 204 {
        assert_eq!(body["success"], status < 400, "{what}");
    }
    if status >= 400 {
        assert!(body["error"]["code"].is_string() && body["error"]["message"].is_string(), "{what}");
    }
}
