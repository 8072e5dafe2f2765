//! Response splitting and desynchronised connections: whatever an origin sends, nobody gets the answer to another's request.

use edge_cache_tests::{Gate, PATIENCE, Proxy, ProxyBuilder, RawOrigin, Step, eventually, raw};
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// An origin that answers `/attack` with these bytes, and all else with the name of what was asked.
async fn hostile(attack: impl Into<Vec<u8>>, then: Vec<Step>) -> (RawOrigin, Proxy) {
    let attack = attack.into();
    let origin = RawOrigin::start(move |request| {
        let target = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
        if target.starts_with("/attack") {
            return [vec![Step::Send(attack.clone())], then.clone()].concat();
        }
        let length = target.len();
        vec![Step::send(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{target}"))]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    (origin, proxy)
}

async fn victims(proxy: &Proxy, shown: &str) {
    for n in 0..3 {
        let target = format!("/victim/{n}");
        assert_eq!(proxy.get(&target).await.text(), target, "after {shown:?}");
    }
}

#[tokio::test]
async fn heads_that_are_none() {
    for head in [
        "HTTP/1.1 200 OK\r\nx: a\rset-cookie: evil\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nx: a\r\n folded: b\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nx y: a\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ncontent-length: 4, 5\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ncontent-length: +4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nevil",
        "HTTP/1.1 20 OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.1 abc OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/2.0 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        "evil",
        "\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        let (origin, proxy) = hostile(head, vec![Step::Close]).await;
        for _ in 0..2 {
            let attacker = proxy.get("/attack").await;
            assert_eq!(attacker.status, StatusCode::BAD_GATEWAY, "{head:?}: {attacker:?}");
            assert!(!attacker.text().contains("evil") && attacker.headers.get("set-cookie").is_none(), "{head:?}");
        }
        victims(&proxy, head).await;
        let count = origin.seen().iter().filter(|seen| seen.head.contains("/attack")).count();
        assert_eq!(count, 2, "{head:?}: asked once for each, and nothing kept");
    }
}

#[tokio::test]
async fn more_than_one_answer() {
    let evil = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nevil";
    for first in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 204 No Content\r\ncontent-length: 71\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 71\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let both = format!("{first}{evil}");
        let (origin, proxy) = hostile(both.clone(), vec![]).await;
        let attacker = proxy.get("/attack").await;
        assert!(!attacker.text().contains("evil"), "{both:?}: {attacker:?}");
        victims(&proxy, &both).await;
        let attack = origin.seen().iter().find(|seen| seen.head.contains("/attack")).unwrap().connection;
        let later = origin.seen().iter().filter(|seen| seen.connection == attack).count();
        assert_eq!(later, 1, "{both:?}: its connection is not used again");
    }
}

#[tokio::test]
async fn an_answer_with_a_body_where_there_is_none() {
    // To HEAD, which has none whatever its length says.
    let (origin, proxy) = hostile("HTTP/1.1 200 OK\r\ncontent-length: 71\r\n\r\nHTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nevil", vec![]).await;
    let head = proxy.client().ask("HEAD", "/attack").send().await;
    assert_eq!((head.status, head.text(), head.header("content-length")), (StatusCode::OK, "", "71"));
    victims(&proxy, "HEAD").await;
    assert_eq!(origin.seen().iter().filter(|seen| seen.connection == 0).count(), 1);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_on_an_idle_connection() {
    // What comes before the next request is sent is nobody's, and ends the connection. What crosses it on the way nobody can tell apart.
    let (gate, listener) = (Gate::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (opened, ended) = (gate.clone(), Gate::new());
    let end = ended.clone();
    let first = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        opened.passed().await;
        let evil = b"HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nevil";
        stream.write_all(evil).await.unwrap();
        // Not one more byte comes on it.
        assert_eq!(stream.read(&mut head).await.unwrap_or(0), 0);
        end.open();
        let (mut next, _) = listener.accept().await.unwrap();
        assert!(next.read(&mut head).await.unwrap() > 0);
        next.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nown").await.unwrap();
    });
    let proxy = ProxyBuilder::serve(&url).start().await;
    assert_eq!(proxy.get("/attack").await.text(), "ok");
    gate.open();
    ended.passed().await;
    assert_eq!(proxy.get("/victim").await.text(), "own");
    first.await.unwrap();
}

#[tokio::test]
async fn a_length_beside_a_coding() {
    // RFC 9112 §6.3: the coding counts, and whoever passes it on takes the length off.
    for length in [2, 4, 40] {
        let bytes = format!(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
        );
        let (origin, proxy) = hostile(bytes, vec![]).await;
        let request = b"GET /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
        for at in 0..2 {
            let answer = raw(proxy.address, request).await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let lengths: Vec<_> = head.lines().filter(|line| line.starts_with("content-length")).collect();
            assert!(lengths.iter().all(|line| *line == "content-length: 4"), "{length}: {answer}");
            assert!(body == "body" || body == "4\r\nbody\r\n0\r\n\r\n", "{length} {at}: {answer}");
        }
        assert!(proxy.client().get("/attack").header("host", "h").send().await.is_hit_of("memory"));
        victims(&proxy, "both").await;
        assert_eq!(origin.seen().iter().filter(|seen| seen.head.contains("/attack")).count(), 1, "{length}");
    }
}

#[tokio::test]
async fn one_length_said_twice() {
    for lines in ["content-length: 4\r\ncontent-length: 4\r\n", "content-length: 4, 4\r\n", "content-length: 0004\r\n"]
    {
        let bytes = format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{lines}\r\nbody");
        let (_origin, proxy) = hostile(bytes, vec![]).await;
        for _ in 0..2 {
            let answer = proxy.get("/attack").await;
            let said: Vec<_> =
                answer.headers.get_all("content-length").iter().map(|one| one.to_str().unwrap()).collect();
            assert_eq!((said, answer.text()), (vec!["4"], "body"), "{lines:?}");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_length_than_is_said_is_never_kept() {
    for (bytes, whole) in [
        ("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 10\r\n\r\nshort", false),
        ("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n", false),
        ("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\na\r\nshort", false),
        (
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\nno trailer\r\n\r\n",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nshort",
            false,
        ),
        ("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n5\nshort\n0\n\n", false),
        ("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nlonger", true),
    ] {
        let (origin, proxy) = hostile(bytes, vec![Step::Close]).await;
        for _ in 0..2 {
            let got = proxy.client().get("/attack").try_send().await;
            match got {
                Ok(answer) if whole => assert_eq!(answer.text(), "long", "{bytes:?}"),
                Ok(answer) => assert!(answer.status.is_server_error(), "{bytes:?}: {answer:?}"),
                Err(_) => assert!(!whole, "{bytes:?}"),
            }
        }
        let count = origin.seen().iter().filter(|seen| seen.head.contains("/attack")).count();
        assert_eq!(count, if whole { 1 } else { 2 }, "{bytes:?}");
        victims(&proxy, bytes).await;
    }
}

#[tokio::test]
async fn line_ends_of_another_kind_are_written_anew() {
    let (_origin, proxy) =
        hostile("HTTP/1.1 200 OK\ncache-control: max-age=60\nx: y\ncontent-length: 4\n\nbody", vec![]).await;
    for _ in 0..2 {
        let answer = raw(proxy.address, b"GET /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nx: y\r\n") || head.ends_with("\r\nx: y"), "{answer:?}");
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']) && body == "body", "{answer:?}");
    }
}

#[tokio::test]
async fn what_the_origin_names_in_connection() {
    // What may be done with an answer is not taken off it.
    let bytes = "HTTP/1.1 200 OK\r\nconnection: cache-control, vary, age, set-cookie, content-length, x-hop\r\ncache-control: private\r\nvary: cookie\r\nage: 5\r\nset-cookie: a=ada\r\nx-hop: 1\r\ncontent-length: 4\r\n\r\nmine";
    let origin = RawOrigin::start(move |_| vec![Step::send(bytes)]).await;
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nttl = \"1h\"\n";
    let proxy = ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{route}", origin.url())).start().await;
    for count in 1..=2 {
        let answer = proxy.get("/").await;
        assert_eq!((answer.header("cache-control"), answer.header("x-hop")), ("private", ""), "{answer:?}");
        assert_eq!(origin.seen().len(), count, "not kept");
    }
}

#[tokio::test]
async fn a_flood_of_interim_answers() {
    let flood = "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\nset-cookie: a=evil\r\n\r\n".repeat(20_000);
    let bytes = format!("{flood}HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbody");
    let (origin, proxy) = hostile(bytes, vec![]).await;
    let before = proxy.memory_peak_bytes();
    let answer = raw(proxy.address, b"GET /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(answer.ends_with("\r\n\r\nbody") && !answer.contains("evil"), "{} bytes", answer.len());
    assert!(proxy.memory_peak_bytes() < before + (64 << 20), "hints that nobody can take are dropped");
    assert!(proxy.client().get("/attack").header("host", "h").send().await.is_hit_of("memory"));
    victims(&proxy, "a flood").await;
    assert_eq!(origin.seen().iter().filter(|seen| seen.head.contains("/attack")).count(), 1);
}

#[tokio::test]
async fn an_answer_before_the_request_was_sent_whole() {
    // The origin reads no body: what of it is still to come would be the head of another request.
    let origin = RawOrigin::start(|request| {
        let target = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
        let status = if target == "/attack" { 413 } else { 200 };
        vec![Step::send(&format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{target}", target.len()))]
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let mut attacker = TcpStream::connect(proxy.address).await.unwrap();
    attacker.write_all(b"POST /attack HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n12345").await.unwrap();
    let mut status = [0; 13];
    timeout(PATIENCE, attacker.read_exact(&mut status)).await.expect("an answer in time").unwrap();
    assert_eq!(&status, b"HTTP/1.1 413 ");
    // While the rest may still come, and once it cannot.
    victims(&proxy, "an early answer").await;
    drop(attacker);
    victims(&proxy, "an early answer").await;
    let seen = origin.seen();
    assert!(seen.iter().skip(1).all(|seen| seen.connection != 0), "its connection is not used again: {seen:?}");
}

#[tokio::test]
async fn a_status_line_with_words_of_its_own() {
    let (_origin, proxy) = hostile(
        "HTTP/1.1 200 <script>alert(1)</script>\r\ncache-control: max-age=60\r\ncontent-length: 4\r\n\r\nbody",
        vec![],
    )
    .await;
    for _ in 0..2 {
        let answer = raw(proxy.address, b"GET /attack HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("body"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    }
}

#[tokio::test]
async fn heads_without_end() {
    for bytes in [
        format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(2 << 20)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(10_000)),
    ] {
        let (_origin, proxy) = hostile(bytes, vec![Step::Close]).await;
        assert_eq!(proxy.get("/attack").await.status, StatusCode::BAD_GATEWAY);
        victims(&proxy, "a head without end").await;
        eventually("the process goes on", async || proxy.get("/victim").await.status.is_success().then_some(())).await;
    }
}
