use std::future::Future;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Method;
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::yield_now,
    time::timeout,
};

use super::*;

/// Longest wait for what comes at once in a healthy run.
const PATIENCE: Duration = Duration::from_secs(30);

type Connections = Pool<Full<Bytes>>;

/// A pool, and the origin that it connects to.
async fn pool(config: UpstreamConfig) -> (Connections, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::of(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    (Pool::new(&config, &target, None), listener)
}

fn request(method: Method, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri("/").header("host", "origin");
    request.body(Full::from(body)).unwrap()
}

async fn ask(pool: &Connections) -> Answer {
    pool.ask(&mut request(Method::GET, ""), Instant::now()).await.unwrap()
}

async fn heard(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
}

async fn say(stream: &mut TcpStream, bytes: &str) {
    stream.write_all(bytes.as_bytes()).await.unwrap();
}

/// A request to an origin that hears it on a new connection and says this to it.
async fn on_a_new_one(pool: &Connections, listener: &TcpListener, says: &str) -> (Answer, TcpStream) {
    let origin = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        heard(&mut stream).await;
        say(&mut stream, says).await;
        stream
    };
    timely(async { tokio::join!(ask(pool), origin) }).await
}

async fn timely<F: Future>(what: F) -> F::Output {
    timeout(PATIENCE, what).await.expect("in time")
}

async fn text((response, _in_use): Answer) -> String {
    let (mut body, mut all) = (response.into_body(), Vec::new());
    while let Some(frame) = timely(body.frame()).await {
        all.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    String::from_utf8(all).unwrap()
}

/// Whether the connection from this port knows that the other side has closed it (`CLOSE_WAIT` in `/proc/net/tcp`), which takes no turn of the runtime.
fn has_been_closed(port: u16) -> bool {
    let port = format!(":{port:04X}");
    std::fs::read_to_string("/proc/net/tcp").unwrap().lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some("08")
    })
}

/// Waits until so many connections are ready for a request.
async fn until_ready(pool: &Connections, connections: usize) {
    let ready = || pool.shared.idle.lock().kept.iter().filter(|kept| kept.connection.sender.is_ready()).count();
    timely(async {
        while ready() != connections {
            yield_now().await;
        }
    })
    .await;
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbeg";

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_is_over() {
    let (pool, listener) = pool(UpstreamConfig::default()).await;
    let (begun, mut first) = on_a_new_one(&pool, &listener, BEGUN).await;
    let (whole, mut second) = on_a_new_one(&pool, &listener, OK).await;
    assert_eq!(text(whole).await, "ok");
    until_ready(&pool, 1).await;
    // The one whose answer is still coming is left alone.
    let mut third = Box::pin(ask(&pool));
    assert!(third.as_mut().now_or_never().is_none(), "nothing was said yet");
    timely(heard(&mut second)).await;
    say(&mut first, "un").await;
    assert_eq!(text(begun).await, "begun");
    until_ready(&pool, 1).await;
    let origin = async {
        heard(&mut first).await;
        say(&mut first, OK).await;
    };
    let (fourth, ()) = timely(async { tokio::join!(ask(&pool), origin) }).await;
    assert_eq!(text(fourth).await, "ok");
    let (third, ()) = timely(async { tokio::join!(third, say(&mut second, OK)) }).await;
    assert_eq!(text(third).await, "ok");
    assert!(listener.accept().now_or_never().is_none(), "no other connection was made");
}

#[tokio::test]
async fn no_more_are_kept_than_may_be_idle() {
    let (pool, listener) = pool(UpstreamConfig { idle_connections_max: 1, ..UpstreamConfig::default() }).await;
    let (begun, mut first) = on_a_new_one(&pool, &listener, BEGUN).await;
    let (whole, mut second) = on_a_new_one(&pool, &listener, OK).await;
    assert_eq!(pool.shared.idle.lock().kept.len(), 0, "an answer that is under way is none that is idle");
    assert_eq!(text(whole).await, "ok");
    until_ready(&pool, 1).await;
    say(&mut first, "un").await;
    assert_eq!(text(begun).await, "begun");
    assert_eq!(timely(second.read(&mut [0])).await.unwrap(), 0, "the one that was used last is kept");
    until_ready(&pool, 1).await;
}

#[tokio::test]
async fn who_is_idle_for_too_long_is_closed() {
    let (pool, listener) = pool(UpstreamConfig::default()).await;
    for _ in 0..2 {
        let (whole, mut stream) = on_a_new_one(&pool, &listener, OK).await;
        assert_eq!(text(whole).await, "ok");
        until_ready(&pool, 1).await;
        let since = pool.shared.idle.lock().kept[0].since;
        tokio::time::pause();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        let timeout = UpstreamConfig::default().idle_timeout;
        assert!((timeout..3 * timeout).contains(&since.elapsed()), "{:?}", since.elapsed());
        tokio::time::resume();
        let idle = pool.shared.idle.lock();
        assert!(idle.kept.is_empty() && !idle.is_swept, "the next one begins anew");
    }
}

#[tokio::test]
async fn who_may_not_be_idle_at_all_is_closed() {
    let (pool, listener) = pool(UpstreamConfig { idle_connections_max: 0, ..UpstreamConfig::default() }).await;
    let (whole, mut stream) = on_a_new_one(&pool, &listener, OK).await;
    assert_eq!(text(whole).await, "ok");
    assert_eq!(timely(stream.read(&mut [0])).await.unwrap(), 0);
    assert!(pool.shared.idle.lock().kept.is_empty());
}

#[tokio::test]
async fn who_was_answered_before_all_was_sent_is_closed_after_a_while() {
    let (pool, listener) = pool(UpstreamConfig::default()).await;
    let origin = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        heard(&mut stream).await;
        say(&mut stream, OK).await;
        stream
    };
    // More than sockets take.
    let mut post = request(Method::POST, "").map(|_| Full::from(vec![0; 64 << 20]));
    let (answer, mut stream) = timely(async { tokio::join!(pool.ask(&mut post, Instant::now()), origin) }).await;
    assert_eq!(text(answer.unwrap()).await, "ok");
    assert!(pool.shared.idle.lock().kept.is_empty());
    tokio::time::pause();
    timeout(UNREAD_MAX * 2, std::future::pending::<()>()).await.expect_err("time passes");
    // What it had sent, and then no more of it.
    let (mut piece, mut read) = (vec![0; 1 << 20], 0);
    while let Ok(len @ 1..) = stream.read(&mut piece).await {
        read += len;
    }
    assert!(read < 64 << 20, "{read} bytes");
    assert!(pool.shared.idle.lock().kept.is_empty());
}

/// The origin takes no new connections, and answers on those it has.
#[tokio::test]
async fn who_waits_for_a_connection_takes_one_that_came_to_be_idle() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Two may wait to be accepted.
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let target = Target::of(&format!("http://{address}")).unwrap();
    let pool = Connections::new(&UpstreamConfig::default(), &target, None);
    let (begun, mut first) = on_a_new_one(&pool, &listener, BEGUN).await;
    let _waiting = timely(async { tokio::join!(TcpStream::connect(address), TcpStream::connect(address)) }).await;
    let (mut post, now) = (request(Method::POST, "body"), Instant::now());
    let mut second = Box::pin(pool.ask(&mut post, now));
    assert!(second.as_mut().now_or_never().is_none(), "it is not taken");
    say(&mut first, "un").await;
    let origin = async {
        assert_eq!(text(begun).await, "begun");
        heard(&mut first).await;
        let mut body = [0; 4];
        first.read_exact(&mut body).await.unwrap();
        say(&mut first, OK).await;
        body
    };
    let (second, body) = timely(async { tokio::join!(second, origin) }).await;
    assert_eq!((text(second.unwrap()).await.as_str(), &body), ("ok", b"body"));
}

/// The origin closes a connection, and nobody has looked since: the request comes back from it, and another takes it, body and all.
#[tokio::test]
async fn what_a_closed_connection_did_not_take_goes_to_another() {
    let (pool, listener) = pool(UpstreamConfig::default()).await;
    let (whole, first) = on_a_new_one(&pool, &listener, OK).await;
    assert_eq!(text(whole).await, "ok");
    until_ready(&pool, 1).await;
    // The runtime hears of the close together with what this task waits for, and this task is the first to run.
    let aside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut word = TcpStream::connect(aside.local_addr().unwrap()).await.unwrap();
    let (mut teller, _) = aside.accept().unwrap();
    let port = first.peer_addr().unwrap().port();
    drop(first);
    while !has_been_closed(port) {
        std::thread::yield_now();
    }
    std::io::Write::write_all(&mut teller, b"!").unwrap();
    word.read_u8().await.unwrap();
    assert!(pool.shared.idle.lock().kept[0].connection.sender.is_ready());
    let origin = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        heard(&mut stream).await;
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"body");
        say(&mut stream, OK).await;
    };
    let mut post = request(Method::POST, "body");
    let (answer, ()) = timely(async { tokio::join!(pool.ask(&mut post, Instant::now()), origin) }).await;
    assert_eq!(text(answer.unwrap()).await, "ok");
}
