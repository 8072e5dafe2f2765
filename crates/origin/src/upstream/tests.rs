use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_breaker::State;
use edge_cache_core::{Disconnected, Rng, SystemClock, SystemRng, Upload};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};
use tower::{ServiceExt, retry::budget::TpsBudget};

use super::{Upstream, UpstreamBody, UpstreamConfig};

/// Longest wait for what comes at once in a healthy run.
const PATIENCE: Duration = Duration::from_secs(30);

type Http = Upstream<Full<Bytes>>;

/// Answers each request, its body read, with the same bytes on a connection of its own. Ends when dropped.
struct Origin {
    url: String,
    _task: JoinSet<()>,
}

impl Origin {
    async fn answers(reply: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, reply));
            }
        });
        Self { url, _task: task }
    }
}

async fn answer(mut stream: TcpStream, reply: &'static str) {
    let (mut head, mut body) = (Vec::new(), [0; 4]);
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    if head.starts_with(b"POST") {
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"body");
    }
    stream.write_all(reply.as_bytes()).await.unwrap();
    if reply.ends_with("...") {
        // Nothing more comes, and no end.
        std::future::pending::<()>().await;
    }
    while reply.ends_with('+') && stream.write_all(b"++++").await.is_ok() {}
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
const AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\naway";

/// A port that refuses connections, held.
fn nobody() -> (String, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (format!("http://{}", socket.local_addr().unwrap()), socket)
}

fn config(urls: &[&str]) -> UpstreamConfig {
    let more_urls = urls[1..].iter().map(ToString::to_string).collect();
    UpstreamConfig { url: urls[0].into(), more_urls, ..UpstreamConfig::default() }
}

fn upstream(config: &UpstreamConfig) -> Http {
    Upstream::new(config, Arc::new(SystemClock), Arc::new(SystemRng)).unwrap()
}

async fn ask(upstream: &Http, method: &str, body: &'static str) -> Response<UpstreamBody> {
    let request = Request::builder().method(method).uri("http://site/").body(Full::from(body)).unwrap();
    timeout(PATIENCE, upstream.clone().oneshot(request)).await.expect("an answer in time").unwrap()
}

async fn text(response: Response<UpstreamBody>) -> String {
    let mut body = std::pin::pin!(response.into_body());
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        all.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    String::from_utf8(all).unwrap()
}

/// Draws the first origin.
#[derive(Debug)]
struct First;

impl Rng for First {
    fn unit(&self) -> f64 {
        0.0
    }
}

#[tokio::test]
async fn a_body_that_is_coded_for_its_way_is_no_answer() {
    const GZIP: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\nconnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const TWICE: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: deflate\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const PLAIN: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nconnection: close\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for (reply, status) in [(GZIP, 502), (TWICE, 502), (PLAIN, 200)] {
        let origin = Origin::answers(reply).await;
        let answer = ask(&upstream(&config(&[&origin.url])), "GET", "").await;
        assert_eq!(answer.status(), status, "{reply}");
        assert_eq!(text(answer).await == "ok", status == 200, "{reply}");
    }
}

#[tokio::test]
async fn the_origin_is_told_the_host_and_no_user() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&config(&[&format!("http://{}", listener.local_addr().unwrap())]));
    let asked = Request::get("http://ann:pw@site:8080/a").body(Full::default()).unwrap();
    let asking = tokio::spawn(upstream.oneshot(asked));
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("GET /a HTTP/1.1\r\n") && head.contains("\r\nhost: site:8080\r\n"), "{head}");
    drop(stream);
    assert_eq!(asking.await.unwrap().unwrap().status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn who_refuses_connections_is_left_alone_at_once() {
    let (url, socket) = nobody();
    let upstream = upstream(&config(&[&url]));
    for _ in 0..3 {
        assert_eq!(ask(&upstream, "GET", "").await.status(), StatusCode::BAD_GATEWAY);
    }
    let listener = socket.listen(16).unwrap();
    tokio::time::pause();
    let refused = ask(&upstream, "GET", "").await;
    let retry_after = refused.headers()["retry-after"].to_str().unwrap();
    assert_eq!((refused.status(), retry_after), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(refused.extensions().get::<Disconnected>().is_some());
    assert!(listener.accept().now_or_never().is_none(), "no connection was tried");
    let state = &upstream.state()[0];
    assert_eq!((state.breaker, state.requests, state.failures, state.in_flight), (State::Open, 3, 3, 0));
}

#[tokio::test]
async fn a_handful_of_failing_answers_or_closed_connections_cuts_nobody_off() {
    for reply in [AWAY, ""] {
        let origin = Origin::answers(reply).await;
        let upstream = upstream(&config(&[&origin.url]));
        for _ in 0..19 {
            drop(ask(&upstream, "GET", "").await);
        }
        let state = &upstream.state()[0];
        assert_eq!((state.breaker, state.requests, state.failures), (State::Closed, 19, 19), "{reply}");
        drop(ask(&upstream, "GET", "").await);
        assert_eq!(upstream.state()[0].breaker, State::Open, "twenty of twenty say something");
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_left_alone() {
    let origin = Origin::answers("HTTP/1.1 200 OK\r\nx: ...").await;
    let short = Duration::from_millis(5);
    for config in [
        UpstreamConfig { response_timeout: short, ..config(&[&origin.url]) },
        UpstreamConfig { total_timeout: short, response_timeout: PATIENCE * 2, ..config(&[&origin.url]) },
    ] {
        let upstream = upstream(&config);
        for _ in 0..3 {
            assert_eq!(ask(&upstream, "GET", "").await.status(), StatusCode::GATEWAY_TIMEOUT);
        }
        tokio::time::pause();
        assert_eq!(ask(&upstream, "GET", "").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_slow_url_does_not_have_an_origin_left_alone_that_answers_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(&UpstreamConfig {
        response_timeout: PATIENCE,
        ..config(&[&format!("http://{}", listener.local_addr().unwrap())])
    });
    let slow: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let upstream = upstream.clone();
                async move { ask(&upstream, "GET", "").await.status() }
            })
        })
        .collect();
    let mut held = Vec::new();
    for _ in 0..3 {
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
        // Its question is there, and gets no answer.
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    let other = tokio::spawn({
        let upstream = upstream.clone();
        async move { ask(&upstream, "GET", "").await.status() }
    });
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
    answer(stream, OK).await;
    assert_eq!(other.await.unwrap(), StatusCode::OK);
    // The clock of the test goes on by itself to the end of the wait.
    tokio::time::pause();
    for slow in slow {
        assert_eq!(slow.await.unwrap(), StatusCode::GATEWAY_TIMEOUT);
    }
    let state = &upstream.state()[0];
    assert_eq!((state.breaker, state.failures), (State::Closed, 3));
}

#[tokio::test]
async fn who_has_not_sent_all_of_a_question_says_nothing_of_its_origin() {
    let origin = Origin::answers("HTTP/1.1 200 OK\r\nx: ...").await;
    let (response_timeout, total_timeout) = (Duration::from_millis(5), Duration::from_millis(50));
    let upstream = upstream(&UpstreamConfig { response_timeout, total_timeout, ..config(&[&origin.url]) });
    for (is_over, breaker) in [(false, State::Closed), (true, State::Open)] {
        for _ in 0..3 {
            let upload = Upload::default();
            if is_over {
                upload.end(Instant::now().into_std());
            }
            let request = Request::post("http://site/").extension(upload).body(Full::from("body")).unwrap();
            let answer = timeout(PATIENCE, upstream.clone().oneshot(request)).await.expect("in time").unwrap();
            assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
        }
        assert_eq!(upstream.state()[0].breaker, breaker);
    }
}

#[tokio::test]
async fn the_wait_for_an_answer_begins_when_the_question_is_complete() {
    let limit = Duration::from_secs(2);
    for is_in_time in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream(&UpstreamConfig { response_timeout: limit, ..config(&[&url]) });
        let upload = Upload::default();
        let request = Request::post("http://site/").extension(upload.clone()).body(Full::from("body")).unwrap();
        let asking = tokio::spawn(upstream.oneshot(request));
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\nbody") {
            asked.push(stream.read_u8().await.unwrap());
        }
        tokio::time::pause();
        for _ in 0..10 {
            tokio::time::advance(limit).await;
            tokio::task::yield_now().await;
        }
        // Between two looks at the clock.
        tokio::time::advance(limit / 2).await;
        assert!(!asking.is_finished(), "it waits for its client");
        let ended = Instant::now();
        upload.end(ended.into_std());
        // Where the answer does not come, the clock of the test goes on to the end of the wait by itself.
        if is_in_time {
            tokio::time::resume();
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
        let status = asking.await.unwrap().unwrap().status();
        assert_eq!(status, if is_in_time { StatusCode::OK } else { StatusCode::GATEWAY_TIMEOUT });
        if !is_in_time {
            assert!(ended.elapsed() >= limit, "all of the wait is left: {:?}", ended.elapsed());
            tokio::time::resume();
        }
    }
}

#[tokio::test]
async fn an_origin_that_does_not_take_what_has_come_is_not_waited_for() {
    let limit = Duration::from_secs(2);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let upstream = upstream(&UpstreamConfig { response_timeout: limit, ..config(&[&url]) });
    let upload = Upload::default();
    let request = Request::post("http://site/").extension(upload.clone()).body(Full::from("body")).unwrap();
    let asking = tokio::spawn(upstream.clone().oneshot(request));
    let (_stream, _) = timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
    tokio::time::pause();
    for _ in 0..10 {
        upload.take(Instant::now().into_std());
        tokio::time::advance(limit / 2).await;
        tokio::task::yield_now().await;
    }
    assert!(!asking.is_finished(), "it takes a piece now and then");
    // And no more: the clock of the test goes on by itself.
    let last = upload.taken().unwrap();
    assert_eq!(asking.await.unwrap().unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    let waited = Instant::now().into_std() - last;
    assert!((limit..2 * limit).contains(&waited), "{waited:?}");
    assert_eq!(upstream.state()[0].failures, 1, "it is the origin's");
    tokio::time::resume();
}

#[tokio::test]
async fn a_failing_answer_is_tried_elsewhere_while_the_budget_lasts() {
    let origins = [Origin::answers(AWAY).await, Origin::answers(AWAY).await];
    let config = config(&[&origins[0].url, &origins[1].url]);
    let budget = TpsBudget::new(Duration::from_secs(60), 0, 0.1);
    let upstream = Http::with_budget(&config, Arc::new(SystemClock), Arc::new(SystemRng), budget).unwrap();
    for _ in 0..20 {
        assert_eq!(text(ask(&upstream, "GET", "").await).await, "away");
    }
    let state = upstream.state();
    assert_eq!(state.iter().map(|state| state.retries).sum::<u64>(), 2);
    assert_eq!(state.iter().map(|state| state.requests).sum::<u64>(), 22);
    assert!(state.iter().all(|state| state.in_flight == 0), "what was discarded is gone: {state:?}");
}

#[tokio::test]
async fn what_may_have_been_worked_on_is_never_sent_again() {
    let origins = [Origin::answers(AWAY).await, Origin::answers("").await];
    let upstream = upstream(&config(&[&origins[0].url, &origins[1].url]));
    for _ in 0..20 {
        drop(ask(&upstream, "POST", "body").await);
    }
    let state = upstream.state();
    assert_eq!(state.iter().map(|state| state.requests).sum::<u64>(), 20, "{state:?}");
    assert!(state.iter().all(|state| state.failures > 0), "{state:?}");
}

#[tokio::test]
async fn what_was_not_sent_goes_elsewhere_with_its_body() {
    let (url, _socket) = nobody();
    let origin = Origin::answers(OK).await;
    let upstream = Http::new(&config(&[&url, &origin.url]), Arc::new(SystemClock), Arc::new(First)).unwrap();
    for _ in 0..20 {
        assert_eq!(text(ask(&upstream, "POST", "body").await).await, "ok");
    }
    let state = upstream.state();
    assert!(state[0].failures >= 3 && state[0].failures == state[1].retries, "{state:?}");
    assert_eq!(state[1].requests, 20, "each came once");
}

#[tokio::test]
async fn a_request_is_under_way_to_the_last_byte() {
    let origin = Origin::answers(OK).await;
    let upstream = upstream(&UpstreamConfig { connections_max: 1, ..config(&[&origin.url]) });
    let first = ask(&upstream, "GET", "").await;
    assert_eq!(upstream.state()[0].in_flight, 1);
    let second = ask(&upstream, "GET", "").await;
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(second).await.contains("connections_max"));
    assert_eq!(text(first).await, "ok");
    drop(ask(&upstream, "GET", "").await);
    assert_eq!(upstream.state()[0].in_flight, 0, "dropped unread, it is over too");
    let mut third = Box::pin(ask(&upstream, "GET", "").await.into_body());
    assert_eq!(third.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
    assert_eq!(upstream.state()[0].in_flight, 0, "nor does it take a look past the last byte");
}

#[tokio::test]
async fn an_answer_ends_at_its_time_even_while_bytes_come() {
    for reply in
        ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun...", "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n+"]
    {
        let origin = Origin::answers(reply).await;
        let limit = Duration::from_secs(60);
        let limits = UpstreamConfig { total_timeout: limit, body_idle_max: Duration::ZERO, ..config(&[&origin.url]) };
        let upstream = upstream(&limits);
        let began = Instant::now();
        let mut body = Box::pin(ask(&upstream, "GET", "").await.into_body());
        tokio::time::pause();
        if reply.ends_with('+') {
            // With bytes to read, time does not run by itself.
            assert!(body.frame().await.unwrap().is_ok());
            tokio::time::advance(limit).await;
            // More is ready when it is asked for.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        let mut next = async || timeout(limit * 2, body.frame()).await.expect("it is cut").expect("there is no end");
        let mut frame = next().await;
        if reply.ends_with('.') && frame.is_ok() {
            frame = next().await;
        }
        let error = frame.expect_err("late, whatever there is to read");
        assert!(error.to_string().contains("origin.total_timeout") && began.elapsed() >= limit, "{error}");
        assert_eq!(upstream.state()[0].in_flight, 0);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn an_answer_ends_where_nothing_comes_of_it_for_long() {
    let origin = Origin::answers("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun...").await;
    let limit = Duration::from_secs(60);
    let limits = UpstreamConfig { total_timeout: Duration::ZERO, body_idle_max: limit, ..config(&[&origin.url]) };
    let upstream = upstream(&limits);
    let mut body = Box::pin(ask(&upstream, "GET", "").await.into_body());
    assert_eq!(
        timeout(PATIENCE, body.frame()).await.expect("in time").unwrap().unwrap().into_data().unwrap(),
        "begun..."
    );
    tokio::time::pause();
    assert!(body.frame().now_or_never().is_none());
    // As long as nobody asks it is the client that takes its time, and what came meanwhile would be there.
    tokio::time::advance(limit / 2).await;
    let began = Instant::now();
    let error = timeout(limit * 2, body.frame()).await.expect("it is cut").unwrap().unwrap_err();
    assert!(error.to_string().contains("origin.body_idle_max"), "{error}");
    assert!((limit / 2..limit).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(upstream.state()[0].in_flight, 0);
}

#[tokio::test]
async fn who_reads_late_does_not_find_the_answer_silent() {
    let origin = Origin::answers("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun...").await;
    let limit = Duration::from_secs(60);
    let upstream = upstream(&UpstreamConfig { body_idle_max: limit, ..config(&[&origin.url]) });
    let mut body = Box::pin(ask(&upstream, "GET", "").await.into_body());
    assert!(timeout(PATIENCE, body.frame()).await.expect("in time").unwrap().is_ok());
    tokio::time::pause();
    tokio::time::advance(limit * 3).await;
    let began = Instant::now();
    assert!(timeout(limit * 2, body.frame()).await.expect("it is cut").unwrap().is_err());
    assert!(began.elapsed() >= limit, "{:?}", began.elapsed());
}

#[tokio::test]
async fn checks_end_with_the_last_clone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = UpstreamConfig {
        health_path: "/health?x=1".into(),
        health_timeout: Duration::from_secs(3600),
        ..config(&[&url])
    };
    let upstream = upstream(&config);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"GET /health?x=1 HTTP/1.1\r\n"), "{head:?}");
    drop(upstream.clone());
    tokio::task::yield_now().await;
    assert!(stream.read_u8().now_or_never().is_none(), "it still waits");
    drop(upstream);
    assert_eq!(timeout(PATIENCE, stream.read(&mut [0])).await.expect("the check ends").unwrap(), 0);
}
