//! A baseline tells a change from noise.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_tests::{Ended, Origin, ProxyBuilder, Reply};
use serde_json::Value;
use tempfile::TempDir;

use super::{trusting, url};

/// How the origin of a test is slow, and how often it fails: one in so many; never for 0.
#[derive(Default)]
struct Mood {
    millis: AtomicU64,
    fails: AtomicU32,
    asked: AtomicU32,
}

async fn moody(mood: &Arc<Mood>) -> Origin {
    let mood = Arc::clone(mood);
    Origin::start(move |_| {
        let mood = Arc::clone(&mood);
        async move {
            tokio::time::sleep(Duration::from_millis(mood.millis.load(Ordering::SeqCst))).await;
            let (asked, fails) = (mood.asked.fetch_add(1, Ordering::SeqCst), mood.fails.load(Ordering::SeqCst));
            match fails {
                0 => Reply::cached("max-age=3600", "good"),
                _ if asked % fails == 0 => Reply::new(500),
                _ => Reply::cached("max-age=3600", "good"),
            }
        }
    })
    .await
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// A few answers: enough for the median.
const FEW: [&str; 8] = ["--rounds", "6", "--samples", "10", "--warmup", "1", "--pause", "0s"];

async fn record(file: &str, target: &str, more: &[&str]) -> Ended {
    let args = ["baseline", "record", file, "--target", target];
    ProxyBuilder::bare(&args).args(&FEW).args(more).to_end().await
}

async fn compare(file: &str, more: &[&str]) -> Ended {
    ProxyBuilder::bare(&["baseline", "compare", file, "--json"]).args(more).to_end().await
}

fn json(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error} in {ended:?}"))
}

#[tokio::test]
async fn an_origin_made_slower_is_found_and_one_left_alone_is_not() {
    let (mood, folder) = (Arc::new(Mood::default()), tempfile::tempdir().unwrap());
    mood.millis.store(10, Ordering::SeqCst);
    let origin = moody(&mood).await;
    let proxy = trusting(&origin).await;
    let file = path(&folder, "base.json");
    let recorded = record(&file, &url(&proxy), &["--endpoint", "/a", "--endpoint", "/b?c=d", "--past-cache"]).await;
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    assert!(recorded.stdout.contains("/a: 60 good answers"), "{recorded:?}");
    // One before all, one for warmth, and those that count: each reached the origin.
    assert_eq!((origin.count("/a"), origin.count("/b?c=d")), (62, 62));

    // The machine may be busy: what counts as a change is far above that, and the change far above it.
    let alike = json(&compare(&file, &["--tolerance", "200%"]).await, 0);
    assert_eq!(alike["worse"], false, "{alike}");
    assert_eq!(alike["endpoints"][0]["median"]["verdict"], "same", "{alike}");
    assert_eq!(alike["endpoints"][0]["p95"]["why"], "too few answers", "{alike}");

    mood.millis.store(80, Ordering::SeqCst);
    let slower = json(&compare(&file, &["--tolerance", "200%"]).await, 2);
    for endpoint in slower["endpoints"].as_array().unwrap() {
        let median = &endpoint["median"];
        assert_eq!(median["verdict"], "worse", "{endpoint}");
        assert!(median["interval"][0].as_f64().unwrap() > 1.0, "{endpoint}");
        assert_eq!(endpoint["errors"]["verdict"], "same", "{endpoint}");
    }
}

#[tokio::test]
async fn through_the_cache_its_own_answers_are_measured() {
    let (mood, folder) = (Arc::new(Mood::default()), tempfile::tempdir().unwrap());
    let origin = moody(&mood).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let file = path(&folder, "base.json");
    assert_eq!(record(&file, &url(&proxy), &["--endpoint", "/a"]).await.code, Some(0));
    assert_eq!(origin.count("/a"), 1);
    let past = record(&path(&folder, "past.json"), &url(&proxy), &["--endpoint", "/a", "--past-cache"]).await;
    assert_eq!((past.code, past.stderr.contains("cache.trusted")), (Some(1), true), "{past:?}");
    assert!(!Path::new(&path(&folder, "past.json")).exists());
}

#[tokio::test]
async fn errors_are_counted_apart_and_more_of_them_are_worse() {
    let (mood, folder) = (Arc::new(Mood::default()), tempfile::tempdir().unwrap());
    // So that what a busy machine adds is no multiple of it.
    mood.millis.store(5, Ordering::SeqCst);
    let origin = moody(&mood).await;
    let (good, bad) = (path(&folder, "good.json"), path(&folder, "bad.json"));
    let at = origin.url();
    assert_eq!(record(&good, &at, &["--endpoint", "/a"]).await.code, Some(0));
    mood.fails.store(4, Ordering::SeqCst);
    let recorded = record(&bad, &at, &["--endpoint", "/a"]).await;
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    assert!(recorded.stdout.contains("/a: 45 good answers, and errors") && recorded.stdout.contains("15 × status"));
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&bad).unwrap()).unwrap();
    let latencies = written["endpoints"][0]["rounds_micros"].as_array().unwrap();
    assert_eq!(latencies.iter().map(|round| round.as_array().unwrap().len()).sum::<usize>(), 45);
    assert_eq!(written["endpoints"][0]["errors"], serde_json::json!({"status": 15}));

    let worse = json(&compare(&good, &["--with", &bad, "--tolerance", "1000%"]).await, 2);
    let errors = &worse["endpoints"][0]["errors"];
    assert_eq!((&errors["verdict"], &errors["new"]), (&"worse".into(), &serde_json::json!([15, 60])), "{worse}");
    let better = json(&compare(&bad, &["--with", &good, "--tolerance", "1000%"]).await, 0);
    assert_eq!(better["endpoints"][0]["errors"]["verdict"], "better", "{better}");
    let alike = ProxyBuilder::bare(&["baseline", "compare", &good, "--with", &good]).to_end().await;
    assert_eq!(alike.code, Some(0), "{alike:?}");
    assert!(alike.stdout.contains("| 1.00 to 1.00") || alike.stdout.contains("same"), "{alike:?}");
}

#[tokio::test]
async fn nobody_there_is_no_measurement() {
    let (mood, folder) = (Arc::new(Mood::default()), tempfile::tempdir().unwrap());
    let mut origin = moody(&mood).await;
    let (file, at) = (path(&folder, "base.json"), origin.url());
    assert_eq!(record(&file, &at, &["--endpoint", "/a"]).await.code, Some(0));
    origin.stop().await;
    for ended in [compare(&file, &[]).await, record(&path(&folder, "other.json"), &at, &["--endpoint", "/a"]).await] {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("could not be measured") && ended.stdout.is_empty(), "{ended:?}");
    }
    origin.resume();
    mood.fails.store(1, Ordering::SeqCst);
    let failing = record(&path(&folder, "other.json"), &at, &["--endpoint", "/a"]).await;
    assert_eq!(failing.code, Some(1), "{failing:?}");
    assert!(failing.stderr.contains("/a could not be measured: no answer was good (60 × status)"), "{failing:?}");
    let files: Vec<_> = folder.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["base.json"], "nothing is left behind");
    // What was measured before is gone: that is worse, and no reason to say nothing.
    let gone = json(&compare(&file, &[]).await, 2);
    assert_eq!(gone["endpoints"][0]["errors"]["verdict"], "worse", "{gone}");
    assert_eq!(gone["endpoints"][0]["median"]["why"], "no good answers", "{gone}");
}

#[tokio::test]
async fn wrong_use_is_one_line() {
    let (mood, folder) = (Arc::new(Mood::default()), tempfile::tempdir().unwrap());
    let origin = moody(&mood).await;
    let (one, other, at) = (path(&folder, "one.json"), path(&folder, "other.json"), origin.url());
    assert_eq!(record(&one, &at, &["--endpoint", "/a", "--endpoint", "/b"]).await.code, Some(0));
    assert_eq!(record(&other, &at, &["--endpoint", "/b"]).await.code, Some(0));
    let before = origin.seen().len();
    let garbage = path(&folder, "garbage.json");
    std::fs::write(&garbage, "{}").unwrap();
    let deep = path(&folder, "no/such/folder.json");
    for (args, words) in [
        (&["compare", &one, "--with", &other][..], "other.json: must hold /a, as what it is compared with"),
        (&["compare", &garbage], "garbage.json: is no baseline: format must be"),
        (&["compare", "/no/such.json"], "/no/such.json: cannot be read"),
        (&["record", &deep, "--target", &at, "--endpoint", "/a"], "folder.json: cannot be written"),
        (&["record", &one, "--target", &at, "--endpoint", "a"], "--endpoint a: path `a`: must begin with `/`"),
        (
            &["record", &one, "--target", &at, "--endpoint", "/a", "--samples", "10001"],
            "must be at most 100000 answers",
        ),
    ] {
        let ended = ProxyBuilder::bare(&["baseline"]).args(args).to_end().await;
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(64), 1), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{args:?}: {ended:?}");
    }
    for args in [
        &["compare", &one, "--tolerance", "10"][..],
        &["compare", &one, "--with", &other, "--target", &at],
        &["record", &one, "--target", &at],
    ] {
        assert_eq!(ProxyBuilder::bare(&["baseline"]).args(args).to_end().await.code, Some(64), "{args:?}");
    }
    assert_eq!(origin.seen().len(), before, "nothing was asked");
}
