//! What a client may take, and how long it may take for it.

use std::sync::Mutex;

use bytes::Bytes;
use edge_cache_tests::{Client, Feed, Gate, Origin, PATIENCE, Proxy, ProxyBuilder, RawOrigin, Reply, Step, eventually};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

async fn proxy(origin: &Origin, limits: &str) -> Proxy {
    let toml = format!("[limits]\n{limits}\n[origin]\nurl = \"{}\"\n", origin.url());
    ProxyBuilder::config(&toml).start().await
}

async fn cut(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metrics().await.sum("edge_cache_client_connections_cut_total", &[("reason", reason)])
}

async fn refused(proxy: &Proxy, status: &str) -> f64 {
    proxy.metrics().await.sum("edge_cache_requests_refused_total", &[("status", status)])
}

async fn h2(proxy: &Proxy) -> (http2::SendRequest<Empty<Bytes>>, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://h{path}")).body(Empty::new()).unwrap()
}

/// Reads to the end, however it comes.
async fn to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    drop(timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("the connection ends"));
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn who_asks_too_often_gets_a_429_and_others_do_not() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let toml = format!(
        "[limits]\nrequests_per_client = 1\nrequests_per_client_burst = 2\n[listen]\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [origin]\nurl = \"{}\"\n",
        origin.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let ask = async |client: &str| proxy.client().get("/").header("x-forwarded-for", client).send().await;
    let mut last = ask("192.0.2.1").await;
    assert_eq!(last.status, StatusCode::OK);
    // Each takes far less than the second in which one is earned.
    last = eventually("it is too often", async || {
        let answer = ask("192.0.2.1").await;
        (answer.status != StatusCode::OK).then_some(answer)
    })
    .await;
    assert_eq!((last.status, last.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(ask("192.0.2.2").await.status, StatusCode::OK, "another client");
    assert!(refused(&proxy, "429").await >= 1.0);
}

#[tokio::test]
async fn connections_of_one_client_are_bounded() {
    let origin = Origin::start(|_| async { Reply::new(200) }).await;
    let proxy = proxy(&origin, "connections_per_client_max = 2").await;
    let connect = async || TcpStream::connect(proxy.address).await.unwrap();
    let (first, second) = (connect().await, connect().await);
    eventually("both are there", async || {
        (proxy.metrics().await.sum("edge_cache_client_connections", &[]) == 2.0).then_some(())
    })
    .await;
    let answer = to_end(&mut connect().await).await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after"), "{answer}");
    assert_eq!(cut(&proxy, "limit").await, 1.0);
    drop((first, second));
    eventually("there is room again", async || {
        proxy.client().get("/").try_send().await.is_ok_and(|answer| answer.status == StatusCode::OK).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_long_gets_a_413() {
    let origin = Origin::start(|mut arrived| async move {
        arrived.whole().await;
        Reply::new(200)
    })
    .await;
    let proxy = proxy(&origin, "body_bytes_max = 1000").await;
    let post = |body: Vec<u8>| proxy.client().ask("POST", "/").bytes(body).send();
    assert_eq!(post(vec![b'x'; 1000]).await.status, StatusCode::OK);
    let long = post(vec![b'x'; 1001]).await;
    assert_eq!((long.status, long.text()), (StatusCode::PAYLOAD_TOO_LARGE, "a request's body may have 1000 bytes\n"));
    assert_eq!(origin.count("/"), 1, "the origin hears nothing of it");
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    let head = "POST /chunks HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    stream.write_all(format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes()).await.unwrap();
    assert!(to_end(&mut stream).await.starts_with("HTTP/1.1 413"), "without a length it is found out on the way");
    assert_eq!(refused(&proxy, "413").await, 2.0);
}

#[tokio::test]
async fn a_body_that_stops_gets_a_408() {
    let origin = Origin::start(|mut arrived| async move {
        arrived.whole().await;
        Reply::new(200)
    })
    .await;
    let proxy = proxy(&origin, "body_timeout = \"200ms\"").await;
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    assert!(to_end(&mut stream).await.starts_with("HTTP/1.1 408"));
    assert_eq!(refused(&proxy, "408").await, 1.0);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_its_client_s_fault() {
    let origin = Origin::start(|mut arrived| async move {
        arrived.whole().await;
        Reply::new(200)
    })
    .await;
    let proxy = proxy(&origin, "").await;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let head = "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        stream.write_all(format!("{head}5\r\nhello\r\nzz\r\n").as_bytes()).await.unwrap();
        let answer = to_end(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(refused(&proxy, "400").await, 5.0);
    proxy.terminate();
    let ended = proxy.ended().await;
    assert!(!ended.stderr.contains("origin gave no answer"), "not a line each: {}", ended.stderr);
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_off() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", vec![b'x'; 32 << 20]) }).await;
    let proxy = proxy(&origin, "send_timeout = \"300ms\"").await;
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    origin.arrived("/", 1).await;
    eventually("the connection is gone", async || {
        (proxy.metrics().await.sum("edge_cache_client_connections", &[]) == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_takes_most_of_his_requests_back_is_cut_off() {
    let gate = Gate::new();
    let origin = Origin::behind(&gate, "no-store").await;
    let proxy = proxy(&origin, "h2_resets_max = 20").await;
    let (mut sender, connection) = h2(&proxy).await;
    let flood = async {
        for n in 0.. {
            if sender.ready().await.is_err() {
                break;
            }
            let path = format!("/{n}");
            let asking = sender.send_request(request(&path));
            // It is taken back once the origin works for it.
            tokio::select! {
                answered = asking => assert!(answered.is_err(), "nothing is answered"),
                () = origin.arrived(&path, 1) => {}
            }
        }
    };
    timeout(PATIENCE, flood).await.expect("it is cut off");
    assert!(connection.await.unwrap().is_err());
    eventually("it is counted", async || (cut(&proxy, "abuse").await == 1.0).then_some(())).await;
    gate.open();
    assert_eq!(proxy.get("/0").await.status, StatusCode::OK, "others are served");
}

#[tokio::test]
async fn a_quiet_connection_of_http_2_is_ended() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let proxy = proxy(&origin, "idle_timeout = \"1s\"").await;
    let (mut sender, connection) = h2(&proxy).await;
    assert_eq!(sender.send_request(request("/")).await.unwrap().status(), StatusCode::OK);
    timeout(PATIENCE, connection).await.expect("it ends").unwrap().expect("and says goodbye");
}

#[tokio::test]
async fn an_answer_under_way_keeps_a_connection_of_http_2_from_being_quiet() {
    let (feeder, feed) = Feed::new();
    let feed = Mutex::new(Some(feed));
    let origin = Origin::start(move |_| {
        let feed = feed.lock().unwrap().take().expect("it is asked once");
        async { Reply::new(200).header("cache-control", "no-store").feed(feed) }
    })
    .await;
    let proxy = proxy(&origin, "idle_timeout = \"1s\"").await;
    let (mut sender, connection) = h2(&proxy).await;
    let mut answer = sender.send_request(request("/")).await.unwrap();
    // One that comes later and asks for nothing is quiet for longer than that before this one is looked at.
    for _ in 0..2 {
        let (_quiet, its_connection) = h2(&proxy).await;
        timeout(PATIENCE, its_connection).await.expect("it ends").unwrap().expect("and says goodbye");
        feeder.push("more");
        assert!(answer.frame().await.unwrap().is_ok());
    }
    drop((feeder, answer));
    timeout(PATIENCE, connection).await.expect("then it ends").unwrap().expect("and says goodbye");
}

#[tokio::test]
async fn an_old_connection_is_ended_after_what_is_under_way_or_cut() {
    let gate = Gate::new();
    let origin = Origin::behind(&gate, "no-store").await;
    let proxy = proxy(&origin, "connection_age_max = \"1s\"").await;
    // Nothing is under way.
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    assert_eq!(to_end(&mut stream).await, "");
    assert_eq!(cut(&proxy, "age").await, 0.0);
    // Something that takes for ever.
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    assert_eq!(to_end(&mut stream).await, "");
    eventually("it is counted", async || (cut(&proxy, "age").await == 1.0).then_some(())).await;
    gate.open();
}

#[tokio::test]
async fn a_client_brings_only_so_many_new_keys() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let proxy = proxy(&origin, "new_keys_per_client = 2").await;
    for (path, fills) in [("/a", 1), ("/b", 1), ("/c", 2), ("/d", 2), ("/a", 1)] {
        for _ in 0..2 {
            assert_eq!(proxy.get(path).await.status, StatusCode::OK);
        }
        assert_eq!(origin.count(path), fills, "{path}");
    }
    assert!(proxy.get("/b").await.is_hit_of("memory"), "what is there is given to everybody");
    assert!(proxy.get("/e").await.said_by("memory").contains("detail=new-keys"));
}

#[tokio::test]
async fn who_says_nothing_where_tls_is_spoken_is_cut_off() {
    let (authority, origin) = (crate::pki::Authority::new(), Origin::start(|_| async { Reply::new(200) }).await);
    let toml = format!(
        "[listen]\nmore_addresses = [\"https://127.0.0.1:0\"]\n[limits]\nhead_timeout = \"300ms\"\n{}[origin]\nurl = \"{}\"\n",
        authority.shown(&authority.issue("localhost")),
        origin.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let address = proxy.announced("listening https://").await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(to_end(&mut stream).await, "");
    eventually("it is counted", async || (cut(&proxy, "handshake").await == 1.0).then_some(())).await;
    assert!(Client::new(proxy.address).get("/").try_send().await.is_ok());
}

#[tokio::test]
async fn what_a_client_brought_before_is_renewed_for_it_beyond_its_quota() {
    let origin = Origin::start(|arrived| async move {
        Reply::cached("max-age=0, stale-while-revalidate=600", format!("version {}", arrived.earlier))
    })
    .await;
    let proxy = proxy(&origin, "new_keys_per_client = 1").await;
    assert_eq!(proxy.get("/a").await.text(), "version 0");
    proxy.get("/b").await;
    eventually("it is renewed behind its hits", async || {
        let answer = proxy.get("/a").await;
        (answer.text() != "version 0" && answer.said_by("memory").contains("hit")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn doors_share_the_places_for_connections() {
    let origin = Origin::start(|_| async { Reply::new(200) }).await;
    let toml = format!(
        "[listen]\nmore_addresses = [\"http://[::1]:0\"]\n[limits]\nconnections_max = 1\n[origin]\nurl = \"{}\"\n",
        origin.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let printed = proxy.printed();
    let other = printed.lines().filter_map(|line| line.strip_prefix("listening http://")).nth(1).unwrap();
    let other = other.parse().unwrap();
    let first = TcpStream::connect(proxy.address).await.unwrap();
    let open = async |count: f64| {
        let metrics = async || (proxy.metrics().await.sum("edge_cache_client_connections", &[]) == count).then_some(());
        eventually("connections are counted", metrics).await;
    };
    open(1.0).await;
    let ask = async |address| Client::new(address).get("/").send().await.status;
    let waiting = async { tokio::join!(ask(proxy.address), ask(other), ask(other)) };
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("there was one place, and it was taken"),
        // Each of these goes by a listener of its own.
        () = async { for _ in 0..20 { open(1.0).await; } } => {}
    }
    drop(first);
    assert_eq!(waiting.await, (StatusCode::OK, StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn who_makes_no_room_for_an_answer_over_http_2_is_cut_off() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=60", "x") }).await;
    let proxy = proxy(&origin, "send_timeout = \"300ms\"").await;
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let mut client = http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(0);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request("/")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "the head needs no room");
    drop(timeout(PATIENCE, connection).await.expect("it is cut"));
    eventually("it is counted", async || (cut(&proxy, "stalled").await == 1.0).then_some(())).await;
}

#[tokio::test]
async fn who_leaves_one_answer_over_http_2_while_it_takes_others_is_asked_to_go_and_then_cut_off() {
    let origin = Origin::start(|arrived| async move {
        match arrived.seen.target.as_str() {
            // More than one piece, and passed on as it comes: what is stored goes out as a whole, and occupies nobody.
            "/long" => Reply::cached("no-store", vec![b'x'; 4 << 20]),
            _ => Reply::cached("max-age=60", "x"),
        }
    })
    .await;
    let proxy = proxy(&origin, "send_timeout = \"500ms\"").await;
    let stream = TcpStream::connect(proxy.address).await.unwrap();
    let mut client = http2::Builder::new(TokioExecutor::new());
    client.initial_stream_window_size(1);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let _left = sender.send_request(request("/long")).await.unwrap();
    let takes_others = async {
        while let Ok(answer) = sender.send_request(request("/")).await {
            drop(answer);
        }
    };
    timeout(PATIENCE, takes_others).await.expect("it is asked to go");
    drop(timeout(PATIENCE, connection).await.expect("it is cut"));
    eventually("it is counted", async || (cut(&proxy, "stalled").await == 1.0).then_some(())).await;
}

#[tokio::test]
async fn a_tunnel_occupies_a_place_for_as_long_as_it_is_open() {
    let origin = RawOrigin::start(|_| {
        let switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        vec![Step::send(switched), Step::Echo]
    })
    .await;
    let toml = format!("[limits]\nconnections_per_client_max = 1\n[origin]\nurl = \"{}\"\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    let mut tunnel = TcpStream::connect(proxy.address).await.unwrap();
    tunnel.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tunnel.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    tunnel.write_all(b"ping").await.unwrap();
    tunnel.read_exact(&mut [0; 4]).await.unwrap();
    let answer = to_end(&mut TcpStream::connect(proxy.address).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    drop(tunnel);
    eventually("there is room again", async || {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\nhost: h\r\n\r\n").await.ok()?;
        let answer = to_end(&mut stream).await;
        (!answer.starts_with("HTTP/1.1 429")).then_some(())
    })
    .await;
}
