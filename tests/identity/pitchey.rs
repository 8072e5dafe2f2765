//! Pitchey's own declarations, held against its handlers.

use std::collections::BTreeSet;

use edge_cache_sandbox::Postgres;
use edge_cache_tests::{Demo, eventually};

/// A question for each declared route; whether it goes past the cache with `Authorization`.
const QUESTIONS: [(&str, &str, bool); 14] = [
    ("trending", "/api/pitches/trending?limit=50", false),
    ("new", "/api/pitches/new?limit=50", false),
    ("featured", "/api/pitches/featured", false),
    ("public", "/api/pitches/public?limit=50", false),
    ("browse", "/api/pitches/browse?limit=100", false),
    ("search", "/api/pitches/search?q=the&limit=50", false),
    ("autocomplete", "/api/search/autocomplete?q=th", false),
    ("facets", "/api/search/facets", false),
    ("categories", "/api/categories", false),
    ("detail", "/api/pitches/{pitch}", true),
    ("creator", "/api/creators/{creator}", false),
    ("stats", "/api/stats", false),
    ("config", "/api/config", false),
    ("content", "/api/content/about", false),
];

#[tokio::test]
async fn no_declared_route_shows_who_asks() {
    let postgres = Postgres::start().await.unwrap();
    let demo = Demo::patient(&["--database", postgres.url(), "--pitches", "200"]).await;
    let shown = demo.metrics().await;
    let lines = shown.text().lines().filter_map(|line| line.strip_prefix("edge_cache_identity_distrusted{route=\""));
    let declared: BTreeSet<_> = lines.filter_map(|line| line.split('"').next()).collect();
    assert_eq!(declared, QUESTIONS.iter().map(|(name, ..)| *name).collect(), "a question for each declared route");

    // One that its creator sees otherwise, signed in.
    let id = demo.draft("The One That Is Hers").await;
    demo.step(id, "publish").await;
    let detail = format!("/api/pitches/{id}");
    let own = demo.get_as("creator", &detail).await.json();
    assert_eq!(own["data"]["isOwner"], true, "the token is somebody's: {own}");
    let creator = own["data"]["creator"]["id"].to_string();
    for (nth, (name, target, is_session)) in QUESTIONS.iter().enumerate() {
        let target = target.replace("{pitch}", &id.to_string()).replace("{creator}", &creator);
        let ask = demo.client().get(&target).header("cookie", "theme=dark");
        let answer = if *is_session { ask } else { ask.bearer(demo.token("creator")) }.send().await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let looked_at = async || {
            let (metrics, checks) = (demo.metrics().await, "edge_cache_identity_checks_total");
            let same = metrics.sum(checks, &[("result", "same")]);
            let other = metrics.sum(checks, &[]) - same;
            assert_eq!(other, 0.0, "{name} depends on who asks, or changes by itself");
            (same == nth as f64 + 1.0).then_some(())
        };
        eventually("it is looked at", looked_at).await;
    }
    assert_eq!(demo.metrics().await.sum("edge_cache_identity_distrusted", &[]), 0.0);
}
