//! The open-loop generator: requests start when they are due, however slowly earlier ones are answered.
//!
//! One thread paces: it lets a shot go when its intended start has come. Each client takes the next shot that is due
//! as soon as it is free, and its clock runs from the intended start, so that time spent waiting for a client counts.
//! All clients share one thread, because the machine is shared with what is measured.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::catalogue::Catalogue;
use super::client::{Client, PATIENCE};
use super::message::{Messages, is_right};
use super::plan::{Call, Plan, Shot};
use super::recorder::{Failure, Recorder};
use super::timeline::Source;
use super::write::{Pitch, Write};

/// The pacer looks this often whether it should stop, however far away the next start is.
const LOOK: Duration = Duration::from_millis(50);
/// From "all clients are connected" to the first possible start.
const LEAD: Duration = Duration::from_millis(100);
/// Connections opened at once before the load, to stay within the server's listen backlog.
const CONNECTS: usize = 64;

/// What is sent, to whom, by how many.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) plan: Arc<Plan>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) address: SocketAddr,
    pub(crate) clients: usize,
    /// What counts; empty.
    pub(crate) recorder: Recorder,
    pub(crate) stop: CancellationToken,
    /// Told the start of the load once every client is connected.
    pub(crate) started: oneshot::Sender<Instant>,
}

/// Runs the job to its end on the calling thread.
///
/// # Errors
/// When no runtime can be made or the clients cannot connect before the load starts.
pub(crate) fn run(job: Job) -> anyhow::Result<Recorder> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime for the load")?;
    LocalSet::new().block_on(&runtime, drive(job))
}

async fn drive(job: Job) -> anyhow::Result<Recorder> {
    let clients = connect(job.address, job.clients).await?;
    let start = Instant::now() + LEAD;
    let due = Arc::new(Semaphore::new(0));
    let pacer = std::thread::spawn({
        let (plan, due, stop, clients) = (Arc::clone(&job.plan), Arc::clone(&due), job.stop.clone(), job.clients);
        move || pace(&plan, start, &due, clients, &stop)
    });
    if job.started.send(start).is_err() {
        job.stop.cancel();
    }
    let catalogue = Arc::clone(&job.catalogue);
    let shared = Shared {
        messages: Messages::new(&catalogue, job.address),
        plan: &job.plan,
        due: &due,
        next: Cell::new(0),
        start,
        by_second: job.recorder.timeline.is_some(),
        recorder: RefCell::new(job.recorder),
    };
    futures_util::future::join_all(clients.into_iter().map(|client| shared.serve(client))).await;
    pacer.join().map_err(|_| anyhow::anyhow!("the pacing thread panicked"))?;
    Ok(shared.recorder.into_inner())
}

async fn connect(address: SocketAddr, count: usize) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let mut batch = JoinSet::new();
        for _ in 0..CONNECTS.min(count - clients.len()) {
            batch.spawn(async move {
                let mut client = Client::new(address);
                client.ready().await.map(drop).map(|()| client)
            });
        }
        while let Some(client) = batch.join_next().await {
            let client = client.context("a connecting task panicked")?;
            clients
                .push(client.map_err(|failure| anyhow::anyhow!("client {} of {count}: {failure}", clients.len() + 1))?);
        }
    }
    Ok(clients)
}

/// Lets shots go as their starts come; afterwards one more turn for each client, which tells it that nothing is left.
fn pace(plan: &Plan, start: Instant, due: &Semaphore, clients: usize, stop: &CancellationToken) {
    let mut next = 0;
    while let Some(shot) = plan.shots.get(next) {
        if stop.is_cancelled() {
            return due.close();
        }
        let at = start + Duration::from_micros(shot.at_us);
        let now = Instant::now();
        if at > now {
            std::thread::sleep((at - now).min(LOOK));
            continue;
        }
        let since_us = now.saturating_duration_since(start).as_micros() as u64;
        let upto = next + plan.shots[next..].partition_point(|shot| shot.at_us <= since_us);
        due.add_permits(upto - next);
        next = upto;
    }
    due.add_permits(clients);
}

struct Shared<'a> {
    messages: Messages<'a>,
    plan: &'a Plan,
    due: &'a Semaphore,
    next: Cell<usize>,
    start: Instant,
    by_second: bool,
    recorder: RefCell<Recorder>,
}

/// A right answer.
struct Right {
    /// It said "not found".
    missing: bool,
    /// Told apart only where seconds are.
    source: Source,
}

impl Shared<'_> {
    async fn serve(&self, mut client: Client) {
        // The semaphore is fair: clients take turns, so that all the connections are really in use.
        while let Ok(turn) = self.due.acquire().await {
            turn.forget();
            let Some(shot) = self.plan.shots.get(self.next.get()) else { return };
            self.next.set(self.next.get() + 1);
            self.fire(&mut client, shot).await;
        }
    }

    async fn fire(&self, client: &mut Client, shot: &Shot) {
        let intended = self.start + Duration::from_micros(shot.at_us);
        let result = self.ask(client, shot, intended).await;
        if !self.plan.counts(shot) {
            return;
        }
        let mut recorder = self.recorder.borrow_mut();
        match result {
            Ok(None) => recorder.skipped_write(),
            Ok(Some(right)) => {
                let done = Instant::now();
                let latency = done.saturating_duration_since(intended);
                let end = self.start + Duration::from_micros(self.plan.end_us);
                recorder.answered(shot.call.group(), latency.as_micros() as u64, done <= end);
                if right.missing && matches!(shot.call, Call::Read(_)) {
                    recorder.not_found();
                }
                if let (Some(timeline), Call::Read(read)) = (&mut recorder.timeline, shot.call) {
                    timeline.answered((shot.at_us, read.known()), latency.as_micros() as u64, right.source);
                }
            }
            Err(failure) => {
                recorder.failed(shot.call.group(), failure);
                if let (Some(timeline), Call::Read(read)) = (&mut recorder.timeline, shot.call) {
                    timeline.failed((shot.at_us, read.known()), failure);
                }
            }
        }
    }

    /// Whoever published looks for it at once: in its detail, and in the list of new ones.
    async fn read_own(&self, client: &mut Client, pitch: Pitch, patience: Instant) -> Result<(), Failure> {
        let Some((requests, expected)) = self.messages.read_own(pitch) else { return Ok(()) };
        for request in requests {
            let Ok(answer) = tokio::time::timeout_at(patience, client.send(request, true)).await else {
                client.hang_up();
                return Err(Failure::Timeout);
            };
            let body = answer?.into_body();
            let found = body.windows(expected.len()).any(|window| window == expected.as_bytes());
            if !found {
                return Err(Failure::Unread);
            }
        }
        Ok(())
    }

    /// `None` where there was nothing to ask.
    async fn ask(&self, client: &mut Client, shot: &Shot, intended: Instant) -> Result<Option<Right>, Failure> {
        let patience = intended + PATIENCE;
        if Instant::now() >= patience {
            return Err(Failure::NeverSent);
        }
        let Some(request) = self.messages.request(shot.call) else { return Ok(None) };
        let answer = tokio::time::timeout_at(patience, client.send(request, false)).await;
        let Ok(answer) = answer else {
            client.hang_up();
            return Err(Failure::Timeout);
        };
        let answer = answer?;
        if !is_right(shot.call, answer.status()) {
            return Err(wrong(&answer));
        }
        self.messages.learn(shot.call, &answer);
        if let (Call::Write(Write::Publish { pitch }), true) = (shot.call, answer.status().is_success()) {
            self.read_own(client, pitch, patience).await?;
        }
        let source = if self.by_second { Source::of(answer.headers()) } else { Source::default() };
        Ok(Some(Right { missing: answer.status() == StatusCode::NOT_FOUND, source }))
    }
}

fn wrong(answer: &Response<Bytes>) -> Failure {
    match answer.status() {
        StatusCode::SERVICE_UNAVAILABLE if answer.headers().contains_key(RETRY_AFTER) => Failure::Declined,
        status => Failure::Status(status.as_u16()),
    }
}
