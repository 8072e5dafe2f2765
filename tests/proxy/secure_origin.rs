//! Origins that are spoken to by TLS: only those that prove who they are.

use std::net::SocketAddr;

use edge_cache_tests::{Authority, Origin, Proxy, ProxyBuilder, RawOrigin, Reply, Step, TlsFront, eventually, raw};
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const HERE: &str = "127.0.0.1";

/// An origin's answer says what came for it.
async fn origin() -> Origin {
    Origin::start(|mut request| async move {
        let body = request.whole().await;
        let cache_control = if request.seen.target.contains("keep") { "max-age=60" } else { "no-store" };
        Reply::cached(cache_control, body).header("x-host", request.seen.header("host"))
    })
    .await
}

/// A proxy with further lines for `[origin]`.
async fn before(url: &str, lines: &str) -> Proxy {
    ProxyBuilder::config(&format!("[origin]\nurl = \"{url}\"\n{lines}\n")).start().await
}

fn trusting(authority: &Authority) -> String {
    format!("ca_file = \"{}\"\n", authority.file.display())
}

#[tokio::test]
async fn an_origin_of_a_trusted_authority_is_asked_over_connections_that_are_kept() {
    let (authority, origin) = (Authority::new(), origin().await);
    let front = TlsFront::before(origin.address, &authority.issue(HERE), None).await;
    // One thread: a connection is given back right after the end of an answer went to its client, who may be back at another thread before that.
    let one_thread = format!("{}[listen]\nthreads = 1", trusting(&authority));
    let proxy = before(&front.url(), &one_thread).await;
    for n in 0..5 {
        let answer =
            proxy.client().ask("POST", &format!("/{n}")).header("host", "shop.example").bytes("told").send().await;
        assert_eq!((answer.status, answer.text(), answer.header("x-host")), (StatusCode::OK, "told", "shop.example"));
    }
    assert_eq!(front.handshakes(), (1, 1), "one connection carries all");
    proxy.get("/keep").await;
    assert!(proxy.get("/keep").await.is_hit_of("memory"));
    let large = vec![7; 3 << 20];
    assert_eq!(proxy.client().ask("POST", "/large").bytes(large.clone()).send().await.body, large);
    let own = before(&front.url(), &format!("preserve_host = false\n{}", trusting(&authority))).await;
    assert_eq!(own.get("/").await.header("x-host"), front.address.to_string());
}

#[tokio::test]
async fn who_cannot_prove_to_be_the_origin_gets_no_request() {
    let (authority, other, origin) = (Authority::new(), Authority::new(), origin().await);
    let stranger = TlsFront::before(origin.address, &other.issue(HERE), None).await;
    let misnamed = TlsFront::before(origin.address, &authority.issue("shop.example"), None).await;
    for (front, lines, why) in [
        (&stranger, trusting(&authority), "UnknownIssuer"),
        (&stranger, String::new(), "UnknownIssuer"),
        (&misnamed, trusting(&authority), "not valid for name \"127.0.0.1\""),
        (&misnamed, format!("server_name = \"other.example\"\n{}", trusting(&authority)), "not valid for name"),
    ] {
        let proxy = before(&front.url(), &lines).await;
        for n in 0..10 {
            let answer =
                proxy.client().ask("POST", &format!("/{n}")).header("cookie", "session=1").bytes("x").send().await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{why}");
            assert_eq!(answer.header("retry-after"), "1");
        }
        let line = proxy.logged("origin cannot be spoken to by TLS").await;
        assert!(line.contains(why) && line.contains(&front.address.to_string()), "{line}");
        proxy.terminate();
        let said = proxy.ended().await.stderr;
        assert_eq!(said.matches("origin cannot be spoken to by TLS").count(), 1, "{said}");
        assert!(!said.contains("origin gave no answer"), "{said}");
    }
    assert!(origin.seen().is_empty() && stranger.handshakes().1 + misnamed.handshakes().1 == 0);
}

#[tokio::test]
async fn the_name_to_prove_can_be_another_than_the_host() {
    let (authority, origin) = (Authority::new(), origin().await);
    let front = TlsFront::before(origin.address, &authority.issue("backend.internal"), None).await;
    let lines = format!("server_name = \"backend.internal\"\n{}", trusting(&authority));
    assert_eq!(before(&front.url(), &lines).await.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_origin_that_wants_to_know_who_asks_is_told() {
    let (authority, clients, origin) = (Authority::new(), Authority::new(), origin().await);
    let front = TlsFront::before(origin.address, &authority.issue(HERE), Some(&clients)).await;
    let anonymous = before(&front.url(), &trusting(&authority)).await;
    let refused = anonymous.client().ask("POST", "/").bytes("x").send().await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
    assert!(origin.seen().is_empty());
    let issued = clients.issue("edge.example");
    let files = format!("cert_file = \"{}\"\nkey_file = \"{}\"\n", issued.cert.display(), issued.key.display());
    let known = before(&front.url(), &(trusting(&authority) + &files)).await;
    assert_eq!(known.get("/").await.status, StatusCode::OK);
    let foreign = authority.issue("edge.example");
    let files = format!("cert_file = \"{}\"\nkey_file = \"{}\"\n", foreign.cert.display(), foreign.key.display());
    let unknown = before(&front.url(), &(trusting(&authority) + &files)).await;
    assert_eq!(unknown.get("/").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_at_the_start() {
    let authority = Authority::new();
    let (one, two) = (authority.issue("one"), authority.issue("two"));
    let ca = authority.file.display();
    for (lines, says) in [
        (
            format!("ca_file = \"{}\"", one.key.display()),
            ["origin.ca_file = ", "must hold a PEM block `-----BEGIN CERTIFICATE"],
        ),
        (
            format!("ca_file = \"{ca}\"\ncert_file = \"{}\"\nkey_file = \"{}\"", one.cert.display(), two.key.display()),
            ["origin.key_file = ", "must be the key of origin.cert_file"],
        ),
        (
            format!("cert_file = \"{}\"\nkey_file = \"{}\"", one.cert.display(), one.cert.display()),
            ["origin.key_file = ", "must hold a PEM block `-----BEGIN PRIVATE KEY"],
        ),
        (
            format!("cert_file = \"{}\"\nkey_file = \"/no/such/key\"", one.cert.display()),
            ["origin.key_file = \"/no/such/key\"", "must be a file that can be read"],
        ),
    ] {
        let ended = ProxyBuilder::config(&format!("[origin]\nurl = \"https://{HERE}:1\"\n{lines}\n")).to_end().await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert!(says.iter().all(|says| ended.stderr.contains(says)), "{says:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("PRIVATE KEY-----\n"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_no_connection() {
    let silent = TcpListener::bind((HERE, 0)).await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let proxy = before(&url, "connect_timeout = \"50ms\"\nresponse_timeout = \"50s\"\n").await;
    assert_eq!(proxy.get("/").await.status, StatusCode::BAD_GATEWAY);
    let line = proxy.logged("origin cannot be spoken to by TLS").await;
    assert!(line.contains("origin.connect_timeout"), "{line}");
    // Nor is a server that speaks plain HTTP at that port taken for one that does not.
    let plain = origin().await;
    let proxy = before(&format!("https://{}", plain.address), "").await;
    assert_eq!(proxy.get("/").await.status, StatusCode::BAD_GATEWAY);
    assert!(plain.seen().is_empty());
}

#[tokio::test]
async fn origins_with_and_without_tls_stand_in_for_each_other() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (plain, secure, false_one) = (origin().await, origin().await, origin().await);
    let front = TlsFront::before(secure.address, &authority.issue(HERE), None).await;
    let impostor = TlsFront::before(false_one.address, &stranger.issue(HERE), None).await;
    let more = format!("more_urls = [\"{}\", \"{}\"]\nhealth_path = \"/health\"\n", front.url(), impostor.url());
    let proxy = before(&plain.url(), &(more + &trusting(&authority))).await;
    eventually("the impostor fails its checks", async || {
        let shown = proxy.admin().get("/origin").send().await.json();
        let healthy = ["0", "1", "2"].map(|at| shown.pointer(&format!("/origins/{at}/healthy")).unwrap() == true);
        (healthy == [true, true, false]).then_some(())
    })
    .await;
    for n in 0..40 {
        let answer = proxy.client().ask("POST", &format!("/{n}")).bytes("body").send().await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "body"));
    }
    let of = |origin: &Origin| origin.seen().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!((of(&plain) + of(&secure), of(&false_one)), (40, 0));
    assert!(of(&plain) > 0 && of(&secure) > 0);
    assert!(false_one.seen().is_empty(), "no check either");
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_to_an_impostor_goes_elsewhere_with_its_body() {
    let (stranger, plain, false_one) = (Authority::new(), origin().await, origin().await);
    let impostor = TlsFront::before(false_one.address, &stranger.issue(HERE), None).await;
    let proxy = before(&impostor.url(), &format!("more_urls = [\"{}\"]\n", plain.url())).await;
    for n in 0..20 {
        let answer = proxy.client().ask("POST", &format!("/{n}")).bytes("body").send().await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "body"));
    }
    assert!(false_one.seen().is_empty() && plain.seen().len() == 20);
}

#[tokio::test]
async fn a_connection_that_died_idle_is_replaced() {
    let authority = Authority::new();
    let origin = RawOrigin::start(|request| match request.earlier {
        0 => vec![Step::send("HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 2\r\n\r\nok")],
        _ => vec![Step::Close],
    })
    .await;
    let front = TlsFront::before(origin.address, &authority.issue(HERE), None).await;
    let proxy = before(&front.url(), &trusting(&authority)).await;
    for cut in [false, true] {
        if cut {
            front.cut();
        }
        for _ in 0..3 {
            assert_eq!(proxy.get("/").await.text(), "ok", "cut: {cut}");
        }
    }
    assert!(origin.seen().iter().any(|request| request.earlier == 1), "a kept connection was used");
}

#[tokio::test]
async fn an_answer_without_a_length_that_somebody_cuts_is_not_taken_for_whole() {
    let authority = Authority::new();
    let origin = RawOrigin::start(|_| {
        vec![Step::send("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n\r\nto the end"), Step::Close]
    })
    .await;
    let front = TlsFront::before(origin.address, &authority.issue(HERE), None).await;
    let proxy = before(&front.url(), &trusting(&authority)).await;
    assert_eq!(proxy.get("/whole").await.text(), "to the end");
    assert!(proxy.get("/whole").await.is_hit_of("memory"));
    front.cut();
    for asked in 1..=2 {
        assert!(proxy.client().get("/cut").try_send().await.is_err(), "the client sees that it is not whole");
        assert_eq!(origin.seen().len(), 1 + asked, "nor is it kept");
    }
}

#[tokio::test]
async fn what_an_origin_says_early_comes_early() {
    let authority = Authority::new();
    let origin = RawOrigin::start(|_| {
        vec![
            Step::send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"),
            Step::send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        ]
    })
    .await;
    let front = TlsFront::before(origin.address, &authority.issue(HERE), None).await;
    let proxy = before(&front.url(), &trusting(&authority)).await;
    let answer = raw(proxy.address, b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 103 Early Hints\r\n") && answer.ends_with("ok"), "{answer}");
}

async fn tunnel(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let wish = "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(wish.as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.unwrap()));
    }
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

#[tokio::test]
async fn a_tunnel_carries_everything_to_its_last_byte() {
    let authority = Authority::new();
    let switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    let origin = RawOrigin::start(move |_| vec![Step::send(switched), Step::Echo]).await;
    let front = TlsFront::before(origin.address, &authority.issue(HERE), None).await;
    let proxy = before(&front.url(), &trusting(&authority)).await;
    let (mut from, mut to) = tunnel(proxy.address).await.into_split();
    let sent: Vec<u8> = (0..16 << 20).map(|n: u32| (n % 251) as u8).collect();
    let mut back = vec![0; sent.len()];
    // Nobody ends: the last bytes must come without a push.
    let (wrote, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut back));
    assert!(wrote.is_ok() && read.is_ok() && back == sent);
    to.shutdown().await.unwrap();
    assert_eq!(from.read_to_end(&mut Vec::new()).await.unwrap(), 0, "the end goes through too");
}
