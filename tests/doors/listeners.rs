//! IPv6, and sockets in the file system.

use edge_cache_tests::{Client, Origin, ProxyBuilder, Reply};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

async fn over(socket: &std::path::Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn clients_come_over_ipv6() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "six") }).await;
    let args = ["serve", "--origin", &origin.url(), "--listen", "[::1]:0"];
    let proxy = ProxyBuilder::bare(&args).start().await;
    assert!(proxy.address.is_ipv6());
    assert_eq!(proxy.get("/").await.text(), "six");
    assert!(proxy.get("/").await.header("cache-status").contains("hit"));
}

#[tokio::test]
async fn clients_and_operators_come_through_sockets_in_the_file_system() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "local") }).await;
    let folder = tempfile::tempdir().unwrap();
    let (clients, operators) = (folder.path().join("clients.sock"), folder.path().join("operators.sock"));
    let toml = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\nmore_addresses = [\"unix:{}\"]\nadmin = \"unix:{}\"\n\
         trusted_proxies = [\"unix\"]\n[origin]\nurl = \"{}\"\n",
        clients.display(),
        operators.display(),
        origin.url()
    );
    let file = folder.path().join("c.toml");
    std::fs::write(&file, toml).unwrap();
    let proxy = ProxyBuilder::bare(&["serve", "--config", file.to_str().unwrap()]).start().await;
    let get = "GET /x HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 192.0.2.7\r\nconnection: close\r\n\r\n";
    assert!(over(&clients, get).await.ends_with("local"));
    assert!(over(&clients, get).await.contains("edge-memory; hit"));
    assert_eq!(origin.seen()[0].header("x-forwarded-for"), "192.0.2.7", "a proxy without an address adds none");
    let over_tcp = Client::new(proxy.address).get("/x").header("host", "h").send().await;
    assert!(over_tcp.header("cache-status").contains("hit"), "they are doors of one house");
    let metrics = over(&operators, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(metrics.contains("edge_cache_requests_total"), "{metrics}");
    proxy.terminate();
    assert_eq!(proxy.ended().await.code, Some(0));
    assert!(!clients.exists() && !operators.exists(), "they go with the process");
}

#[tokio::test]
async fn a_wrong_place_is_one_clear_line() {
    for (listen, said) in [
        ("ftp://127.0.0.1:0", "listen.address = \"ftp://127.0.0.1:0\": must be ADDRESS:PORT"),
        ("https://127.0.0.1:0", "tls.cert_file = \"\": must name a PEM file"),
        ("unix:/no/such/folder/s", "cannot listen on /no/such/folder/s (listen.address)"),
    ] {
        let args = ["serve", "--origin", "http://127.0.0.1:9", "--listen", listen];
        let ended = ProxyBuilder::bare(&args).to_end().await;
        assert!(ended.stderr.contains(said) && ended.stderr.lines().count() == 1, "`{said}` in {ended:?}");
        assert_ne!(ended.code, Some(0));
    }
}
