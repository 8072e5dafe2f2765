//! One key that nobody has asked for yet, and every client asking for it at once.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http::header::HOST;
use http_body_util::Full;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::load::client::{Client, PATIENCE};
use crate::load::recorder::Failure;
use crate::load::scrape::scrape;
use crate::load::server::Server;

/// A list that the mix never asks for.
const COLD: &str = "/api/pitches/browse?sort=title&limit=37";
/// Connections opened at once, to stay within the server's listen backlog.
const CONNECTS: usize = 64;

/// What one cold key took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cold {
    /// Clients that asked at once.
    pub(crate) clients: usize,
    /// Those with a right answer.
    pub(crate) answered: usize,
    /// Failures of the others, each kind once.
    pub(crate) failures: Vec<String>,
    /// Database queries that it took; `None` where the server does not count them.
    pub(crate) queries: Option<u64>,
    /// Time from the first request to the last answer, in ms.
    pub(crate) milliseconds: f64,
}

/// Connects all the clients, lets them ask at once and counts the queries.
///
/// # Errors
/// When clients cannot connect or the server's counters cannot be read.
pub(crate) async fn cold(server: &Server, clients: usize) -> anyhow::Result<Cold> {
    let mut ready = connected(server.address, clients).await?;
    let before = scrape(server.admin).await?;
    let began = Instant::now();
    let answers = join_all(ready.iter_mut().map(|client| ask(client, server.address))).await;
    let elapsed = began.elapsed();
    let after = scrape(server.admin).await?;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    let mut failures: Vec<String> =
        answers.into_iter().filter_map(Result::err).map(|failure| failure.to_string()).collect();
    failures.sort_unstable();
    failures.dedup();
    Ok(Cold { clients, answered, failures, queries: after.queries_since(&before), milliseconds: millis(elapsed) })
}

async fn connected(address: SocketAddr, count: usize) -> anyhow::Result<Vec<Client>> {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::new(address)).collect();
    for batch in clients.chunks_mut(CONNECTS) {
        for ready in join_all(batch.iter_mut().map(Client::ready)).await {
            ready.map_err(|failure| anyhow!("the clients cannot connect: {failure}"))?;
        }
    }
    Ok(clients)
}

async fn ask(client: &mut Client, address: SocketAddr) -> Result<(), Failure> {
    let request = Request::get(COLD).header(HOST, address.to_string()).body(Full::<Bytes>::default());
    let request = request.expect("the request is well formed");
    let answer = timeout(PATIENCE, client.send(request, false)).await.map_err(|_| Failure::Timeout)??;
    if answer.status().is_success() { Ok(()) } else { Err(Failure::Status(answer.status().as_u16())) }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
