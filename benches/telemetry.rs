//! What does it cost to be watched? Processor time of `cache-proxy serve` for one hit in memory, over real sockets, with telemetry off, as it is
//! by default, and with everything on: two servers are driven by turns, so that what the machine does besides falls on both alike.
//!
//! `cargo build --release -p cache-proxy && cargo bench -p edge-cache-benches --bench telemetry`

use edge_cache_benches::at_share;
use edge_cache_tests::{Origin, Performance, Proxy, ProxyBuilder, Reply};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const BODY: usize = 1024;
const CONNECTIONS: usize = 64;
/// Requests of a turn, over all connections.
const TURN: usize = 64_000;
const TURNS: usize = 41;

const EVERYTHING: &str = "access_log_format = \"json\"\ntrace_sample = 0.01\n";

fn main() {
    // `cargo test --benches` only asks whether it runs.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(compare());
}

async fn compare() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=36000", vec![b'x'; BODY]) }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("access.log");
    let off = server(&origin, "enabled = false").await;
    let default = server(&origin, "").await;
    let all = server(&origin, &format!("access_log = \"{}\"\n{EVERYTHING}", log.display())).await;
    // Somebody looks on, and Prometheus asks.
    let mut page = Performance::open(all.admin_address()).await;
    let watched = tokio::spawn(async move {
        loop {
            page.step().await;
        }
    });
    let mut clients = Vec::new();
    for server in [&off, &default, &all] {
        clients.push(Clients::connect(server).await);
    }
    let servers = [("off", &off), ("default", &default), ("everything", &all)];
    // Of the threads that answer, and of all: the access log has a thread of its own.
    let mut micros: [[Vec<f64>; 2]; 3] = Default::default();
    for turn in 0..=TURNS {
        for (at, (_, server)) in servers.iter().enumerate() {
            if turn % 5 == 0 {
                server.metrics().await;
            }
            let before = server.cpu_time();
            clients[at].turn().await;
            let after = server.cpu_time();
            // The first turn warms what is to be measured.
            if turn > 0 {
                let spent = [after.serving - before.serving, after.all - before.all];
                for (micros, spent) in micros[at].iter_mut().zip(spent) {
                    micros.push(spent.as_secs_f64() * 1e6 / TURN as f64);
                }
            }
        }
    }
    watched.abort();
    let lines = std::fs::metadata(&log).map_or(0, |log| log.len());
    println!(
        "processor time of the server for a memory hit of {BODY} bytes, {CONNECTIONS} connections, median of {TURNS} turns of {TURN}:"
    );
    for (at, (name, _)) in servers.iter().enumerate() {
        for (threads, (micros, off)) in ["that answer", "all"].iter().zip(micros[at].iter().zip(&micros[0])) {
            let ratios: Vec<f64> = micros.iter().zip(off).map(|(these, off)| these / off).collect();
            println!(
                "  {name:<10} threads {threads:<11} {:6.2} µs ({:.2} to {:.2})   {:.3} × off (quartiles {:.3} to {:.3})",
                at_share(micros, 0.5),
                at_share(micros, 0.0),
                at_share(micros, 1.0),
                at_share(&ratios, 0.5),
                at_share(&ratios, 0.25),
                at_share(&ratios, 0.75),
            );
        }
    }
    println!("  access log: {:.1} MB", lines as f64 / 1e6);
}

async fn server(origin: &Origin, telemetry: &str) -> Proxy {
    let toml = format!("[origin]\nurl = \"{}\"\n[telemetry]\n{telemetry}\n", origin.url());
    let proxy = ProxyBuilder::config(&toml).start().await;
    proxy.client().get("/").header("host", "bench").send().await;
    assert!(proxy.client().get("/").header("host", "bench").send().await.is_hit_of("memory"));
    proxy
}

struct Clients(Vec<TcpStream>);

impl Clients {
    async fn connect(server: &Proxy) -> Self {
        let connect = (0..CONNECTIONS).map(|_| TcpStream::connect(server.address));
        Self(join_all(connect).await.into_iter().map(|stream| stream.expect("it listens")).collect())
    }

    /// Each connection asks its share, one after the other.
    async fn turn(&mut self) {
        join_all(self.0.iter_mut().map(ask)).await;
    }
}

async fn ask(stream: &mut TcpStream) {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n";
    let mut buffer = vec![0; 4 * BODY];
    for _ in 0..TURN / CONNECTIONS {
        stream.write_all(REQUEST).await.expect("the server reads");
        let (mut read, mut whole) = (0, usize::MAX);
        while read < whole {
            let more = stream.read(&mut buffer[read..]).await.expect("the server answers");
            assert!(more > 0, "the server hangs up");
            read += more;
            if whole == usize::MAX
                && let Some(head) = buffer[..read].windows(4).position(|four| four == b"\r\n\r\n")
            {
                whole = head + 4 + BODY;
            }
        }
    }
}
