//! Request smuggling: whatever a client writes, the origin sees one request for each that was answered, in one framing, and the next client gets
//! the answer to its own.

use edge_cache_tests::{PATIENCE, Proxy, ProxyBuilder, WireOrigin, answer, raw, raw_over};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: evil\r\n\r\n";

/// What is kept.
const WARM: &str = "/warm";

/// What becomes of an attack.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// This status, and nothing reaches the origin.
    Refused(u16),
    /// The connection ends without an answer of the origin's, and no whole request reaches it.
    Broken,
    /// The origin sees one request with this body.
    Reframed(&'static str),
}
use Fate::{Broken, Reframed, Refused};

struct Ground {
    origin: WireOrigin,
    proxy: Proxy,
    victims: usize,
}

impl Ground {
    async fn new() -> Self {
        let origin = WireOrigin::start(|request| {
            let lines = if request.target() == WARM { "cache-control: max-age=600\r\n" } else { "" };
            answer(200, lines, &format!("{} {}", request.method(), request.target()))
        })
        .await;
        let proxy = ProxyBuilder::serve(&origin.url()).start().await;
        Self { origin, proxy, victims: 0 }
    }

    /// A connection on which hits were answered: the last of them beneath the server.
    async fn after_hits(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.proxy.address).await.unwrap();
        for _ in 0..3 {
            stream.write_all(format!("GET {WARM} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes()).await.unwrap();
            let mut got = Vec::new();
            while !got.ends_with(format!("\r\n\r\nGET {WARM}").as_bytes()) {
                assert!(timeout(PATIENCE, stream.read_buf(&mut got)).await.unwrap().unwrap() > 0, "it ended");
            }
        }
        stream
    }

    /// Sends an attack and, after it, the plain request of a victim over another connection: as the first thing on a connection, and after hits.
    async fn suffers(&mut self, attack: &[u8], fate: Fate) {
        let new = TcpStream::connect(self.proxy.address).await.unwrap();
        let used = self.after_hits().await;
        for attacker in [new, used] {
            self.suffers_over(attacker, attack, fate).await;
        }
    }

    async fn suffers_over(&mut self, attacker: TcpStream, attack: &[u8], fate: Fate) {
        let shown = String::from_utf8_lossy(attack).into_owned();
        let before = self.origin.seen().len();
        let got = raw_over(attacker, attack).await.unwrap_or_default();
        let statuses: Vec<_> =
            got.split("HTTP/1.").skip(1).filter_map(|one| one.get(2..5)?.parse::<u16>().ok()).collect();
        self.victims += 1;
        let target = format!("/victim/{}", self.victims);
        let victim = self.proxy.get(&target).await;
        assert_eq!(victim.text(), format!("GET {target}"), "after {shown:?}");
        let seen = self.origin.seen();
        let (last, came) = seen[before..].split_last().unwrap();
        assert_eq!(last.target(), target, "after {shown:?}: {came:?}");
        match fate {
            Refused(status) => assert_eq!((&statuses[..], came.len()), (&[status][..], 0), "{shown:?}: {got}"),
            Broken => {
                assert!(statuses.iter().all(|status| *status >= 400), "{shown:?}: {got}");
                assert!(came.is_empty(), "{shown:?}: {came:?}");
            }
            Reframed(body) => {
                assert_eq!((&statuses[..], came.len()), (&[200][..], 1), "{shown:?}: {got} {came:?}");
                assert_eq!(came[0].text(), body, "{shown:?}");
            }
        }
        assert!(seen.iter().all(|seen| !seen.target().contains("smuggled")), "{shown:?}: {seen:?}");
    }

    /// A POST whose head has these lines.
    async fn posts(&mut self, lines: &str, body: &str, fate: Fate) {
        let attack = format!("POST /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{lines}\r\n{body}");
        self.suffers(attack.as_bytes(), fate).await;
    }
}

#[tokio::test]
async fn cl_te_a_length_and_a_coding() {
    let mut ground = Ground::new().await;
    let body = format!("0\r\n\r\n{SMUGGLED}");
    let length = body.len();
    // The coding counts (RFC 9112 §6.3), the length is dropped, and the connection is not used again: what follows is nobody's.
    for lines in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("Transfer-Encoding: CHUNKED\r\ncontent-length: {length}\r\n"),
        format!("transfer-encoding:chunked\r\ncontent-length: {length}\r\n"),
        format!("transfer-encoding:\tchunked\t\r\ncontent-length: {length}\r\n"),
    ] {
        ground.posts(&lines, &body, Reframed("")).await;
        // Without leave to close: it is closed all the same.
        let attack = format!("POST /attack HTTP/1.1\r\nhost: h\r\n{lines}\r\n{body}");
        ground.suffers(attack.as_bytes(), Reframed("")).await;
    }
}

#[tokio::test]
async fn te_cl_a_chunk_that_hides_a_request() {
    let mut ground = Ground::new().await;
    let chunk = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    ground.posts("content-length: 4\r\ntransfer-encoding: chunked\r\n", &chunk, Reframed(SMUGGLED)).await;
    ground.posts("transfer-encoding: chunked\r\ncontent-length: 4\r\n", &chunk, Reframed(SMUGGLED)).await;
}

#[tokio::test]
async fn te_te_a_coding_that_one_of_two_does_not_recognise() {
    let mut ground = Ground::new().await;
    let body = format!("0\r\n\r\n{SMUGGLED}");
    for (lines, status) in [
        ("transfer-encoding : chunked\r\n", 400),
        ("transfer-encoding\t: chunked\r\n", 400),
        (" transfer-encoding: chunked\r\n", 400),
        ("x: y\r\n transfer-encoding: chunked\r\n", 400),
        ("transfer-encoding:\r\n chunked\r\n", 400),
        ("transfer-encoding: \x0bchunked\r\n", 400),
        ("transfer-encoding: chunked\x0c\r\n", 400),
        ("transfer-encoding: chunked\0\r\n", 400),
        ("transfer-encoding: xchunked\r\n", 400),
        ("transfer-encoding: chunkedx\r\n", 400),
        ("transfer-encoding: \"chunked\"\r\n", 400),
        ("transfer-encoding: 'chunked'\r\n", 400),
        ("transfer-encoding: chunked;q=1\r\n", 400),
        ("transfer-encoding: chunked, identity\r\n", 400),
        ("transfer-encoding: identity\r\n", 400),
        ("transfer-encoding:\r\n", 400),
        ("transfer-encoding: chunked,\r\n", 400),
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", 400),
        ("transfer-encoding: chunked\r\ntransfer-encoding: x\r\n", 400),
        ("transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n", 501),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", 501),
        ("transfer-encoding: identity, chunked\r\n", 501),
        ("transfer-encoding: gzip, chunked\r\n", 501),
        ("transfer-encoding: chunked, chunked\r\n", 501),
        ("transfer-encoding: ,chunked\r\n", 501),
    ] {
        let lines = format!("content-length: {}\r\n{lines}", body.len());
        ground.posts(&lines, &body, Refused(status)).await;
    }
    // Other names are other headers: the length counts, and the origin is told what was told here.
    let attack =
        format!("content-length: {}\r\ntransfer_encoding: chunked\r\ntransfer-encodin: chunked\r\n", body.len());
    ground.posts(&attack, &body, Reframed("0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: evil\r\n\r\n")).await;
}

#[tokio::test]
async fn cl_cl_lengths_that_can_be_read_in_two_ways() {
    let mut ground = Ground::new().await;
    for lines in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 6\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5 5\r\n",
        "content-length: 5.0\r\n",
        "content-length: 5;\r\n",
        "content-length: \r\n",
        "content-length: five\r\n",
        "content-length: \u{665}\r\n",
        "content-length: 18446744073709551621\r\n",
        "content-length : 5\r\n",
    ] {
        ground.posts(lines, "12345", Refused(400)).await;
    }
    for lines in
        ["content-length: 5\r\ncontent-length: 5\r\n", "content-length: 0000000005\r\n", "content-length:\t5 \r\n"]
    {
        // Brought to one spelling of one length.
        ground.posts(lines, "12345", Reframed("12345")).await;
    }
}

#[tokio::test]
async fn zero_cl_and_bodies_where_none_is_expected() {
    let mut ground = Ground::new().await;
    let length = SMUGGLED.len();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "SPACEJUMP"] {
        for lines in [
            format!("content-length: {length}\r\n\r\n{SMUGGLED}"),
            format!("transfer-encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
        ] {
            let attack = format!("{method} /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{lines}");
            ground.suffers(attack.as_bytes(), Reframed(SMUGGLED)).await;
        }
    }
    // A length that says nothing follows: what does is the client's next request, and gets an answer of its own.
    let pipelined = "POST /attack HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\nGET /next HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let got = raw(ground.proxy.address, pipelined.as_bytes()).await.unwrap();
    assert_eq!(got.matches("HTTP/1.1 200 OK").count(), 2, "{got}");
    assert_eq!(ground.origin.asked()[ground.origin.asked().len() - 2..], ["POST /attack", "GET /next"]);
}

#[tokio::test]
async fn chunks_that_can_be_read_in_two_ways() {
    let mut ground = Ground::new().await;
    let coded = "transfer-encoding: chunked\r\n";
    for body in [
        "5\n12345\r\n0\r\n\r\n",
        "5\r12345\r\n0\r\n\r\n",
        "5\r\n12345\n0\r\n\r\n",
        "5\r\n12345xx0\r\n\r\n",
        "0x5\r\n12345\r\n0\r\n\r\n",
        "+5\r\n12345\r\n0\r\n\r\n",
        "-5\r\n12345\r\n0\r\n\r\n",
        " 5\r\n12345\r\n0\r\n\r\n",
        "5 5\r\n12345\r\n0\r\n\r\n",
        "\r\n5\r\n12345\r\n0\r\n\r\n",
        "5_\r\n12345\r\n0\r\n\r\n",
        "g\r\n12345\r\n0\r\n\r\n",
        "10000000000000005\r\n12345\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n12345\r\n0\r\n\r\n",
        "5;x\n12345\r\n0\r\n\r\n",
        "5;x=\"\n\"\r\n12345\r\n0\r\n\r\n",
        "5\r\n12345\r\n0\r\nx y\r\n\r\n",
        "5\r\n12345\r\n0\r\n : z\r\n\r\n",
    ] {
        ground.posts(coded, &format!("{body}{SMUGGLED}"), Broken).await;
    }
    for body in [
        "5\r\n12345\r\n0\r\n\r\n",
        "00000005\r\n12345\r\n000\r\n\r\n",
        "5;ext=1\r\n12345\r\n0;last\r\n\r\n",
        "5 \t;a=\"b\"\r\n12345\r\n0\r\n\r\n",
        "2\r\n12\r\n3\r\n345\r\n0\r\n\r\n",
        "5\r\n12345\r\n0\r\nx: y\n\n\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    ] {
        // Chunks are made anew: neither sizes nor extensions pass.
        ground.posts(coded, body, Reframed("12345")).await;
    }
    let long = format!("5;{}\r\n12345\r\n0\r\n\r\n", "x".repeat(20_000));
    ground.posts(coded, &long, Broken).await;
}

#[tokio::test]
async fn trailers_that_would_be_headers() {
    let mut ground = Ground::new().await;
    let names = "content-length, transfer-encoding, host, authorization, te, x-sum";
    let lines = format!("transfer-encoding: chunked\r\ntrailer: {names}\r\n");
    let trailers = "content-length: 99\r\ntransfer-encoding: identity\r\nhost: evil\r\nauthorization: x\r\nte: y\r\nx-hidden: 1\r\nx-sum: 7\r\n";
    ground.posts(&lines, &format!("5\r\n12345\r\n0\r\n{trailers}\r\n"), Reframed("12345")).await;
    let seen = ground.origin.seen();
    let attack = seen.iter().find(|seen| seen.target() == "/attack").unwrap();
    assert_eq!(
        attack.trailers, "x-sum: 7\n",
        "what frames, routes or lets in is no trailer, nor is what nobody announced"
    );
    assert_eq!((attack.header("host"), attack.header("authorization")), ("h", ""));
    let many = format!("5\r\n12345\r\n0\r\n{}\r\n", "x-sum: 7\r\n".repeat(20_000));
    ground.posts(&lines, &many, Broken).await;
}

#[tokio::test]
async fn line_ends_and_spaces_in_the_head() {
    let mut ground = Ground::new().await;
    for head in [
        "GET  /attack HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /attack  HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET\t/attack HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /attack HTTP/1.1 \r\nhost: h\r\n\r\n",
        " GET /attack HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /attack HTTP/1.1\rhost: h\r\n\r\n",
        "GET /attack\r\n\r\n",
        "GET /attack HTTP/0.9\r\nhost: h\r\n\r\n",
        "GET /attack HTTP/1.2\r\nhost: h\r\n\r\n",
        "GET /attack HTTP/2.0\r\nhost: h\r\n\r\n",
        "GET /attack http/1.1\r\nhost: h\r\n\r\n",
        "GET attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        "GET /att\u{0}ack HTTP/1.1\r\nhost: h\r\n\r\n",
        "G(T /attack HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: h\r\nx\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: h\r\n: y\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: h\r\nx: a\rb\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: h\r\nx: a\u{0}b\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: h\r\nx: a\r\n\r \n\r\n",
        "GET /attack HTTP/1.1\r\nhost: h\r\nx y: a\r\n\r\n",
        "GET /attack HTTP/1.1\r\nhost: h\r\nx: a\r\n folded\r\n\r\n",
    ] {
        ground.suffers(head.as_bytes(), Refused(400)).await;
    }
    for head in [
        "GET /attack HTTP/1.1\nhost: h\nconnection: close\n\n",
        "GET /attack HTTP/1.1\r\nhost: h\nconnection: close\r\n\n",
        "\r\n\r\nGET /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        "GET /attack HTTP/1.0\r\nhost: h\r\n\r\n",
    ] {
        // Lines that end with LF alone are taken, and written anew with CR LF.
        ground.suffers(head.as_bytes(), Reframed("")).await;
    }
    // To whoever ends lines with CR LF alone there would be one header with a value of two lines.
    let hidden = "GET /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\nx: a\ncontent-length: 38\r\n\r\n";
    ground
        .suffers(format!("{hidden}{SMUGGLED}").as_bytes(), Reframed("GET /smuggled HTTP/1.1\r\nhost: evil\r\n\r\n"))
        .await;
}

#[tokio::test]
async fn a_coding_over_http_1_0() {
    let mut ground = Ground::new().await;
    let attack = format!("POST /attack HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}");
    ground.suffers(attack.as_bytes(), Refused(400)).await;
    let kept = format!(
        "GET /attack HTTP/1.0\r\nhost: h\r\nconnection: keep-alive\r\ncontent-length: {}\r\n\r\n{SMUGGLED}GET /next HTTP/1.0\r\nhost: h\r\n\r\n",
        SMUGGLED.len()
    );
    let got = raw(ground.proxy.address, kept.as_bytes()).await.unwrap();
    assert_eq!(got.matches("HTTP/1.0 200 OK").count(), 2, "{got}");
    assert_eq!(ground.origin.asked().last().unwrap(), "GET /next");
}

#[tokio::test]
async fn an_upgrade_to_http2_in_clear_text() {
    let mut ground = Ground::new().await;
    for lines in [
        "connection: close, upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "connection: close, upgrade\r\nupgrade: h2c, HTTP/2.0\r\n",
        "connection: close\r\nupgrade: websocket\r\n",
    ] {
        let attack = format!("GET /attack HTTP/1.1\r\nhost: h\r\n{lines}\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        ground.suffers(attack.as_bytes(), Reframed("")).await;
        let seen = ground.origin.seen();
        let attack = seen.iter().rev().find(|seen| seen.target() == "/attack").unwrap();
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(attack.all(name).is_empty(), "{name} in {attack:?}");
        }
    }
}

#[tokio::test]
async fn a_tunnel_that_the_origin_did_not_grant() {
    // The websocket smuggling of an origin that answers 426 or 200: what follows is not passed on as it is.
    let mut ground = Ground::new().await;
    let attack = format!(
        "GET /attack HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 1337\r\n\r\n\
        GET /next HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n{SMUGGLED}"
    );
    let got = raw(ground.proxy.address, attack.as_bytes()).await.unwrap();
    assert!(!got.contains("/smuggled"), "{got}");
    ground.suffers(b"CONNECT evil:80 HTTP/1.1\r\nhost: evil:80\r\nconnection: close\r\n\r\n", Refused(501)).await;
}

#[tokio::test]
async fn expectations_that_one_of_two_forgets() {
    let mut ground = Ground::new().await;
    for lines in [
        "expect: y 100-continue\r\n",
        "expect: 100-continue, x\r\n",
        "expect: 100-continue\r\nexpect: x\r\n",
        "expect: 200-ok\r\n",
        "expect:\r\n",
    ] {
        ground.posts(&format!("content-length: 5\r\n{lines}"), "12345", Refused(417)).await;
    }
    // Nothing follows, so nothing is to be waited for: the origin is not told of it.
    let bare = "GET /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\nexpect: 100-continue\r\n\r\n";
    ground.suffers(bare.as_bytes(), Reframed("")).await;
    assert!(ground.origin.seen().iter().all(|seen| seen.header("expect").is_empty()));
    let attack = "POST /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n12345";
    let got = raw(ground.proxy.address, attack.as_bytes()).await.unwrap();
    assert!(got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{got}");
}

#[tokio::test]
async fn requests_in_one_write_are_answered_in_order_each_with_its_own() {
    let ground = Ground::new().await;
    let mut attack = String::new();
    for n in 0..20 {
        attack += &format!("POST /{n} HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n12345");
    }
    attack += "GET /last HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let got = raw(ground.proxy.address, attack.as_bytes()).await.unwrap();
    let bodies: Vec<_> =
        got.split("\r\n\r\n").skip(1).map(|body| body.split("HTTP/1.1").next().unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..20).map(|n| format!("POST /{n}")).chain(["GET /last".to_owned()]).collect();
    assert_eq!(bodies, expected);
    assert_eq!(ground.origin.asked(), expected);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body() {
    let ground = Ground::new().await;
    for framing in ["content-length: 100\r\n\r\n12345", "transfer-encoding: chunked\r\n\r\n64\r\n12345"] {
        let mut stream = TcpStream::connect(ground.proxy.address).await.unwrap();
        stream.write_all(format!("POST /attack HTTP/1.1\r\nhost: h\r\n{framing}").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it ends");
        drop(ended);
        for n in 0..5 {
            let target = format!("/victim/{n}");
            assert_eq!(ground.proxy.get(&target).await.text(), format!("GET {target}"));
        }
    }
    assert!(ground.origin.seen().iter().all(|seen| seen.target().starts_with("/victim")), "no part passes for a whole");
}

mod http2 {
    //! HTTP/2 from the client is HTTP/1.1 to the origin: what HTTP/1.1 would read otherwise must not get that far.

    use super::*;
    use h2_frames::Frames;

    #[tokio::test]
    async fn headers_that_frame_a_request_of_http_1() {
        let mut ground = Ground::new().await;
        let smuggled = format!("0\r\n\r\n{SMUGGLED}");
        for (name, value) in [
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("keep-alive", "1"),
            ("proxy-connection", "keep-alive"),
            ("content-length", "3"),
            ("content-length", "9999"),
            ("content-length", "+44"),
            ("content-length", "x"),
            ("te", "chunked"),
            ("Upper-Case", "1"),
            ("x", "a\r\ntransfer-encoding: chunked"),
            ("x", "a\nhost: evil"),
            ("x", "a\0b"),
            ("x\r\nhost", "evil"),
            ("x: y\r\nhost", "evil"),
            ("x y", "1"),
            ("", "1"),
            (":unknown", "1"),
            (":status", "200"),
        ] {
            Frames::of("POST", "/attack").header(name, value).body(&smuggled).refused(&mut ground).await;
        }
        // A body that was said to be empty: the request ended before the surplus was seen, and the surplus goes nowhere.
        let before = ground.origin.seen().len();
        assert_eq!(
            Frames::of("POST", "/attack").header("content-length", "0").body(&smuggled).send(&ground.proxy).await,
            None
        );
        ground.origin.arrived(before + 1).await;
        ground.victim(before, 1, "a body that was said to be empty").await;
        assert_eq!(ground.origin.seen()[before].text(), "");
        // What is left has one length, which is that of its body.
        let exact = smuggled.len().to_string();
        Frames::of("POST", "/attack")
            .header("content-length", &exact)
            .body(&smuggled)
            .passes(&mut ground, &smuggled)
            .await;
        Frames::of("POST", "/attack").header("te", "trailers").body(&smuggled).passes(&mut ground, &smuggled).await;
        Frames::of("GET", "/attack").body(&smuggled).passes(&mut ground, &smuggled).await;
    }

    #[tokio::test]
    async fn pseudo_headers_that_would_write_a_request_line() {
        let mut ground = Ground::new().await;
        for (name, value) in [
            (":path", "/attack HTTP/1.1\r\nhost: evil\r\n\r\nGET /smuggled"),
            (":path", "/attack HTTP/1.1"),
            (":path", "/a\tb"),
            (":path", "attack"),
            (":path", ""),
            (":method", "GET /smuggled HTTP/1.1\r\nhost: evil\r\n\r\nPOST"),
            (":method", "GET /smuggled"),
            (":method", ""),
            (":scheme", "http://evil/smuggled?"),
            (":scheme", "ftp"),
            (":authority", "h\r\nx: y"),
            (":authority", "h/smuggled"),
            (":authority", "h h"),
            (":authority", "u:p@h"),
            (":authority", "h,evil"),
        ] {
            Frames::of("POST", "/attack").pseudo(name, value).body("x").refused(&mut ground).await;
        }
        Frames::of("POST", "/attack").header("host", "evil").body("x").refused(&mut ground).await;
        Frames::of("POST", "/attack").header("host", "h").header("host", "h").body("x").refused(&mut ground).await;
        Frames::of("POST", "/attack").header("host", "h").body("x").passes(&mut ground, "x").await;
        assert_eq!(ground.origin.seen().iter().filter(|seen| seen.header("host") == "evil").count(), 0);
    }

    mod h2_frames {
        //! HTTP/2 frames as an attacker writes them: literal header fields, nothing checked.

        use super::*;

        pub(super) struct Frames {
            pseudo: Vec<(String, String)>,
            headers: Vec<(String, String)>,
            body: String,
        }

        impl Frames {
            pub(super) fn of(method: &str, path: &str) -> Self {
                let pseudo = [(":method", method), (":scheme", "http"), (":authority", "h"), (":path", path)];
                let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
                Self { pseudo, headers: Vec::new(), body: String::new() }
            }

            pub(super) fn pseudo(mut self, name: &str, value: &str) -> Self {
                for held in self.pseudo.iter_mut().filter(|(held, _)| held == name) {
                    value.clone_into(&mut held.1);
                }
                self
            }

            pub(super) fn header(mut self, name: &str, value: &str) -> Self {
                self.headers.push((name.to_owned(), value.to_owned()));
                self
            }

            pub(super) fn body(mut self, body: &str) -> Self {
                body.clone_into(&mut self.body);
                self
            }

            /// The status of the answer; `None` where the stream or the connection is ended instead.
            pub(super) async fn send(&self, proxy: &Proxy) -> Option<u16> {
                let mut block = Vec::new();
                for (name, value) in self.pseudo.iter().chain(&self.headers) {
                    // A literal without indexing, under a new name (RFC 7541 §6.2.2).
                    block.push(0);
                    text(&mut block, name.as_bytes());
                    text(&mut block, value.as_bytes());
                }
                let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
                frame(&mut bytes, 4, 0, 0, &[]);
                frame(&mut bytes, 1, 4, 1, &block);
                frame(&mut bytes, 0, 1, 1, self.body.as_bytes());
                let mut stream = TcpStream::connect(proxy.address).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                timeout(PATIENCE, status(&mut stream)).await.expect("an end of some kind in time")
            }

            pub(super) async fn refused(self, ground: &mut Ground) {
                let shown = format!("{:?} {:?}", self.pseudo, self.headers);
                let before = ground.origin.seen().len();
                let status = self.send(&ground.proxy).await;
                assert!(status.is_none_or(|status| (400..=501).contains(&status)), "{shown}: {status:?}");
                ground.victim(before, 0, &shown).await;
            }

            pub(super) async fn passes(self, ground: &mut Ground, body: &str) {
                let shown = format!("{:?} {:?}", self.pseudo, self.headers);
                let before = ground.origin.seen().len();
                assert_eq!(self.send(&ground.proxy).await, Some(200), "{shown}");
                ground.victim(before, 1, &shown).await;
                assert_eq!(ground.origin.seen()[before].text(), body, "{shown}");
            }
        }

        /// Lengths below 2^14 (RFC 7541 §5.1).
        fn text(block: &mut Vec<u8>, bytes: &[u8]) {
            match bytes.len() {
                short @ 0..=126 => block.push(u8::try_from(short).unwrap()),
                long => {
                    let rest = long - 127;
                    block.extend([127, u8::try_from(rest % 128).unwrap() | 128, u8::try_from(rest / 128).unwrap()]);
                }
            }
            block.extend(bytes);
        }

        fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
            bytes.extend(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
            bytes.extend([kind, flags]);
            bytes.extend(stream.to_be_bytes());
            bytes.extend(payload);
        }

        async fn status(stream: &mut TcpStream) -> Option<u16> {
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.ok()?;
                let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                let mut payload = vec![0; length];
                stream.read_exact(&mut payload).await.ok()?;
                match head[3] {
                    1 => return Some(status_in(&payload)),
                    // RST_STREAM, GOAWAY.
                    3 | 7 => return None,
                    _ => {}
                }
            }
        }

        /// The first field of an answer is its status: by number in the static table, or with that name and a literal of three digits.
        fn status_in(block: &[u8]) -> u16 {
            // A change of the table's size may come before it.
            let start = block.iter().position(|byte| byte & 0xe0 != 0x20).expect("a field");
            match block[start..] {
                [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
                [_, 3, a, b, c, ..] => [a, b, c].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
                [_, coded, ref rest @ ..] if coded & 0x80 != 0 => huffman_digits(&rest[..usize::from(coded & 0x7f)]),
                _ => panic!("{block:?}"),
            }
        }

        /// Digits as HPACK codes them (RFC 7541, appendix B): 0 to 2 in five bits, the others in six.
        fn huffman_digits(bytes: &[u8]) -> u16 {
            let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
            let (mut at, mut sum) = (0, 0);
            for _ in 0..3 {
                let five = u16::from_str_radix(&bits[at..at + 5], 2).unwrap();
                let digit = if five <= 2 {
                    at += 5;
                    five
                } else {
                    at += 6;
                    u16::from_str_radix(&bits[at - 6..at], 2).unwrap() - 0x19 + 3
                };
                sum = sum * 10 + digit;
            }
            sum
        }
    }
}

impl Ground {
    /// The plain request of a victim, after `attacks` whole requests of an attacker's since there were `before`.
    async fn victim(&mut self, before: usize, attacks: usize, shown: &str) {
        self.victims += 1;
        let target = format!("/victim/{}", self.victims);
        assert_eq!(self.proxy.get(&target).await.text(), format!("GET {target}"), "after {shown}");
        let seen = self.origin.seen();
        assert_eq!(seen.len(), before + attacks + 1, "{shown}: {seen:?}");
        assert!(seen.iter().all(|seen| !seen.target().contains("smuggled")), "{shown}: {seen:?}");
    }
}
