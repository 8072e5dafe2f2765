//! A private Redis does what its handle says, and leaves nothing behind.

mod common;

use common::{PATIENCE, is_alive};
use edge_cache_sandbox::{Error, Redis};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Sends one inline command and reads until `end`.
async fn ask(redis: &Redis, command: &str, end: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).await.expect("connects");
    stream.write_all(format!("{command}\r\n").as_bytes()).await.expect("sends");
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let read = timeout(PATIENCE, stream.read_buf(&mut answer)).await.expect("in time");
        assert_ne!(read.expect("reads"), 0, "ended after {answer:?}");
    }
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn starts_answers_and_is_gone_with_its_handle() {
    let redis = Redis::builder().setting("maxmemory", "10mb").start().await.expect("starts");
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}/0", redis.port()));
    assert_eq!(ask(&redis, "PING", "\r\n").await, "+PONG\r\n");
    assert!(ask(&redis, "CONFIG GET maxmemory", "10485760\r\n").await.contains("maxmemory"));
    assert!(ask(&redis, "CONFIG GET save", "$0\r\n\r\n").await.contains("save"));
    let folder = ask(&redis, "CONFIG GET dir", "\r\n").await;
    let pid = redis.pid().expect("runs");
    drop(redis);
    assert!(!is_alive(pid));
    for line in folder.lines().filter(|line| line.starts_with('/')) {
        assert!(!std::path::Path::new(line).exists());
    }
}

#[tokio::test]
async fn a_killed_server_comes_back_empty_on_its_port() {
    let redis = Redis::start().await.expect("starts");
    let (port, url, pid) = (redis.port(), redis.url().to_owned(), redis.pid());
    ask(&redis, "SET k v", "+OK\r\n").await;

    redis.kill().await.expect("kills");
    redis.kill().await.expect("killing twice is no error");
    assert_eq!(redis.pid(), None);
    TcpStream::connect(("127.0.0.1", port)).await.expect_err("the port refuses");

    redis.restart().await.expect("starts again");
    assert_eq!((redis.port(), redis.url()), (port, url.as_str()));
    assert_ne!(redis.pid(), pid);
    assert_eq!(ask(&redis, "GET k", "$-1\r\n").await, "$-1\r\n");
    ask(&redis, "SET k v", "+OK\r\n").await;
    redis.restart().await.expect("a running server is restarted");
    assert_eq!(ask(&redis, "GET k", "$-1\r\n").await, "$-1\r\n");
}

#[tokio::test]
async fn a_paused_server_accepts_and_does_not_answer() {
    let redis = Redis::start().await.expect("starts");
    redis.pause().await.expect("pauses");
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).await.expect("accepts");
    stream.write_all(b"PING\r\n").await.expect("sends");
    let mut answer = [0; 7];
    let early = timeout(Duration::from_millis(50), stream.read_exact(&mut answer)).await;
    early.expect_err("no answer");
    redis.resume().await.expect("resumes");
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("in time").expect("answers");
    assert_eq!(&answer, b"+PONG\r\n");

    redis.pause().await.expect("pauses");
    redis.kill().await.expect("a paused server can be killed");
    assert!(matches!(redis.pause().await, Err(Error::NotRunning("redis-server"))));
    redis.resume().await.expect("nothing to resume is no error");
}

#[tokio::test]
async fn a_port_that_was_taken_meanwhile_is_an_error_that_says_so() {
    let redis = Redis::start().await.expect("starts");
    redis.kill().await.expect("kills");
    let other = tokio::net::TcpListener::bind(("127.0.0.1", redis.port())).await.expect("binds");
    let error = redis.restart().await.expect_err("taken");
    assert!(error.to_string().contains("Address already in use"), "{error}");
    drop(other);
    redis.restart().await.expect("free again");
}

#[tokio::test]
async fn two_at_once_stand_apart() {
    let (one, two) = tokio::try_join!(Redis::start(), Redis::start()).expect("both start");
    assert_ne!(one.port(), two.port());
    ask(&one, "SET k v", "+OK\r\n").await;
    assert_eq!(ask(&two, "GET k", "$-1\r\n").await, "$-1\r\n");
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let missing = Redis::builder().binaries("/nowhere").start().await.expect_err("no binary");
    assert_eq!(missing.to_string(), "no `redis-server` in /nowhere: install it with `apt-get install redis-server`");
    let refused = Redis::builder().setting("maxmemory", "plenty").start().await;
    let refused = refused.expect_err("not a size").to_string();
    assert!(refused.contains("maxmemory"), "{refused}");
}
