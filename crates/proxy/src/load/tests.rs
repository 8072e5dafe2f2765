//! The generator against a small server of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::catalogue::Catalogue;
use super::generator::{Job, run};
use super::plan::{Call, Plan, Shot};
use super::read::{Group, Read};
use super::recorder::{Load, Recorder};

const BUSY: Duration = Duration::from_millis(20);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

fn plan(starts_us: &[u64]) -> Plan {
    let shots = starts_us.iter().map(|&at_us| Shot { at_us, call: Call::Read(Read::Stats) }).collect();
    Plan { shots, counted_from_us: 0, end_us: 60_000_000 }
}

async fn fire(address: SocketAddr, clients: usize, plan: Plan, stop: CancellationToken) -> Load {
    let (started, start) = oneshot::channel();
    let catalogue = Arc::new(Catalogue::made_up(10));
    let job = Job { plan: Arc::new(plan), catalogue, address, clients, recorder: Recorder::new(), stop, started };
    let recorder = tokio::task::spawn_blocking(move || run(job)).await.unwrap().unwrap();
    start.await.unwrap();
    recorder.figures(60.0)
}

/// Answers each request of each connection with what `answer` makes of its number on that connection; `None` hangs up.
async fn serve(answer: impl Fn(usize) -> Option<String> + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                let mut number = 0;
                while let Ok(1..) = stream.read(&mut buffer).await {
                    let Some(text) = answer(number) else { return };
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                    number += 1;
                }
            });
        }
    });
    address
}

fn ok() -> Option<String> {
    Some(OK.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_a_client_keeps_its_intended_start() {
    let address = serve(|_| {
        let began = Instant::now();
        while began.elapsed() < BUSY {
            std::hint::spin_loop();
        }
        ok()
    })
    .await;
    let load = fire(address, 1, plan(&[0, 0, 0, 0]), CancellationToken::new()).await;
    assert_eq!((load.reads, load.errors), (4, 0));
    let max = load.latency.max_ms.unwrap();
    assert!(max >= 4.0 * 20.0 * 0.99, "the last of four stands behind three others: {max} ms");
}

#[tokio::test]
async fn failures_are_counted_and_not_timed() {
    let address = serve(|number| match number % 2 {
        0 => ok(),
        _ => Some("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n".to_owned()),
    })
    .await;
    let load = fire(address, 1, plan(&[0, 1_000, 2_000, 3_000]), CancellationToken::new()).await;
    assert_eq!((load.reads, load.errors_by_kind["status 503"], load.latency.count), (4, 2, 2));
    assert_eq!(load.latency_by_group[&Group::OtherRead].count, 2);
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closes_costs_no_read() {
    let address = serve(|number| if number < 2 { ok() } else { None }).await;
    let load = fire(address, 1, plan(&[0, 1_000, 2_000, 3_000, 4_000]), CancellationToken::new()).await;
    assert_eq!((load.reads, load.errors), (5, 0), "{load:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (started, _) = oneshot::channel();
    let catalogue = Arc::new(Catalogue::made_up(10));
    let job = Job {
        plan: Arc::new(plan(&[0])),
        catalogue,
        address,
        clients: 1,
        recorder: Recorder::new(),
        stop: CancellationToken::new(),
        started,
    };
    let error = tokio::task::spawn_blocking(move || run(job)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("connect refused"), "{error}");
}

#[tokio::test]
async fn a_stopped_load_ends_before_its_plan() {
    let address = serve(|_| ok()).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let load = fire(address, 3, plan(&[3_600_000_000]), stop).await;
    assert_eq!(load.reads, 0);
}
