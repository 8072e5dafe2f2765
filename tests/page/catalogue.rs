//! The catalogue, what a running node shows, the rules and the dashboard: one set of names.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use edge_cache_sandbox::{Postgres, Redis};
use edge_cache_telemetry::catalogue::{self, Definition};
use edge_cache_tests::{Demo, Origin, ProxyBuilder, Reply, Samples};
use serde_json::Value;

/// What a build without the feature `otlp` has not.
const OF_FEATURES: [&str; 1] = ["edge_cache_spans_dropped"];

fn family(metric: &Definition) -> String {
    let name = metric.full_name();
    name.trim_end_matches("_total").trim_end_matches("_info").to_owned()
}

fn shown(metrics: &Samples) -> BTreeSet<String> {
    let lines = metrics.text().lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn nodes_show_what_the_catalogue_lists_and_nothing_else() {
    let (postgres, redis) = (Postgres::start().await.unwrap(), Redis::start().await.unwrap());
    let demo = Demo::with(&["--database", postgres.url(), "--redis", redis.url(), "--pitches", "60"]).await;
    let (origin, folder) =
        (Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await, tempfile::tempdir().unwrap());
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[disk]\npath = \"{}\"\n[telemetry]\naccess_log = \"{}\"\n\
         [monitor]\nauthority = \"h\"\n[[monitor.check]]\nname = \"home\"\npath = \"/\"\n",
        origin.url(),
        folder.path().join("cache").display(),
        folder.path().join("access.log").display()
    );
    let alone = ProxyBuilder::config(&toml).start().await;
    let mut all = shown(&demo.metrics().await);
    all.extend(shown(&alone.metrics().await));
    let listed: BTreeSet<_> = catalogue::ALL.iter().map(|metric| family(metric)).collect();
    let unlisted: Vec<_> = all.difference(&listed).collect();
    assert!(unlisted.is_empty(), "shown and not in the catalogue: {unlisted:?}");
    let missing: Vec<_> = listed.difference(&all).filter(|name| !OF_FEATURES.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "in the catalogue and shown nowhere: {missing:?}");
}

fn config(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config").join(file)
}

fn promtool(args: &[&str]) {
    let run = Command::new("promtool").args(args).output();
    let run = run.unwrap_or_else(|error| panic!("promtool: {error}: install it with `apt-get install prometheus`"));
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "promtool {}:\n{said}", args.join(" "));
}

#[test]
fn promtool_finds_the_rules_right_and_their_tests_hold() {
    let file = |name| config(name).display().to_string();
    promtool(&["check", "rules", &file("prometheus/alerts.yml")]);
    promtool(&["test", "rules", &file("prometheus/alerts.test.yml")]);
    promtool(&["check", "config", &file("prometheus.yml")]);
}

/// The metric names in a text of PromQL.
fn names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words = text.split(|c| !is_name(c));
    let words = words.map(|word| word.trim_end_matches(':'));
    words.filter(|word| word.starts_with("edge_cache_") || word.starts_with("process_")).map(str::to_owned).collect()
}

fn expressions(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    // Variables are filled from metrics too.
                    Value::String(text) if matches!(name.as_str(), "expr" | "query" | "definition") => {
                        found.push(text.clone())
                    }
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_and_the_rules_name_what_is_in_the_catalogue() {
    // A text may speak of a distribution by its stem.
    let named = |metric: &&'static Definition| metric.series().into_iter().chain([metric.full_name()]);
    let series: BTreeSet<_> = catalogue::ALL.iter().flat_map(named).collect();
    let rules = std::fs::read_to_string(config("prometheus/alerts.yml")).unwrap();
    let dashboard = std::fs::read_to_string(config("grafana/dashboards/edge-cache.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    assert!(asked.len() > 50, "{} expressions", asked.len());
    let uncommented: String = rules.lines().map(|line| line.split('#').next().unwrap()).collect::<Vec<_>>().join("\n");
    for (place, text) in [("the dashboard", asked.join("\n")), ("the rules", uncommented)] {
        let unknown: Vec<_> = names(&text).into_iter().filter(|name| !series.contains(name)).collect();
        assert!(unknown.is_empty(), "{place} names {unknown:?}");
    }
}
