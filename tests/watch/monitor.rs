//! A monitor is not fooled by what is stored.

use edge_cache_tests::{Ended, Gate, Origin, Proxy, ProxyBuilder, RawOrigin, Reply, Step, eventually};
use serde_json::Value;

use super::{trusting, url};

/// Good for an hour: nothing that is stored ends by itself.
async fn good_origin() -> Origin {
    Origin::start(|_| async { Reply::cached("max-age=3600", "good") }).await
}

fn monitor(target: &str, args: &[&str]) -> ProxyBuilder {
    ProxyBuilder::bare(&["monitor", "--target", target]).args(args)
}

/// One round of `/a`, as JSON.
async fn once(target: &str, more: &[&str]) -> Ended {
    monitor(target, &["--check", "a=/a", "--once", "--json"]).args(more).to_end().await
}

fn lines(stdout: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    stdout.lines().map(parse).collect()
}

/// The result by `way` that came last.
fn result(ended: &Ended, way: &str) -> Value {
    let of = |line: &Value| line["type"] == "result" && line["way"] == way;
    lines(&ended.stdout).into_iter().rfind(of).unwrap_or_else(|| panic!("no {way} in {ended:?}"))
}

#[tokio::test]
async fn an_origin_that_dies_behind_a_warm_cache_is_seen_and_so_is_its_recovery() {
    let mut origin = good_origin().await;
    let proxy = trusting(&origin).await;
    let warm = once(&url(&proxy), &[]).await;
    assert_eq!(warm.code, Some(0), "{warm:?}");
    origin.stop().await;

    let dead = once(&url(&proxy), &[]).await;
    assert_eq!(dead.code, Some(2), "{dead:?}");
    let through = result(&dead, "through");
    assert_eq!((&through["state"], &through["by"], &through["status"]), (&"up".into(), &"cache".into(), &200.into()));
    let past = result(&dead, "past");
    assert_eq!((&past["state"], &past["class"]), (&"down".into(), &"not-asked".into()), "{past}");
    assert!(past["error"].as_str().unwrap().starts_with("served stale: the origin failed"), "{past}");

    origin.resume();
    // The node leaves an origin that refused it alone for a while.
    eventually("past the cache it is up again", async || (once(&url(&proxy), &[]).await.code == Some(0)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_failure_that_no_copy_covers_is_told_by_its_status() {
    let mut origin = good_origin().await;
    let proxy = trusting(&origin).await;
    origin.stop().await;
    let dead = once(&url(&proxy), &[]).await;
    assert_eq!(dead.code, Some(2), "{dead:?}");
    for way in ["through", "past"] {
        let result = result(&dead, way);
        assert_eq!((&result["class"], &result["status"]), (&"status".into(), &502.into()), "{result}");
        assert_eq!(result["error"], "status 502, expected 2xx or 3xx");
    }
}

/// Waits for a line of the monitor's that fits.
async fn said(monitor: &Proxy, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || lines(&monitor.printed()).into_iter().find(|line| fits(line))).await
}

#[tokio::test]
async fn a_running_monitor_tells_when_the_state_changes_and_sums_up_at_the_end() {
    let mut origin = good_origin().await;
    let proxy = trusting(&origin).await;
    let running = monitor(&url(&proxy), &["--check", "a=/a", "--every", "100ms", "--json"]).spawn();
    let changed = |before: &'static str, state: &'static str| {
        move |line: &Value| line["way"] == "past" && line["before"] == before && line["state"] == state
    };
    said(&running, "the first result", changed("unknown", "up")).await;
    origin.stop().await;
    let down = said(&running, "it goes down", changed("up", "down")).await;
    assert_eq!(down["consecutive_failures"], 1, "{down}");
    origin.resume();
    said(&running, "it comes up", changed("down", "up")).await;
    running.terminate();
    let ended = running.ended().await;
    let all = lines(&ended.stdout);
    let (summary, results) = all.split_last().unwrap();
    assert_eq!(summary["type"], "summary", "{summary}");
    let (day, past) = (&summary["day"], &summary["checks"][1]["day"]);
    assert_eq!(day["checks"], results.len(), "{summary}");
    let failed = results.iter().filter(|line| line["state"] == "down").count();
    assert!(failed > 0 && day["failures"] == failed && past["failures"] == failed, "{summary}");
    let whole = results.len() as f64;
    assert_eq!(day["uptime"].as_f64().unwrap(), (whole - failed as f64) / whole);
    assert_eq!(summary["checks"][0]["day"]["uptime"], 1.0, "through the cache nobody noticed: {summary}");
    let down = summary["checks"].as_array().unwrap().iter().any(|check| check["state"] == "down");
    assert_eq!(ended.code, Some(if down { 2 } else { 0 }), "{ended:?}");
}

#[tokio::test]
async fn a_client_that_is_not_trusted_has_not_asked_the_origin() {
    let origin = good_origin().await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ended = once(&url(&proxy), &[]).await;
    let past = result(&ended, "past");
    assert_eq!((ended.code, &past["class"], &past["by"]), (Some(2), &"not-asked".into(), &"cache".into()), "{past}");
    assert_eq!(past["error"], "answered by the cache: this client may not be in cache.trusted");
    assert_eq!(origin.count("/a"), 1);
}

#[tokio::test]
async fn what_has_no_cache_status_proves_nothing() {
    let origin = good_origin().await;
    let ended = once(&origin.url(), &[]).await;
    assert_eq!((ended.code, &result(&ended, "through")["state"]), (Some(2), &"up".into()), "{ended:?}");
    let past = result(&ended, "past");
    assert!(past["error"].as_str().unwrap().starts_with("no Cache-Status"), "{past}");
}

#[tokio::test]
async fn silence_refusal_and_half_a_body_are_told_apart() {
    let gate = Gate::new();
    let held = gate.clone();
    let silent = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.passed().await;
            Reply::new(200)
        }
    })
    .await;
    let mut refusing = good_origin().await;
    refusing.stop().await;
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let cutting = RawOrigin::start(move |_| vec![Step::send(cut), Step::Close]).await;
    let garbled = RawOrigin::start(|_| vec![Step::send("hello\r\n\r\n"), Step::Close]).await;
    for (target, patience, class, error) in [
        (silent.url(), "200ms", "timeout", "no whole answer within 200ms"),
        (refusing.url(), "1min", "connection", "no connection: "),
        (cutting.url(), "1min", "body", "the body broke off: "),
        (garbled.url(), "1min", "connection", "the connection broke before an answer: "),
    ] {
        let ended = once(&target, &["--timeout", patience]).await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for way in ["through", "past"] {
            let result = result(&ended, way);
            assert_eq!((&result["class"], &result["status"]), (&class.into(), &Value::Null), "{result}");
            assert!(result["error"].as_str().unwrap().starts_with(error), "{result}");
        }
        let day = &lines(&ended.stdout).pop().unwrap()["day"];
        let lost = if class == "connection" { 2 } else { 0 };
        assert_eq!((&day["connection_errors"], &day["failures"]), (&lost.into(), &2.into()), "{class}: {day}");
    }
    gate.open();
}

#[tokio::test]
async fn a_file_says_what_is_well_and_people_get_lines_and_a_table() {
    let origin = Origin::start(|request| async move {
        match request.seen.target.as_str() {
            "/gone" => Reply::new(404),
            "/long" => Reply::cached("max-age=60", "more than ten bytes"),
            _ => Reply::cached("max-age=60", request.seen.header("host").to_owned()),
        }
    })
    .await;
    let proxy = trusting(&origin).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("monitor.toml");
    let toml = "[listen]\nclients = \"elsewhere\"\n[monitor]\nauthority = \"shop.example\"\n\
                [[monitor.check]]\nname = \"gone\"\npath = \"/gone\"\nstatuses = [404, 410]\n\
                [[monitor.check]]\nname = \"long\"\npath = \"/long\"\nbody_bytes_max = 10\npast = false\n";
    std::fs::write(&file, toml).unwrap();
    let args = ["--config", file.to_str().unwrap(), "--check", "home=/", "--rounds", "2", "--every", "100ms"];
    let ended = monitor(&url(&proxy), &args).to_end().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let found = |words: &str| ended.stdout.lines().filter(|line| line.contains(words)).count();
    assert_eq!(found(" past up gone: 404 in "), 2, "{ended:?}");
    assert_eq!(found(" through down long: body: the body is longer than 10 bytes"), 2, "{ended:?}");
    assert_eq!((found(" past up home: "), found(" past up long"), found("2 in a row")), (2, 0, 1), "{ended:?}");
    assert_eq!((found("uptime"), found("| long ")), (1, 1), "{ended:?}");
    assert!(origin.seen().iter().all(|seen| seen.header("host") == "shop.example"), "{:?}", origin.seen());
}

#[tokio::test]
async fn wrong_use_is_one_line_and_asks_for_nothing() {
    let origin = good_origin().await;
    let at = origin.url();
    for (args, words) in [
        (&["--target", at.as_str()][..], "there is nothing to ask for: name it as --check NAME=PATH"),
        (&["--target", &at, "--check", "a=x"], "--check a=x: path = \"x\": must begin with /"),
        (&["--target", &at, "--check", "a=/", "--every", "1ms"], "--every = 1ms: must be from 100ms"),
        (&["--target", "ftp://h", "--check", "a=/"], "must be http://HOST:PORT or https://HOST:PORT"),
        (&["--target", &at, "--config", "/no/such.toml"], "/no/such.toml: cannot be read"),
    ] {
        let ended = ProxyBuilder::bare(&["monitor"]).args(args).to_end().await;
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(64), 1), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{args:?}: {ended:?}");
    }
    let both = monitor(&at, &["--check", "a=/", "--once", "--rounds", "2"]).to_end().await;
    assert_eq!(both.code, Some(64), "{both:?}");
    assert!(origin.seen().is_empty());
}
