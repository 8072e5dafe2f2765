//! The commands find a node that listens by TLS, and believe nobody who cannot prove to be it.

use std::path::PathBuf;

use edge_cache_tests::{Ended, Origin, Proxy, ProxyBuilder, Reply, eventually};
use serde_json::Value;
use tempfile::TempDir;

use crate::pki::{Authority, Issued};

const TOKEN: &str = "0123456789abcdef";

/// A node whose operators come in by TLS, and readers by it and in the clear.
struct Node {
    authority: Authority,
    /// Where its own certificate is.
    root: String,
    proxy: Proxy,
    admin: String,
    readers: String,
    clear: String,
    _folder: TempDir,
}

async fn origin() -> Origin {
    Origin::start(|_| async { Reply::cached("max-age=3600", "good").header("cache-tag", "a") }).await
}

fn text(path: PathBuf) -> String {
    path.to_str().expect("a path of plain letters").to_owned()
}

impl Node {
    async fn start(origin: &Origin) -> Self {
        Self::start_with(origin, "", None).await
    }

    /// Operators show a certificate of the same authority, or a token.
    async fn start_closed(origin: &Origin) -> Self {
        Self::start_with(origin, "admin_client_ca_file", Some(TOKEN)).await
    }

    async fn start_with(origin: &Origin, ca_key: &str, token: Option<&str>) -> Self {
        let authority = Authority::new();
        let root = text(authority.file("root.pem", &authority.root()));
        let clients = if ca_key.is_empty() { String::new() } else { format!("{ca_key} = \"{root}\"\n") };
        let toml = format!(
            "[listen]\nadmin = \"https://127.0.0.1:0\"\nmore_addresses = [\"https://127.0.0.1:0\"]\n{}{clients}\
             [origin]\nurl = \"{}\"\n[cache]\ntrusted = [\"127.0.0.1\"]\n",
            authority.shown(&authority.issue("localhost")),
            origin.url()
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("node.toml");
        std::fs::write(&file, toml).unwrap();
        let start = ProxyBuilder::bare(&["serve", "--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
        let proxy = start.env("CACHE_PROXY_ADMIN_TOKEN", token.unwrap_or_default()).spawn();
        // The certificate names no address.
        let by_name = async |door: &str| proxy.announced(door).await.port();
        let (readers, admin) = (by_name("listening https://").await, by_name("admin https://").await);
        let clear = format!("http://{}", proxy.announced("listening http://").await);
        let [readers, admin] = [readers, admin].map(|port| format!("https://localhost:{port}"));
        Self { authority, root, proxy, admin, readers, clear, _folder: folder }
    }

    /// A command for operators, who know the node's authority.
    async fn operate(&self, args: &[&str]) -> Ended {
        self.operate_at(args, &self.admin).await
    }

    /// The same, said to whoever is at `admin`.
    async fn operate_at(&self, args: &[&str], admin: &str) -> Ended {
        run(&[args, &["--admin", admin, "--ca", &self.root]].concat()).await
    }

    fn files(&self, name: &str, issued: &Issued) -> [String; 2] {
        let file = |kind: &str, pem: &str| text(self.authority.file(&format!("{name}.{kind}.pem"), pem));
        [file("cert", &issued.certificate), file("key", &issued.key)]
    }
}

async fn run(args: &[&str]) -> Ended {
    ProxyBuilder::bare(args).to_end().await
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error} in {ended:?}"))
}

#[tokio::test]
async fn operators_commands_reach_a_node_by_tls() {
    let origin = origin().await;
    let node = Node::start(&origin).await;
    let ready = async || (node.operate(&["ready"]).await.code == Some(0)).then_some(());
    eventually("it is ready", ready).await;
    let port: u16 = node.readers.rsplit(':').next().unwrap().parse().unwrap();
    let answered = node.authority.get(([127, 0, 0, 1], port).into(), None, &[], "/x").await;
    let id = answered.headers()["x-edge-cache-id"].to_str().unwrap();
    assert_eq!(json(&node.operate(&["request", id, "--json"]).await)["id"], id);
    let url = format!("{}/x", node.readers);
    let held = json(&node.operate(&["explain", &url, "--json"]).await);
    assert_eq!((&held["key"]["scheme"], &held["tiers"][0]["outcome"]), (&"https".into(), &"a hit".into()), "{held:#}");
    let purged = node.operate(&["purge", "--tag", "a", "--hard"]).await;
    assert!(purged.code == Some(0) && purged.stdout.contains("acknowledged"), "{purged:?}");
    let gone = json(&node.operate(&["explain", &url, "--json"]).await);
    assert_eq!(gone["tiers"][0]["outcome"], "a miss", "{gone:#}");
    // The authority is named by the environment as well.
    let top = ProxyBuilder::bare(&["top", "--json", "--admin", &node.admin]).env("CACHE_PROXY_CA", &node.root);
    let top = json(&top.to_end().await);
    assert_eq!((&top["summed"], &top["totals"]["calls"]), (&1.into(), &1.into()), "{top:#}");
}

#[tokio::test]
async fn who_asks_as_readers_do_asks_by_tls_and_under_its_keys() {
    let origin = origin().await;
    let node = Node::start(&origin).await;
    let to = ["--target", &node.readers, "--ca", &node.root];
    let monitored = run(&[&["monitor", "--check", "a=/a", "--once", "--json"], &to[..]].concat()).await;
    assert_eq!(monitored.code, Some(0), "{monitored:?}");

    let plan = text(node.authority.file("plan.toml", "[[url]]\npath = \"/b\"\n"));
    let warm = async |more: &[&str]| run(&[&["warm", "--no-resume", "--json", "-"], more].concat()).await;
    let warmed = json(&warm(&[&["--plan", &plan], &to[..]].concat()).await);
    assert_eq!(warmed["warmed"], 1, "{warmed}");
    let found = json(&node.operate(&["explain", &format!("{}/b", node.readers), "--json"]).await);
    assert_eq!(found["tiers"][0]["outcome"], "a hit", "{found:#}");
    // Of what is hot that is asked for which is kept under this scheme; a node is not asked by both in one run.
    let hot = ["--hot-set", "--admin", &node.admin];
    let hottest = json(&warm(&[&hot, &to[..]].concat()).await);
    assert!(hottest["planned"].as_u64() >= Some(1) && hottest["fresh"] == hottest["planned"], "{hottest}");
    let none = warm(&[&hot[..], &["--target", &node.clear, "--ca", &node.root]].concat()).await;
    assert!(none.code == Some(64) && none.stderr.contains("there is nothing to warm"), "{none:?}");
    let both = warm(&[&["--target", &node.clear], &to[..]].concat()).await;
    assert!(both.code == Some(64) && both.stderr.contains("all targets must be http://, or all https://"), "{both:?}");

    let (file, quick) =
        (text(node.authority.file("before.json", "")), ["--rounds", "2", "--samples", "2", "--pause", "0s"]);
    let record = [&["baseline", "record", &file, "--endpoint", "/a", "--warmup", "1"], &quick[..], &to[..]].concat();
    assert_eq!(run(&record).await.code, Some(0));
    let again = run(&["baseline", "compare", &file, "--json", "--ca", &node.root]).await;
    assert!(matches!(again.code, Some(0 | 2)), "by the same URL: {again:?}");
}

#[tokio::test]
async fn a_node_that_wants_to_know_its_operators_is_shown_a_certificate() {
    let origin = origin().await;
    let node = Node::start_closed(&origin).await;
    let [cert, key] = node.files("operator", &node.authority.issue("operator"));
    let shown = ["--cert", &cert, "--key", &key];
    for args in [&["purge", "--all"][..], &["explain", "https://h/x"], &["request"], &["top", "--once"]] {
        let refused = node.operate(args).await;
        assert!(refused.code == Some(1) && refused.stderr.contains("CACHE_PROXY_ADMIN_TOKEN"), "{args:?}: {refused:?}");
        let done = node.operate(&[args, &shown].concat()).await;
        assert_eq!(done.code, Some(0), "{args:?}: {done:?}");
    }
    let line = node.proxy.logged("SHA256:").await;
    assert!(line.contains("certificate"), "{line}");
    let by_environment = ProxyBuilder::bare(&["purge", "--all", "--admin", &node.admin])
        .env("CACHE_PROXY_CA", &node.root)
        .env("CACHE_PROXY_CERT", &cert)
        .env("CACHE_PROXY_KEY", &key);
    assert_eq!(by_environment.to_end().await.code, Some(0));

    let [cert, key] = node.files("stranger", &Authority::new().issue("operator"));
    let stranger = node.operate(&["purge", "--all", "--cert", &cert, "--key", &key]).await;
    assert_eq!(stranger.code, Some(1), "of another authority is not as good as none: {stranger:?}");
    assert!(stranger.stderr.contains("it wants a certificate that it accepts: see --cert and --key"), "{stranger:?}");
}

#[tokio::test]
async fn who_cannot_prove_to_be_the_node_is_told_nothing() {
    let origin = origin().await;
    let node = Node::start_closed(&origin).await;
    let other = Authority::new();
    let other = text(other.file("root.pem", &other.root()));
    let by_address = node.admin.replace("localhost", "127.0.0.1");
    for (at, further) in [
        (&["--admin", &node.admin][..], &[][..]),
        (&["--admin", &node.admin], &["--ca", &other]),
        (&["--admin", &by_address], &["--ca", &node.root]),
    ] {
        for args in [&["ready"][..], &["purge", "--all"], &["explain", "https://h/x"], &["top", "--once"]] {
            let all = [args, at, further].concat();
            let ended = ProxyBuilder::bare(&all).env("CACHE_PROXY_ADMIN_TOKEN", TOKEN).to_end().await;
            let said = ["its certificate is not accepted", "--ca", "invalid peer certificate"];
            assert!(ended.code == Some(1) && said.iter().all(|said| ended.stderr.contains(said)), "{all:?}: {ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        }
    }
    let monitored = run(&["monitor", "--check", "a=/a", "--once", "--json", "--target", &node.readers]).await;
    assert!(monitored.code == Some(2) && monitored.stdout.contains("its certificate is not accepted"), "{monitored:?}");
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
}

#[tokio::test]
async fn tls_where_there_is_none_and_none_where_there_is_are_told_apart() {
    let origin = origin().await;
    let node = Node::start(&origin).await;
    let clear = ProxyBuilder::serve(&origin.url()).start().await;
    let secure = format!("https://{}", clear.admin_address());
    let plain = node.admin.replace("https", "http");
    for (admin, said) in [(&secure, "http:// may be right"), (&plain, "https:// would be right")] {
        for args in [&["ready"][..], &["purge", "--all"], &["top", "--once"]] {
            let ended = node.operate_at(args, admin).await;
            assert!(ended.code == Some(1) && ended.stderr.contains(said), "{args:?}: {ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        }
    }
    let secure = format!("https://{}", clear.address);
    let plain = node.readers.replace("https", "http");
    for (target, said) in [(&secure, "http:// may be right"), (&plain, "https:// would be right")] {
        let ended = run(&["monitor", "--check", "a=/a", "--once", "--json", "--target", target]).await;
        assert!(ended.code == Some(2) && ended.stdout.contains(said), "{ended:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_url_or_files_is_one_clear_line() {
    let authority = Authority::new();
    let (issued, other) = (authority.issue("operator"), authority.issue("other"));
    let file = |name: &str, pem: &str| text(authority.file(name, pem));
    let (cert, key) = (file("cert.pem", &issued.certificate), file("key.pem", &issued.key));
    let (foreign, empty) = (file("foreign.pem", &other.key), file("empty.pem", ""));
    let admin = ["--admin", "https://localhost:1"];
    for (args, said) in [
        (&["--admin", "localhost:1"][..], "--admin localhost:1: must be http://HOST:PORT or https://HOST:PORT"),
        (&["--admin", "https://localhost:1/x"], "must be http://HOST:PORT or https://HOST:PORT"),
        (&[&admin[..], &["--ca", "no/such.pem"]].concat(), "--ca no/such.pem: must be a file that can be read"),
        (&[&admin[..], &["--ca", &empty]].concat(), "must hold a PEM block `-----BEGIN CERTIFICATE…`"),
        (&[&admin[..], &["--cert", &cert]].concat(), "needs its private key: --key FILE"),
        (&[&admin[..], &["--key", &key]].concat(), "needs its certificate: --cert FILE"),
        (&[&admin[..], &["--cert", &cert, "--key", &cert]].concat(), "must hold a PEM block `-----BEGIN PRIVATE KEY…`"),
        (&[&admin[..], &["--cert", &cert, "--key", &foreign]].concat(), "must be the key of --cert"),
    ] {
        for command in [&["ready"][..], &["purge", "--all"], &["top", "--once"]] {
            let ended = run(&[command, args].concat()).await;
            assert!(ended.code == Some(64) && ended.stderr.contains(said), "{args:?}: {ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        }
    }
}
