//! TLS for clients and for operators.

use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply};
use http::StatusCode;

use crate::pki::{Authority, Issued};

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

async fn proxy(authority: &Authority, issued: &Issued, origin: &Origin, further: &str) -> Proxy {
    let toml = format!(
        "[listen]\nmore_addresses = [\"https://127.0.0.1:0\"]\n{}{further}[origin]\nurl = \"{}\"\n",
        authority.shown(issued),
        origin.url()
    );
    ProxyBuilder::config(&toml).start().await
}

/// The names in the certificate that is shown, as bytes.
async fn shown(authority: &Authority, address: std::net::SocketAddr) -> Vec<u8> {
    let stream = authority.connect(address, None, BOTH).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn http_1_and_2_are_chosen_by_alpn_and_hits_are_hits() {
    let (authority, origin) =
        (Authority::new(), Origin::start(|_| async { Reply::cached("max-age=60", "over TLS") }).await);
    let proxy = proxy(&authority, &authority.issue("localhost"), &origin, "").await;
    let address = proxy.announced("listening https://").await;
    for (alpn, at) in [(BOTH, "/2"), (&[&b"http/1.1"[..]][..], "/1"), (&[][..], "/none")] {
        let first = authority.get(address, None, alpn, at).await;
        assert_eq!((first.status(), &first.body()[..]), (StatusCode::OK, &b"over TLS"[..]));
        let second = authority.get(address, None, alpn, at).await;
        let status = second.headers()["cache-status"].to_str().unwrap();
        assert!(status.starts_with("edge-memory; hit"), "{at}: {status}");
        assert_eq!(origin.count(at), 1);
    }
}

#[tokio::test]
async fn over_tls_and_in_the_clear_are_two_keys_whatever_the_client_claims() {
    let origin =
        Origin::start(|arrived| async move { Reply::cached("max-age=60", arrived.seen.header("host").to_owned()) });
    let (authority, origin) = (Authority::new(), origin.await);
    let proxy = proxy(&authority, &authority.issue("localhost"), &origin, "").await;
    let address = proxy.announced("listening https://").await;
    let host = format!("localhost:{}", address.port());
    authority.get(address, None, BOTH, "/x").await;
    assert_eq!(origin.count("/x"), 1);
    // Over plain TCP a client names the URL of the other.
    let claimed = proxy.client().get(&format!("https://{host}/x")).header("host", &host).send().await;
    assert!(claimed.header("cache-status").contains("fwd=uri-miss"), "{claimed:?}");
    assert_eq!(origin.count("/x"), 2);
    let plain = proxy.client().get("/x").header("host", &host).send().await;
    assert!(plain.header("cache-status").contains("hit"), "it was taken for what it is: {plain:?}");
}

#[tokio::test]
async fn who_speaks_no_tls_is_cut_off_and_counted() {
    let (authority, origin) = (Authority::new(), Origin::start(|_| async { Reply::new(200) }).await);
    let proxy = proxy(&authority, &authority.issue("localhost"), &origin, "").await;
    let address = proxy.announced("listening https://").await;
    let plain = edge_cache_tests::Client::new(address).get("/").try_send().await;
    assert!(plain.is_err(), "{plain:?}");
    let cut = async || {
        let cut = proxy.metrics().await.sum("edge_cache_client_connections_cut_total", &[("reason", "handshake")]);
        (cut == 1.0).then_some(())
    };
    edge_cache_tests::eventually("it is counted", cut).await;
    assert_eq!(authority.get(address, None, BOTH, "/").await.status(), StatusCode::OK, "others are served");
}

#[tokio::test]
async fn a_certificate_is_renewed_without_a_restart_and_a_bad_one_is_refused() {
    let (authority, origin) = (Authority::new(), Origin::start(|_| async { Reply::new(200) }).await);
    let (old, new) = (authority.issue("localhost"), authority.issue("localhost"));
    let toml = format!(
        "[listen]\nmore_addresses = [\"https://127.0.0.1:0\"]\n{}[origin]\nurl = \"{}\"\n",
        authority.shown(&old),
        origin.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let address = proxy.announced("listening https://").await;
    let before = shown(&authority, address).await;
    // A connection that is open goes on.
    let kept = authority.connect(address, None, &[b"http/1.1"]).await.unwrap();
    // The key of another one.
    authority.file("key.pem", &new.key);
    proxy.reload(&toml);
    let refused = proxy.logged("reload refused").await;
    assert!(refused.contains("tls.key_file") && refused.contains("must be the key of tls.cert_file"), "{refused}");
    assert_eq!(shown(&authority, address).await, before);
    authority.shown(&new);
    proxy.reload(&toml);
    proxy.logged("reloaded").await;
    assert_ne!(shown(&authority, address).await, before);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(kept)).await.unwrap();
    tokio::spawn(connection);
    let request =
        http::Request::get("/").header("host", "localhost").body(http_body_util::Empty::<bytes::Bytes>::new());
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn operators_show_a_certificate_or_a_token() {
    let (authority, origin) = (Authority::new(), Origin::start(|_| async { Reply::new(200) }).await);
    let (stranger, operator) = (Authority::new(), authority.issue("operator"));
    let root = authority.file("root.pem", &authority.root());
    let toml = format!(
        "[listen]\nadmin = \"https://127.0.0.1:0\"\n{}admin_client_ca_file = \"{}\"\n[origin]\nurl = \"{}\"\n",
        authority.shown(&authority.issue("localhost")),
        root.display(),
        origin.url()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, toml).unwrap();
    let args = ["serve", "--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let proxy = ProxyBuilder::bare(&args).env("CACHE_PROXY_ADMIN_TOKEN", "0123456789abcdef").spawn();
    let address = proxy.announced("admin https://").await;
    let status = async |own: Option<&Issued>| authority.get(address, own, BOTH, "/requests").await.status();
    assert_eq!(status(None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(Some(&operator)).await, StatusCode::OK);
    // TLS 1.3 tells the client only after its own part is done, that its certificate is not wanted.
    let foreign = stranger.issue("operator");
    let refused = match authority.connect(address, Some(&foreign), BOTH).await {
        Err(_) => true,
        Ok(stream) => {
            use tokio::io::AsyncReadExt;
            let mut stream = stream;
            stream.read_u8().await.is_err()
        }
    };
    assert!(refused, "a certificate of another authority is not as good as none");
}

#[tokio::test]
async fn what_is_wrong_with_the_files_is_one_clear_line() {
    let (authority, issued) = (Authority::new(), Authority::new().issue("localhost"));
    let listen = "[listen]\nmore_addresses = [\"https://127.0.0.1:0\"]\n[origin]\nurl = \"http://127.0.0.1:9\"\n";
    let other = authority.issue("localhost");
    let good = authority.file("good.pem", &issued.certificate);
    let files = [
        ("", "", "tls.cert_file = \"\": must name a PEM file: listen.more_addresses[0]"),
        ("no/such.pem", "no/such.pem", "tls.cert_file = \"no/such.pem\": must be a file that can be read"),
        (good.to_str().unwrap(), good.to_str().unwrap(), "must hold a PEM block `-----BEGIN PRIVATE KEY…`"),
    ];
    for (cert, key, said) in files {
        let toml = format!("{listen}[tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n");
        let ended = ProxyBuilder::config(&toml).to_end().await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(ended.stderr.contains(said) && ended.stderr.lines().count() == 1, "`{said}` in {ended:?}");
    }
    let mixed = Issued { certificate: issued.certificate.clone(), key: other.key };
    let ended = ProxyBuilder::config(&format!("{listen}{}", authority.shown(&mixed))).to_end().await;
    assert!(ended.stderr.contains("must be the key of tls.cert_file"), "{ended:?}");
}
