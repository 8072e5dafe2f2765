//! `cache-proxy drill`: what it prints and how it ends. Whether the promises hold is not asked here: this machine may be busy.

use std::time::Duration;

use edge_cache_tests::{Ended, ProxyBuilder};

/// Servers, data, ten seconds of load and more, perhaps on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn agrees(ended: &Ended) {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let broken = ended.stdout.lines().filter(|line| line.starts_with("BROKEN ")).count();
    assert!(last.starts_with("verdict: "), "{ended:?}");
    assert_eq!(last == "verdict: all promises held", broken == 0, "{ended:?}");
    assert_eq!(ended.code, Some(if broken == 0 { 0 } else { 2 }), "{ended:?}");
}

#[tokio::test]
async fn a_lost_redis_is_told_second_by_second_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("drill.json");
    let drill = ["drill", "redis-down", "--seconds", "3", "--rate", "100", "--clients", "10", "--pitches", "500"];
    // Postgres, which does not run as root, has to get into the folder of its files.
    let common = std::env::temp_dir();
    let drill = ProxyBuilder::bare(&drill).args(&["--json", file.to_str().unwrap()]);
    let ended = drill.env("TMPDIR", common.to_str().unwrap()).to_end_within(PATIENCE).await;
    agrees(&ended);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    // Three seconds each of warm-up, before, fault and after, and five of healing.
    let rows: Vec<&&str> = lines.iter().filter(|line| line.starts_with("| ") && !line.contains("second")).collect();
    assert_eq!(rows.len(), 17, "{ended:?}");
    for phase in ["warm-up", "before", "FAULT", "healed", "after"] {
        assert!(rows.iter().any(|row| row.contains(phase)), "{phase}: {ended:?}");
    }
    assert!(rows.iter().any(|row| row.contains("FAULT") && row.contains("open")), "the breaker saw it: {ended:?}");
    assert!(lines.iter().any(|line| line.trim().starts_with("wwwbbbFFF")), "a ruler: {ended:?}");
    for promise in
        ["no request fails", "database connections", "permits", "p95 of the fault", "the Redis tier is found"]
    {
        let judged = |line: &&str| line.contains(promise) && (line.starts_with("ok ") || line.starts_with("BROKEN "));
        assert_eq!(lines.iter().filter(|line| judged(line)).count(), 1, "{promise}: {ended:?}");
    }
    // What does not depend on how busy this machine is.
    for promise in ["no request fails", "database connections"] {
        assert!(lines.iter().any(|line| line.starts_with("ok ") && line.contains(promise)), "{promise}: {ended:?}");
    }
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(json["verdict"].as_str(), lines.last().copied());
    let due: u64 = json["timeline"].as_array().unwrap().iter().map(|row| row["requests"].as_u64().unwrap()).sum();
    assert!((1_500..1_900).contains(&due), "17 s of 100 a second, whatever was answered: {due}");
}

#[tokio::test]
async fn two_nodes_are_restarted_cold_and_warm_and_no_request_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("drill.json");
    let drill = ["drill", "rolling-restart", "--seconds", "3", "--warmup", "3", "--rate", "60", "--clients", "10"];
    let common = std::env::temp_dir();
    let drill = ProxyBuilder::bare(&drill).args(&["--pitches", "500", "--json", file.to_str().unwrap()]);
    let ended = drill.env("TMPDIR", common.to_str().unwrap()).to_end_within(PATIENCE).await;
    agrees(&ended);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines.iter().any(|line| line.trim() == "wwwbbbAAABBBaaa"), "a ruler: {ended:?}");
    assert!(lines.iter().any(|line| line.starts_with("|") && line.contains("without warming")), "one table: {ended:?}");
    for promise in ["with warming the hit rate", "as many queries", "no request fails", "without warming the same"] {
        let judged = |line: &&str| line.contains(promise) && (line.starts_with("ok ") || line.starts_with("BROKEN "));
        assert_eq!(lines.iter().filter(|line| judged(line)).count(), 1, "{promise}: {ended:?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("ok ") && line.contains("no request fails")), "{ended:?}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(json["verdict"].as_str(), lines.last().copied());
    let restored = |pass: &str, node: usize| json[pass]["figures"]["restarts"][node]["restored"].as_f64();
    for node in [0, 1] {
        assert_eq!(restored("without_warming", node), None, "{json}");
        assert!(restored("with_warming", node) > Some(0.0), "{json}");
    }
    let due = |pass: &str| json[pass]["figures"]["requests"].as_u64();
    assert_eq!(due("without_warming"), due("with_warming"), "the very same requests");
}

#[tokio::test]
async fn a_wrong_drill_is_a_usage_error() {
    for args in [
        &["drill"][..],
        &["drill", "flood"],
        &["drill", "redis-down", "--seconds", "1"],
        &["drill", "redis-down", "--warmup", "9"],
    ] {
        let ended = ProxyBuilder::bare(args).to_end().await;
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
    }
    let ended = ProxyBuilder::bare(&["drill", "exhaustion", "--seconds", "5"]).to_end().await;
    assert!(ended.code == Some(64) && ended.stderr.contains("--seconds = 5: must be at least 6"), "{ended:?}");
}
