//! The plan that is shipped, against the demo that it is for.

use edge_cache_tests::{Demo, Ended, ProxyBuilder};
use serde_json::Value;

async fn warm(demo: &Demo, state: &tempfile::TempDir) -> Ended {
    let target = format!("http://{}", demo.address);
    let warm = ProxyBuilder::bare(&["warm", "--target", &target, "--json", "-"]);
    warm.env("XDG_STATE_HOME", state.path().to_str().unwrap()).to_end().await
}

fn report(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test]
async fn the_shipped_plan_names_only_what_the_demo_has_and_keeps() {
    let demo = Demo::with(&["--pitches", "500"]).await;
    let state = tempfile::tempdir().unwrap();
    let first = report(&warm(&demo, &state).await);
    assert_eq!((&first["failed"], &first["fresh"]), (&serde_json::json!({}), &0.into()), "{first}");
    assert_eq!(first["warmed"], first["planned"], "each is a key of its own: {first}");
    let trending = demo.get("/api/pitches/trending?limit=10").await;
    assert!(trending.is_hit_of("memory"), "{trending:?}");
    assert_eq!(trending.ids().len(), 10);
    // Other spellings of the same questions, as clients send them.
    for spelling in
        ["/api/pitches/trending", "/api/pitches/browse?genre=Sci-Fi", "/api/pitches/1", "/api/pitches/featured"]
    {
        assert!(demo.get(spelling).await.is_hit_of("memory"), "{spelling}");
    }
    let second = report(&warm(&demo, &state).await);
    assert_eq!((&second["fresh"], &second["warmed"]), (&first["planned"], &0.into()), "{second}");
}
