//! The process: how it starts, how it refuses to, and how it ends.

use edge_cache_tests::{Ended, Gate, Origin, ProxyBuilder, Reply, eventually};
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

fn refused(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "one clear line: {ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` in {ended:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let serve = ["serve", "--origin", "http://127.0.0.1:9", "--listen"];
    let ended = ProxyBuilder::bare(&serve).args(&[&at]).to_end().await;
    refused(&ended, 1, &["cannot listen on", &at, "in use"]);
    let ended = ProxyBuilder::bare(&serve).args(&["127.0.0.1:0", "--admin", &at]).to_end().await;
    refused(&ended, 1, &["cannot listen on", &at, "listen.admin"]);
    let ended = ProxyBuilder::bare(&["demo", "--pitches", "20", "--listen", &at]).to_end().await;
    refused(&ended, 1, &["cannot listen on", &at]);
}

#[tokio::test]
async fn an_unreachable_database_is_one_clear_line() {
    // Bound and not listening: nobody else can get this port, and it refuses.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let place = silent.local_addr().unwrap();
    let url = format!("postgres://me:s3cret@{place}/pitchey");
    let toml = format!("[origin]\nkind = \"pitchey\"\n[database]\nurl = \"{url}\"\n");
    for proxy in [ProxyBuilder::config(&toml), ProxyBuilder::demo().args(&["--database", &url])] {
        let ended = proxy.to_end().await;
        refused(&ended, 1, &["cannot connect to", "refused"]);
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_wrong_configuration_names_file_key_value_and_rule() {
    for (toml, words) in [
        ("[memory]\ncapcity_bytes = 1\n", &["memory.capcity_bytes", "unknown key", "`capacity_bytes`"][..]),
        ("[memory]\ncapacity_bytes = 10\n", &["memory.body_bytes_max = 1048576", "at most memory.capacity_bytes (10)"]),
        ("[memory]\nenabled = \"perhaps\"\n", &["memory.enabled", "perhaps"]),
        ("[redis]\nread_timeout = \"soon\"\n", &["redis.read_timeout"]),
        ("[origin]\nurl = \"ftp://x\"\n", &["origin.url = ftp://x", "http://HOST:PORT"]),
        ("[cache]\npolicy = \"lenient\"\n", &["cache.policy", "lenient", "guarded"]),
        ("[origin]\nkind = \"pitchey\"\n", &["database.url"]),
        ("nonsense\n", &["cache-proxy.toml"]),
    ] {
        let ended = ProxyBuilder::config(toml).to_end().await;
        refused(&ended, 64, words);
        let by_the_file = !toml.contains("kind = ");
        assert!(!by_the_file || ended.stderr.contains("cache-proxy.toml"), "the file is named: {ended:?}");
    }
    let missing = ProxyBuilder::bare(&["serve", "--config", "/no/such/file.toml"]).to_end().await;
    refused(&missing, 64, &["/no/such/file.toml", "cannot be read"]);
    let by_environment = ProxyBuilder::serve("http://127.0.0.1:9").env("CACHE_PROXY__CACHE__WAIT_MAX", "0s");
    refused(&by_environment.to_end().await, 64, &["cache.wait_max"]);
}

#[tokio::test]
async fn a_wrong_command_line_is_a_usage_error() {
    for args in [&["serve"][..], &["serve", "--origin", "nowhere"], &["dance"], &["demo", "--pitches", "3"]] {
        let ended = ProxyBuilder::bare(args).to_end().await;
        assert_eq!(ended.code, Some(64), "{args:?}: {ended:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{args:?}: {ended:?}");
    }
    let help = ProxyBuilder::bare(&["--help"]).to_end().await;
    assert!(help.code == Some(0) && help.stdout.contains("serve") && help.stderr.is_empty(), "{help:?}");
}

#[tokio::test]
async fn the_printed_defaults_pass_their_own_check() {
    let defaults = ProxyBuilder::bare(&["config", "--print-defaults"]).to_end().await;
    assert_eq!(defaults.code, Some(0));
    let complete = defaults.stdout.replace("url = \"\"\npreserve_host", "url = \"http://127.0.0.1:9\"\npreserve_host");
    let complete = complete.replacen("\nurl = \"\"", "\nurl = \"http://127.0.0.1:9\"", 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("complete.toml");
    std::fs::write(&file, complete).unwrap();
    let checked = ProxyBuilder::bare(&["check", "--config", file.to_str().unwrap()]).to_end().await;
    assert!(checked.code == Some(0) && checked.stdout.contains(": ok"), "{checked:?}");
}

#[tokio::test]
async fn what_is_in_force_is_printed_and_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.toml");
    let toml = "[origin]\nurl = \"http://127.0.0.1:9\"\n[cache]\ntrusted = [\"10.1.0.0/8\", \"::1\"]\n[[route]]\nname = \"a\"\npath = \"/a\"\nttl = \"90s\"\n";
    std::fs::write(&file, toml).unwrap();
    let printed = ProxyBuilder::bare(&["config", "--config", file.to_str().unwrap()])
        .env("CACHE_PROXY__MEMORY__CAPACITY_BYTES", "3000000")
        .to_end()
        .await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    for line in ["capacity_bytes = 3000000", "trusted = [\"10.0.0.0/8\", \"::1\"]", "ttl = \"1m 30s\""] {
        assert!(printed.stdout.lines().any(|printed| printed == line), "{line}: {}", printed.stdout);
    }
    // A file of its own: it says the same without the environment.
    std::fs::write(&file, &printed.stdout).unwrap();
    let again = ProxyBuilder::bare(&["config", "--config", file.to_str().unwrap()]).to_end().await;
    assert_eq!((again.code, again.stdout), (Some(0), printed.stdout), "{}", again.stderr);
    let neither = ProxyBuilder::bare(&["config"]).to_end().await;
    assert!(neither.code == Some(64) && neither.stderr.contains("--print-defaults"), "{neither:?}");
}

#[tokio::test]
async fn the_environment_overrides_the_file() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let toml = format!("[origin]\nurl = \"{}\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).env("CACHE_PROXY__MEMORY__ENABLED", "false").start().await;
    proxy.get("/").await;
    proxy.get("/").await;
    assert_eq!(origin.count("/"), 2);
}

#[tokio::test]
async fn sigterm_finishes_the_request_in_flight_and_exits_0() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let held = held.clone();
        async move {
            held.passed().await;
            Reply::cached("max-age=60", "whole")
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    eventually("it is ready", async || {
        (proxy.admin().get("/health/ready").send().await.status == StatusCode::OK).then_some(())
    })
    .await;
    let in_flight = tokio::spawn(proxy.client().get("/").send());
    origin.arrived("/", 1).await;
    proxy.terminate();
    eventually("it is no longer ready", async || {
        let ready = proxy.admin().get("/health/ready").send().await;
        (ready.status == StatusCode::SERVICE_UNAVAILABLE).then(|| assert_eq!(ready.json()["draining"], true))
    })
    .await;
    eventually("new clients are refused", async || proxy.client().get("/").try_send().await.err()).await;
    gate.open();
    let answer = in_flight.await.unwrap();
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "whole"));
    let ended = proxy.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn logs_that_nobody_can_read_stop_nothing() {
    for is_gone in [true, false] {
        let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
        let (reader, writer) = std::io::pipe().unwrap();
        let proxy = ProxyBuilder::serve(&origin.url()).env("RUST_LOG", "trace").logs_to(writer).start().await;
        // Gone, or there and full: more lines than a pipe takes and may wait.
        let reader = (!is_gone).then_some(reader);
        for at in 0..400 {
            assert_eq!(proxy.get(&format!("/{at}")).await.status, StatusCode::OK);
        }
        proxy.purge(serde_json::json!({ "all": true, "reason": "it is written down" })).await;
        proxy.hang_up();
        assert_eq!(proxy.get("/again").await.status, StatusCode::OK);
        proxy.terminate();
        assert_eq!(proxy.ended().await.code, Some(0), "gone: {is_gone}");
        drop(reader);
    }
}

#[tokio::test]
async fn who_waits_to_be_accepted_when_it_is_told_to_stop_is_taken_in() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    proxy.get("/").await;
    // Halted, it accepts nobody: they wait in the kernel, their requests sent.
    proxy.pause();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        clients.push(stream);
    }
    proxy.terminate();
    proxy.resume();
    let mut answered = 0;
    for mut stream in clients {
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer).await;
        answered += usize::from(read.is_ok() && answer.starts_with("HTTP/1.1 200"));
    }
    // Not all: one that is asked to end before it was read at all is closed like one that is idle.
    assert!(answered > 25, "{answered} of 50");
    assert_eq!(proxy.ended().await.code, Some(0));
}
