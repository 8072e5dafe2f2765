//! `cache-proxy warm`: its sources, the keys that it fills, what it finds out, and how it ends.

use std::path::Path;

use edge_cache_tests::{Ended, Gate, Origin, Proxy, ProxyBuilder, Reply, eventually, pooled_database};
use serde_json::Value;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn warm(folder: &TempDir, args: &[&str]) -> ProxyBuilder {
    let state = folder.path().to_str().unwrap();
    ProxyBuilder::bare(&["warm", "--json", "-"]).args(args).env("XDG_STATE_HOME", state)
}

async fn warmed(folder: &TempDir, proxy: &Proxy, args: &[&str]) -> Ended {
    warm(folder, &["--target", &format!("http://{}", proxy.address)]).args(args).to_end().await
}

fn report(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error} in {ended:?}"))
}

async fn good_origin() -> Origin {
    Origin::start(|_| async { Reply::cached("max-age=600", "good") }).await
}

fn plan_of(paths: &[&str]) -> String {
    paths.iter().map(|path| format!("[[url]]\npath = \"{path}\"\n")).collect()
}

#[tokio::test]
async fn what_is_warmed_is_found_under_the_host_that_readers_name_and_no_other() {
    let (origin, folder) = (good_origin().await, folder());
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let plan = file(&folder, "plan.toml", &plan_of(&["/a?y=2&x=1"]));
    let reader =
        async |host: &str| proxy.client().get("/a?x=1&y=2").header("host", host).send().await.is_hit_of("memory");
    let named = report(&warmed(&folder, &proxy, &["--plan", &plan, "--authority", "Shop.Example"]).await, 0);
    assert_eq!((&named["warmed"], &named["failed"]), (&1.into(), &serde_json::json!({})), "{named}");
    assert!(reader("shop.example").await);
    assert!(!reader("other.example").await, "the authority is part of the key");
    let own = proxy.address.to_string();
    assert!(!reader(&own).await, "and the proxy's own is another one");
    let other = file(&folder, "other.toml", "[[url]]\npath = \"/a?x=1&y=2\"\nauthority = \"third.example\"\n");
    report(&warmed(&folder, &proxy, &["--plan", &other]).await, 0);
    assert!(reader("third.example").await);
}

#[tokio::test]
async fn the_variant_that_is_named_is_warmed() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x").header("vary", "accept-language") }).await;
    let (proxy, folder) = (ProxyBuilder::serve(&origin.url()).start().await, folder());
    let plan = file(
        &folder,
        "plan.toml",
        "[[url]]\npath = \"/a\"\nheaders = { accept-language = \"de\" }\n[[url]]\npath = \"/b\"\n",
    );
    report(&warmed(&folder, &proxy, &["--plan", &plan, "--header", "accept-language: fr"]).await, 0);
    for (path, language, hit) in [("/a", "de", true), ("/a", "fr", false), ("/b", "fr", true), ("/b", "en", false)] {
        let answer = proxy.client().get(path).header("accept-language", language).send().await;
        assert_eq!(answer.is_hit_of("memory"), hit, "{path} {language}: {answer:?}");
    }
}

#[tokio::test]
async fn the_exit_code_tells_how_many_failed() {
    let origin = Origin::start(|request| async move {
        match request.seen.target.as_str() {
            "/private" => Reply::cached("private", "x"),
            "/missing" => Reply::new(404),
            "/down" => Reply::new(503),
            "/moved" => Reply::cached("max-age=60", "").header("location", "/x"),
            _ => Reply::cached("max-age=60", "good"),
        }
    })
    .await;
    let (proxy, folder) = (ProxyBuilder::serve(&origin.url()).start().await, folder());
    let plan = file(&folder, "plan.toml", &plan_of(&["/a", "/private", "/missing", "/down", "/moved"]));
    let some = report(&warmed(&folder, &proxy, &["--plan", &plan]).await, 2);
    let expected = serde_json::json!({"not-stored: private": 1, "status-404": 1, "status-503": 1});
    assert_eq!((&some["failed"], &some["warmed"], &some["asked"]), (&expected, &2.into(), &5.into()), "{some}");
    assert_eq!(some["failures"][0]["url"], format!("http://{}/private", proxy.address));
    report(&warmed(&folder, &proxy, &["--plan", &plan, "--max-failed", "2"]).await, 2);
    let allowed = warmed(&folder, &proxy, &["--plan", &plan, "--max-failed", "3"]).await;
    assert_eq!(report(&allowed, 0)["fresh"], 2);
    assert!(allowed.stderr.contains("1 × status-404"), "{allowed:?}");

    // What answers is no cache, and then nobody answers.
    let mut bare = good_origin().await;
    let at = bare.url();
    let plan = file(&folder, "one.toml", &plan_of(&["/a"]));
    let none = report(&warm(&folder, &["--plan", &plan, "--target", &at]).to_end().await, 2);
    assert_eq!(none["failed"], serde_json::json!({"no-cache-status": 1}));
    bare.stop().await;
    let nobody = report(&warm(&folder, &["--plan", &plan, "--target", &at]).to_end().await, 2);
    assert_eq!(nobody["failed"], serde_json::json!({"connect": 1}));
}

#[tokio::test]
async fn wrong_use_is_told_in_one_line_and_asks_for_nothing() {
    let (origin, folder) = (good_origin().await, folder());
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let at = format!("http://{}", proxy.address);
    let plan = file(&folder, "plan.toml", "[[url]]\npath = \"api/stats\"\n");
    let good = file(&folder, "good.toml", &plan_of(&["/a"]));
    let empty = file(&folder, "empty.toml", "");
    let log = file(&folder, "garbage.log", "not\na log\n");
    let letter = file(&folder, "letter.txt", "Dear Ada,\n");
    let nowhere = format!("sqlite:{}", folder.path().join("nowhere.db").display());
    for (args, word) in [
        (&["--plan", plan.as_str(), "--target", &at][..], "plan.toml:2: path `api/stats`: must begin with `/`"),
        (&["--plan", "/no/such/plan.toml", "--target", &at], "/no/such/plan.toml: cannot be read"),
        (&["--plan", &empty, "--target", &at], "there is nothing to warm"),
        (&["--from-log", "-", "--target", &at], "there is nothing to warm"),
        (&["--from-log", &log, "--target", &at], "none of 2 lines is of an access log"),
        (&["--from-log", "/no/such.log", "--target", &at], "/no/such.log: cannot be opened"),
        (
            &["--plan", &good, "--target", "https://h", "--ca", "/no/such.pem"],
            "--ca /no/such.pem: must be a file that can be read",
        ),
        (&["--plan", &good, "--target", "h"], "must be http://HOST:PORT or https://HOST:PORT"),
        (&["--plan", &good, "--target", &at, "--authority", "a/b"], "--authority: authority `a/b`"),
        (&["--plan", &good, "--target", &at, "--header", "cookie: x"], "must be one of accept,"),
        (&["--plan", &good, "--target", &at, "--rate", "0"], "--rate = 0: must be from"),
        (&["--plan", &good, "--target", &at, "--timeout", "0s"], "--timeout = 0s: must be from"),
        (&["--plan", &good, "--target", &at, "--resume", &letter], "letter.txt: is another file"),
        (&["--sql", "SELECT '/a'", "--database", &nowhere, "--target", &at], "there is no such file"),
        (&["--sql", "SELECT '/a'", "--database", "mysql://h/x", "--target", &at], "--database: "),
    ] {
        let ended = warm(&folder, args).to_end().await;
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
        let line = ended.stderr.lines().last().unwrap();
        assert!(ended.stderr.lines().count() == 1 && line.contains(word), "{args:?}: {ended:?}");
    }
    for args in
        [&["--plan", &good][..], &["--sql", "SELECT 1", "--target", &at], &["--target", &at, "--concurrency", "0"]]
    {
        assert_eq!(warm(&folder, args).to_end().await.code, Some(64), "{args:?}");
    }
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
}

#[tokio::test]
async fn a_log_gives_what_was_asked_for_most_and_a_query_gives_its_paths() {
    let (origin, folder) = (good_origin().await, folder());
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let line = |target: &str| {
        format!("192.0.2.1 - - [22/Nov/2026:10:00:00 +0000] \"GET {target} HTTP/1.1\" 200 5 \"-\" \"x\"\n")
    };
    let log = ["/rare", "/often", "/often", "/more", "/more", "/more"].map(line).concat() + "torn";
    let log = file(&folder, "access.log", &log);
    let url = format!("sqlite:{}", folder.path().join("shop.db").display());
    let database = pooled_database(&url).await;
    database.batch("CREATE TABLE items (slug TEXT)").await.unwrap();
    database.batch("INSERT INTO items VALUES ('/item/1'), ('/item/2'), ('/often')").await.unwrap();
    let query = "SELECT slug, 7 AS more FROM items ORDER BY slug DESC; -- the end";
    let sources = ["--from-log", &log, "--log-top", "2", "--sql", query, "--database", &url];
    let wrong = warmed(&folder, &proxy, &sources).await;
    assert_eq!(wrong.code, Some(1), "a semicolon inside is the database's to refuse: {wrong:?}");
    let query = "SELECT slug, 7 AS more FROM items ORDER BY slug DESC -- the end";
    let sources = ["--from-log", &log, "--log-top", "2", "--sql", query, "--database", &url];
    let ended = warmed(&folder, &proxy, &sources).await;
    assert_eq!(report(&ended, 0)["warmed"], 4);
    assert!(ended.stderr.contains("of 7 lines 1 were not understood"), "{ended:?}");
    for (path, count) in [("/more", 1), ("/often", 1), ("/rare", 0), ("/item/1", 1), ("/item/2", 1)] {
        assert_eq!(origin.count(path), count, "{path}");
    }
    database.batch("INSERT INTO items VALUES ('item/3')").await.unwrap();
    let ended = warmed(&folder, &proxy, &["--sql", "SELECT slug FROM items", "--database", &url]).await;
    assert!(ended.code == Some(64) && ended.stderr.contains("row 4: path `item/3`: must begin with `/`"), "{ended:?}");
    let ended = warmed(&folder, &proxy, &["--sql", "SELECT 7", "--database", &url]).await;
    assert!(ended.code == Some(64) && ended.stderr.contains("row 1: the first column must be text"), "{ended:?}");
}

#[tokio::test]
async fn what_is_stale_is_refreshed_and_a_refresh_is_for_trusted_clients() {
    // The first answer to each URL is old already.
    let origin = Origin::start(|request| async move {
        let age = if request.earlier == 0 { "100" } else { "0" };
        Reply::cached("max-age=100, stale-while-revalidate=600", format!("{}", request.earlier)).header("age", age)
    })
    .await;
    let (proxy, folder) = (ProxyBuilder::serve(&origin.url()).start().await, folder());
    proxy.get("/a").await;
    let plan = file(&folder, "plan.toml", &plan_of(&["/a"]));
    let renewed = report(&warmed(&folder, &proxy, &["--plan", &plan]).await, 0);
    assert_eq!((&renewed["warmed"], &renewed["fresh"]), (&1.into(), &0.into()), "{renewed}");
    assert!(proxy.get("/a").await.is_hit_of("memory"));
    assert_eq!(origin.count("/a"), 2);

    let ignored = warmed(&folder, &proxy, &["--plan", &plan, "--refresh"]).await;
    assert_eq!(report(&ignored, 2)["failed"], serde_json::json!({"refresh-ignored": 1}));
    assert!(ignored.stderr.contains("cache.trusted"), "{ignored:?}");
    let toml = format!("[origin]\nurl = \"{}\"\n[cache]\ntrusted = [\"127.0.0.1\"]\n", origin.url());
    let trusting = ProxyBuilder::config(&toml).start().await;
    trusting.get("/a").await;
    let before = origin.count("/a");
    assert_eq!(report(&warmed(&folder, &trusting, &["--plan", &plan, "--refresh"]).await, 0)["warmed"], 1);
    assert_eq!(origin.count("/a"), before + 1);
    assert_eq!(trusting.get("/a").await.text(), before.to_string(), "readers have the new one");
}

#[tokio::test]
async fn an_interrupted_run_says_how_to_go_on_and_does() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let held = held.clone();
        async move {
            if request.seen.target == "/c" {
                held.passed().await;
            }
            Reply::cached("max-age=600", "good")
        }
    })
    .await;
    let (proxy, folder) = (ProxyBuilder::serve(&origin.url()).start().await, folder());
    let plan = file(&folder, "plan.toml", &plan_of(&["/a", "/b", "/c", "/d"]));
    let journal = folder.path().join("deep/warm.journal");
    let at = format!("http://{}", proxy.address);
    let args = ["--plan", &plan, "--target", &at, "--concurrency", "1", "--resume", journal.to_str().unwrap()];
    let running = warm(&folder, &args).spawn();
    origin.arrived("/c", 1).await;
    let twice = warm(&folder, &args).to_end().await;
    assert!(twice.code == Some(1) && twice.stderr.contains("is going on in another process"), "{twice:?}");
    running.terminate();
    let ended = running.ended().await;
    let first = report(&ended, 1);
    assert_eq!((&first["interrupted"], &first["warmed"], &first["asked"]), (&true.into(), &2.into(), &2.into()));
    assert!(ended.stderr.contains("interrupted with 2 left: the same command goes on from here"), "{ended:?}");
    gate.open();
    let second = report(&warm(&folder, &args).to_end().await, 0);
    assert_eq!((&second["interrupted"], &second["resumed"], &second["asked"]), (&false.into(), &2.into(), &2.into()));
    assert!(!Path::new(&journal).exists(), "nothing is left to go on with");
    for path in ["/a", "/b", "/c", "/d"] {
        assert_eq!(origin.count(path), 1, "{path}");
    }
}

#[tokio::test]
async fn another_command_does_not_go_on_from_there() {
    let (origin, folder) = (good_origin().await, folder());
    let proxies = [ProxyBuilder::serve(&origin.url()).start().await, ProxyBuilder::serve(&origin.url()).start().await];
    let plan = file(&folder, "plan.toml", &plan_of(&["/a", "/b"]));
    let [one, other] = [0, 1].map(|at| format!("http://{}", proxies[at].address));
    let both = report(&warm(&folder, &["--plan", &plan, "--target", &one, "--target", &other]).to_end().await, 0);
    assert_eq!((&both["planned"], &both["warmed"]), (&4.into(), &4.into()), "{both}");
    for proxy in &proxies {
        let target = format!("http://{}", proxy.address);
        let again = report(&warm(&folder, &["--plan", &plan, "--target", &target, "--no-verify"]).to_end().await, 0);
        assert_eq!((&again["fresh"], &again["resumed"]), (&2.into(), &0.into()));
    }
}

#[tokio::test]
async fn background_requests_take_the_warming_class_and_others_do_not_wait_for_them() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.passed().await;
            Reply::cached("max-age=600", "good")
        }
    })
    .await;
    // Of ten places at the origin, warming has one.
    let toml = format!("[origin]\nurl = \"{}\"\nconnections_max = 10\nqueue_timeout = \"1min\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let ask = |path: &'static str, priority: &'static str| {
        tokio::spawn(proxy.client().get(path).header("priority", priority).send())
    };
    let first = ask("/first", "u=7");
    origin.arrived("/first", 1).await;
    let second = ask("/second", "u=7, i");
    eventually("the second waits for its permit", async || {
        let now = proxy.admin().get("/origin").send().await.json();
        (now["governor"]["waiting"] == 1).then_some(())
    })
    .await;
    let others = [ask("/other", "u=6"), ask("/malformed", "u=7,")];
    origin.arrived("/other", 1).await;
    origin.arrived("/malformed", 1).await;
    assert_eq!(origin.count("/second"), 0, "it waits on, though eight places are free");
    gate.open();
    for answered in [first, second].into_iter().chain(others) {
        assert_eq!(answered.await.unwrap().status, 200);
    }
}
