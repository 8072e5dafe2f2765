//! A node's admin listener that says what a test tells it to.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::feed::{Patience, Source};
use crate::dial::{Dialer, TlsArgs};

pub(super) const COLUMNS: [&str; 29] = [
    "at",
    "seconds",
    "requests",
    "hit",
    "stale",
    "coalesced",
    "miss",
    "bypass",
    "error",
    "memory",
    "redis",
    "disk",
    "p50",
    "p95",
    "p99",
    "bytes",
    "saved_calls",
    "saved_seconds",
    "fills",
    "database_connections",
    "database_in_use",
    "waiting",
    "database_waits",
    "cpu",
    "resident",
    "connections",
    "of",
    "a later",
    "version",
];

/// A second of `hit` hits and `miss` misses at `at`, with other figures to tell apart.
pub(super) fn row(at: f64, hit: u32, miss: u32) -> Value {
    json!([
        at,
        1.0,
        hit + miss,
        hit,
        0,
        0,
        miss,
        0,
        0,
        hit,
        0,
        0,
        0.2,
        3.1,
        8.0,
        1000,
        hit,
        0.5,
        miss,
        3,
        1,
        0,
        0,
        0.25,
        52_428_800,
        12,
        null,
        "text",
        [1],
    ])
}

pub(super) fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

pub(super) fn hello(node: &str) -> String {
    event("hello", &json!({"version": "0.1.0", "node": node, "started": 1, "step": 1, "keep": 86_400, "new": {}}))
}

/// `seconds` of 90 hits and 10 misses, up to `at`.
pub(super) fn history(at: f64, seconds: u32) -> String {
    let rows: Vec<Value> = (0..seconds).rev().map(|age| row(at - f64::from(age), 90, 10)).collect();
    event(
        "history",
        &json!({"columns": COLUMNS, "fine": {"step": 1, "rows": rows}, "coarse": {"step": 30, "rows": [[1]]}}),
    )
}

pub(super) fn now(at: f64) -> String {
    event("now", &json!({"sample": row(at, 90, 10), "state": state()}))
}

/// As the feed tells it, shortened.
pub(super) fn state() -> Value {
    json!({
        "at": 1000.0, "uptime_seconds": 3_720.5,
        "totals": {"calls": 1000, "hit": 800, "stale": 100, "coalesced": 20, "miss": 60, "bypass": 10, "error": 10,
            "hit_rate": 0.918, "error_rate": 0.01, "p50_ms": 0.2, "p95_ms": 3.1, "p99_ms": 8.0, "bytes": 1_048_576,
            "saved_calls": 900, "saved_seconds": 320.5},
        "routes": [
            {"route": "trending", "calls": 700, "hit": 690, "stale": 0, "coalesced": 0, "miss": 10, "bypass": 0, "error": 0,
                "hit_rate": 0.9857, "p50_ms": 0.1, "p95_ms": 0.9, "p99_ms": 2.0, "bytes": 4_096, "saved_calls": 690, "saved_seconds": 20.0},
            {"route": "pitch", "calls": 290, "hit": 110, "stale": 100, "coalesced": 20, "miss": 50, "bypass": 0, "error": 10,
                "hit_rate": 0.75, "p50_ms": 0.3, "p95_ms": 12.0, "p99_ms": 40.0, "bytes": 1_040_000, "saved_calls": 210, "saved_seconds": 300.5},
            {"route": "login", "calls": 10, "hit": 0, "stale": 0, "coalesced": 0, "miss": 0, "bypass": 10, "error": 0,
                "hit_rate": null, "p50_ms": null, "p95_ms": null, "p99_ms": null, "bytes": 480, "saved_calls": 0, "saved_seconds": 0.0},
        ],
        "process": {"cpu_seconds": 12.5, "resident_bytes": 52_428_800, "open_descriptors": 40, "connections": 12},
        "tiers": {"memory": {"entries": 100, "used_bytes": 1_048_576, "capacity_bytes": 268_435_456},
            "redis": {"reads": "closed", "writes": "closed"}, "disk": null},
        "database": {"connections": 3, "in_use": 1, "idle": 2, "max": 10, "waiting": 0, "checkouts": 400, "waits": 2, "queries": 900},
        "origin": {
            "governor": {"pressure": "calm", "utilisation": 0.1, "permits": 10, "in_use": 1, "waiting": 0, "admitted": 400, "shed": 0, "redis_lost": false},
            "endpoints": [{"endpoint": "primary", "breaker": "closed", "in_use": 1}],
            "origins": []},
        "ready": {"ready": true, "draining": false, "warm": {"state": "ready", "held": 50, "hot": 50}, "backplane": "in step"},
        "monitor": {"every_seconds": 120, "checks": [{"name": "trending", "state": "up", "status": 200}], "day": {}},
        "hot": [
            {"url": "http://localhost:8080/api/pitches/trending?limit=10", "hits": 500, "cost_millis": 3, "score": 1500.0},
            {"url": "http://localhost:8080/api/pitches/7", "hits": 20, "cost_millis": 9, "score": 180.0},
        ],
        "purges": [],
        "alerts": {"firing": [], "recent": []},
    })
}

/// One connection that has asked for the feed.
pub(super) struct Client {
    stream: TcpStream,
    /// Of the request.
    pub(super) head: String,
}

impl Client {
    /// Begins the answer.
    pub(super) async fn stream(&mut self) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes()).await.unwrap();
    }

    pub(super) async fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.stream.write_all(chunk.as_bytes()).await.unwrap();
    }

    /// Ends the answer as it should be. Dropping this cuts it off instead.
    pub(super) async fn end(mut self) {
        self.stream.write_all(b"0\r\n\r\n").await.unwrap();
    }

    /// Answers with `status` and `text` instead.
    pub(super) async fn refuse(mut self, status: &str, text: &str) {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{text}", text.len());
        self.stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// What listens at `address`, in the clear.
pub(super) fn node(address: SocketAddr) -> Dialer {
    TlsArgs::default().dialer("--admin", &format!("http://{address}")).unwrap()
}

/// Listens on a port of its own.
pub(super) struct Stub {
    clients: mpsc::Receiver<Client>,
    pub(super) source: Source,
}

impl Stub {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = node(listener.local_addr().unwrap());
        let (sender, clients) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                if sender.send(Client { stream, head }).await.is_err() {
                    return;
                }
            }
        });
        let patience = Patience { retry_first: std::time::Duration::from_millis(1), ..Patience::default() };
        Self { clients, source: Source { node, token: None, patience } }
    }

    /// The next that asks.
    pub(super) async fn client(&mut self) -> Client {
        self.clients.recv().await.unwrap()
    }
}
