//! Slow headers: a connection that does not get to the end of a head is closed, and costs nobody else anything.

use edge_cache_tests::{PATIENCE, Proxy, ProxyBuilder, WireOrigin};
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

async fn impatient(origin: &WireOrigin) -> Proxy {
    ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n[limits]\nhead_timeout = \"1s\"\n", origin.url()))
        .start()
        .await
}

/// What comes until the server ends the connection: that it does so is the event waited for.
async fn ended(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut got)).await.expect("the connection is ended");
    // A reset is an end too.
    drop(read);
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test]
async fn uploads_that_do_not_come_to_their_end_speak_for_nobody_but_their_clients() {
    let origin = WireOrigin::echo().await;
    let toml = format!(
        "[origin]\nurl = \"{}\"\nresponse_timeout = \"1s\"\n[limits]\nrequest_timeout = \"3s\"\n",
        origin.url()
    );
    let proxy = ProxyBuilder::config(&toml).start().await;
    let upload = async || {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let head = "POST /slow HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf";
        stream.write_all(head.as_bytes()).await.unwrap();
        ended(&mut stream).await
    };
    let (one, two, three) = tokio::join!(upload(), upload(), upload());
    assert!([&one, &two, &three].iter().all(|got| got.starts_with("HTTP/1.1 504")), "{one}");
    assert_eq!(proxy.get("/other").await.status, StatusCode::OK, "the origin is asked as before");
}

#[tokio::test]
async fn a_head_that_does_not_come_to_its_end() {
    let origin = WireOrigin::echo().await;
    let proxy = impatient(&origin).await;
    for begun in [
        "",
        "G",
        "GET / HT",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nhost: h\r\nx: ",
        "GET / HTTP/1.1\r\nhost: h\r\n",
        "PRI * HTTP/2.0\r\n",
    ] {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let got = ended(&mut stream).await;
        assert!(got.is_empty() || got.starts_with("HTTP/1.1 408 "), "{begun:?}: {got}");
    }
    assert!(origin.asked().is_empty());
    assert_eq!(proxy.client().get("/").header("host", "h").send().await.text(), "GET / for h");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte() {
    let origin = WireOrigin::echo().await;
    let proxy = impatient(&origin).await;
    let (mut read, mut write) = TcpStream::connect(proxy.address).await.unwrap().into_split();
    // Each byte is taken at once; all of them together take too long, because there is no end to them.
    let drips = tokio::spawn(async move {
        let start = write.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nx: ").await;
        let mut pace = tokio::time::interval(std::time::Duration::from_millis(5));
        while start.is_ok() && write.write_all(b"y").await.is_ok() {
            pace.tick().await;
        }
    });
    let mut got = Vec::new();
    drop(
        timeout(PATIENCE, read.read_to_end(&mut got))
            .await
            .expect("the connection is ended, however often a byte comes"),
    );
    timeout(PATIENCE, drips).await.expect("nobody reads any more").unwrap();
    assert!(origin.asked().is_empty());
}

#[tokio::test]
async fn a_second_head_that_does_not_come() {
    let origin = WireOrigin::echo().await;
    let proxy = impatient(&origin).await;
    for second in ["", "GET /second HTTP/1.1\r\nhost: "] {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(format!("GET / HTTP/1.1\r\nhost: h\r\n\r\n{second}").as_bytes()).await.unwrap();
        let got = ended(&mut stream).await;
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n") && !got.contains("/second"), "{got}");
    }
    assert_eq!(origin.asked(), ["GET /"]);
}

#[tokio::test]
async fn a_crowd_of_slow_heads_holds_nobody_up() {
    let origin = WireOrigin::echo().await;
    let proxy =
        ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n[limits]\nhead_timeout = \"1h\"\n", origin.url()))
            .start()
            .await;
    let mut crowd = Vec::new();
    for _ in 0..500 {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n").await.unwrap();
        crowd.push(stream);
    }
    for n in 0..20 {
        let target = format!("/{n}");
        assert_eq!(proxy.client().get(&target).header("host", "h").send().await.text(), format!("GET {target} for h"));
    }
    assert_eq!(origin.asked().len(), 20);
}
