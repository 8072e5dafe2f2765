//! Clients that are slow, that leave, and that change their minds.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    clients::{Client, door},
    judge,
    ledger::{Broken, Ledger, Span},
    wire::{Door, Got, HOST, Question, said},
    world::{Who, World},
};

/// The longest answer that there is.
const LONG: &str = "/api/pitches/browse?tab=popular&limit=100";
const PAUSE: Duration = Duration::from_millis(300);
/// How long one that takes nothing is waited for: longer than the nodes' `send_timeout`.
const STALLED: Duration = Duration::from_secs(8);

/// Starts one of each kind for each node.
pub(super) fn start(world: &Arc<World>, ledger: &Arc<Ledger>) -> Vec<AbortOnDropHandle<()>> {
    let mut tasks = Vec::new();
    for node in 0..world.nodes.len() {
        let client = |door: Door| {
            let mut client = Client::new(world, ledger, 2_000 + node, door);
            client.home = node;
            client
        };
        tasks.push(tokio::spawn(drip(client(door(world, 0)), node)));
        tasks.push(tokio::spawn(read_slowly(client(Door { slow: true, ..door(world, 2) }))));
        tasks.push(tokio::spawn(read_slowly(client(Door { slow: true, ..door(world, 3) }))));
        tasks.push(tokio::spawn(stall(client(door(world, 0)), node)));
        tasks.push(tokio::spawn(leave(client(door(world, 1)))));
        tasks.push(tokio::spawn(take_back(client(door(world, 2)))));
        tasks.push(tokio::spawn(take_back(client(door(world, 3)))));
    }
    tasks.into_iter().map(AbortOnDropHandle::new).collect()
}

/// Sends the head of a request byte by byte.
async fn drip(mut client: Client, node: usize) {
    loop {
        sleep(PAUSE).await;
        client.ledger.asked("heads that come byte by byte");
        let (id, _) = client.world.written[client.dice.below(client.world.written.len())];
        let began = Instant::now();
        let answer = timeout(Duration::from_secs(60), dripped(client.world.nodes[node].plain, id)).await;
        let span = Span { began, ended: Instant::now() };
        match answer {
            Ok(Ok(answer)) => hold(&client, id, &answer, span),
            _ if client.ledger.was(Broken::Rolling, span) => {
                client.ledger.happened("half a head, closed in a restart");
            }
            failed => client.ledger.breaks("a head that comes byte by byte is answered", format!("{failed:?}")),
        }
    }
}

async fn dripped(at: SocketAddr, id: i64) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let head = format!("GET /api/pitches/{id} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    for byte in head.as_bytes() {
        stream.write_all(&[*byte]).await?;
        sleep(Duration::from_millis(15)).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    match answer.is_empty() {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(answer),
    }
}

/// Judges an answer as it came over the wire.
fn hold(client: &Client, id: i64, answer: &[u8], span: Span) {
    let Some(got) = parsed(answer) else {
        let what = format!("pitch {id} byte by byte: {}", String::from_utf8_lossy(answer));
        return client.ledger.breaks("no answer is cut", what);
    };
    client.ledger.status(got.status.as_u16(), &got.said);
    let question = Question::get(format!("/api/pitches/{id}"));
    let answer = (got, span);
    client.hold(&question, &answer, &[StatusCode::OK], |body| {
        let shown = judge::detail(body, id, Who::Nobody)?;
        client.ledger.judge(&shown, shown.len(), &answer.0.said, span)
    });
}

/// An answer with a length, all of it.
fn parsed(answer: &[u8]) -> Option<Got> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]);
    let (first, lines) = head.split_once("\r\n")?;
    let status = StatusCode::from_bytes(first.split(' ').nth(1)?.as_bytes()).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.trim()).ok()?);
    }
    let length: usize = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
    let said = said(&headers);
    (length == body.len()).then(|| Got { status, headers, said, body: Bytes::copy_from_slice(body) })
}

/// Takes a long list in small pieces, through a window that it does not fit into.
async fn read_slowly(mut client: Client) {
    loop {
        sleep(PAUSE).await;
        client.ledger.asked("lists that are read slowly");
        let question = Question::get(LONG);
        let Some(answer) = client.ask(&question).await else { continue };
        client.hold(&question, &answer, &[StatusCode::OK], |body| client.list_is_right(body, false, &answer));
    }
}

/// Asks for much and takes nothing, until the node has had enough.
async fn stall(client: Client, node: usize) {
    loop {
        sleep(PAUSE).await;
        client.ledger.asked("crowds of answers that nobody takes");
        // Nothing is promised to it; a node that is being restarted refuses it.
        drop(stalled(client.world.nodes[node].plain).await);
    }
}

async fn stalled(at: SocketAddr) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    let mut stream = socket.connect(at).await?;
    let all = format!("GET {LONG} HTTP/1.1\r\nhost: {HOST}\r\n\r\n").repeat(200);
    let sent = timeout(STALLED, stream.write_all(all.as_bytes())).await;
    if matches!(sent, Ok(Ok(()))) {
        sleep(STALLED).await;
    }
    Ok(())
}

/// Goes away in the middle of an answer.
async fn leave(mut client: Client) {
    loop {
        sleep(PAUSE).await;
        client.ledger.asked("answers that are left");
        if client.connect(0, Instant::now()).await {
            let head = client.wire.head(&Question::get(LONG)).await;
            drop(head);
        }
        client.wire.close();
    }
}

/// Takes back what was asked, over a connection that goes on.
async fn take_back(mut client: Client) {
    loop {
        sleep(PAUSE).await;
        if client.connect(0, Instant::now()).await {
            client.ledger.asked("questions that are taken back");
            let soon = Duration::from_micros(client.dice.below(3_000) as u64);
            let question = Question::get(format!("/api/pitches/search?q=back{}", client.dice.below(1 << 30)));
            drop(timeout(soon, client.wire.head(&question)).await);
        }
        for _ in 0..2 {
            let (id, _) = client.world.written[client.dice.below(client.world.written.len())];
            client.detail("details, after a question was taken back", id, Who::Nobody).await;
        }
    }
}
