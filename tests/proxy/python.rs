//! In front of a server that knows nothing of us: python's `http.server`.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

use edge_cache_tests::{Answer, Client, ProxyBuilder};
use http::StatusCode;
use tempfile::TempDir;

/// Killed when dropped.
struct Python {
    child: Child,
    client: Client,
    url: String,
    _folder: TempDir,
}

impl Python {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        old_file(folder.path(), "text.txt", b"hello from a third party\n");
        old_file(folder.path(), "binary.bin", &(0..=255).cycle().take(70_000).collect::<Vec<u8>>());
        old_file(folder.path(), "empty.txt", b"");
        let spawned = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = spawned.expect("python3 is missing: `apt-get install python3` brings it");
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let port = line.split_whitespace().skip_while(|word| *word != "port").nth(1).and_then(|port| port.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("python said {line:?}"));
        let client = Client::new(([127, 0, 0, 1], port).into());
        Self { child, client, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A file old enough for a heuristic lifetime.
fn old_file(folder: &Path, name: &str, content: &[u8]) {
    fs::write(folder.join(name), content).unwrap();
    let file = fs::File::options().write(true).open(folder.join(name)).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_600_000_000)).unwrap();
}

/// Status, body and every header that the origin sent arrive; only what a cache must add is added.
fn untouched(through: &Answer, direct: &Answer) {
    assert_eq!(through.status, direct.status);
    assert_eq!(through.body, direct.body);
    for name in direct.headers.keys().filter(|name| !["date", "connection"].contains(&name.as_str())) {
        let all = |answer: &Answer| answer.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(all(through), all(direct), "{name}");
    }
    let added = through.headers.keys().filter(|name| !direct.headers.contains_key(*name));
    let added: Vec<_> = added
        .map(|name| name.as_str())
        .filter(|name| !["age", "cache-status", "x-edge-cache-id"].contains(name))
        .collect();
    assert!(added.is_empty(), "{added:?}");
}

#[tokio::test]
async fn files_are_cached_by_their_age_and_arrive_untouched() {
    let python = Python::start();
    let proxy = ProxyBuilder::serve(&python.url).start().await;
    for target in ["/text.txt", "/binary.bin", "/empty.txt"] {
        let direct = python.client.get(target).send().await;
        assert_eq!(direct.status, StatusCode::OK);
        let miss = proxy.get(target).await;
        assert!(
            miss.said_by("memory").contains("fwd=uri-miss") && miss.said_by("memory").contains("stored"),
            "{miss:?}"
        );
        untouched(&miss, &direct);
        let hit = proxy.get(target).await;
        assert!(hit.is_hit_of("memory"), "{hit:?}");
        untouched(&hit, &direct);
    }
}

#[tokio::test]
async fn what_cannot_be_cached_passes_untouched() {
    let python = Python::start();
    let proxy = ProxyBuilder::serve(&python.url).start().await;
    for (method, target) in
        [("GET", "/"), ("GET", "/missing.html"), ("HEAD", "/text.txt"), ("POST", "/text.txt"), ("DELETE", "/text.txt")]
    {
        let direct = python.client.ask(method, target).send().await;
        for _ in 0..2 {
            untouched(&proxy.client().ask(method, target).send().await, &direct);
        }
    }
    let listing = proxy.get("/").await;
    assert!(!listing.is_hit_of("memory"), "a listing says nothing of its age: {listing:?}");
}

#[tokio::test]
async fn ranges_and_conditions_are_answered_from_the_stored_whole() {
    let python = Python::start();
    let proxy = ProxyBuilder::serve(&python.url).start().await;
    let ask = |name: &'static str, value: String| proxy.client().get("/binary.bin").header(name, &value).send();
    let unstored = ask("range", "bytes=2-5".into()).await;
    // This origin knows no ranges: the whole was fetched, and the range cut from it on its way.
    assert_eq!((unstored.status, &unstored.body[..]), (StatusCode::PARTIAL_CONTENT, &[2, 3, 4, 5][..]));
    assert!(unstored.header("cache-status").ends_with("; stored"), "{unstored:?}");

    let whole = proxy.get("/binary.bin").await;
    let part = ask("range", "bytes=2-5".into()).await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &[2, 3, 4, 5][..]));
    assert_eq!(part.header("content-range"), "bytes 2-5/70000");
    let beyond = ask("range", "bytes=70000-".into()).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */70000"));

    let unchanged = ask("if-modified-since", whole.header("last-modified").to_owned()).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let changed = ask("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT".into()).await;
    assert_eq!((changed.status, changed.body), (StatusCode::OK, whole.body));
}
