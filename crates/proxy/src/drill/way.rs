//! A way to a server on this machine on which answers can be made late.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// Bytes read at once.
const PIECE: usize = 16 << 10;
/// Pieces under way on one connection.
const PIECES_MAX: usize = 64;

/// Passes connections on to a port of 127.0.0.1. Gone, with its connections, when it is dropped.
#[derive(Debug)]
pub(crate) struct Way {
    address: SocketAddr,
    port: u16,
    delay: watch::Sender<Duration>,
    _task: AbortOnDropHandle<()>,
}

impl Way {
    /// A way to `port` without delay.
    ///
    /// # Errors
    /// When there is no free port.
    pub(crate) async fn before(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the way to the database")?;
        let address = listener.local_addr().context("no address of the way to the database")?;
        let (delay, delays) = watch::channel(Duration::ZERO);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, port, delays.clone()));
            }
        });
        Ok(Self { address, port, delay, _task: AbortOnDropHandle::new(task) })
    }

    /// From now on the server's answers arrive so much later; what is under way keeps its time.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay.send_replace(delay);
    }

    /// The URL of the server behind, by this way.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replacen(&format!(":{}/", self.port), &format!(":{}/", self.address.port()), 1)
    }
}

async fn pass(client: TcpStream, port: u16, delay: watch::Receiver<Duration>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (mut asks, answers_to) = client.into_split();
    let (answers, mut asks_to) = server.into_split();
    let mut way = delay.clone();
    // Whichever side ends first ends both; so does the end of the way itself.
    tokio::select! {
        _ = tokio::io::copy(&mut asks, &mut asks_to) => {}
        () = late(answers, answers_to, &delay) => {}
        () = async { while way.changed().await.is_ok() {} } => {}
    }
}

/// Every piece is late by itself, so that one behind another is not later still.
async fn late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: &watch::Receiver<Duration>) {
    let (pieces, mut due) = mpsc::channel::<(Instant, Bytes)>(PIECES_MAX);
    let read = async move {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(PIECE);
            let Ok(1..) = from.read_buf(&mut buffer).await else { return };
            let at = Instant::now() + *delay.borrow();
            if pieces.send((at, buffer.split().freeze())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((at, piece)) = due.recv().await {
            sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, and a connection to it by the way.
    async fn echo() -> (Way, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        let way = Way::before(port).await.unwrap();
        assert_eq!(way.url(&format!("postgres://u@127.0.0.1:{port}/x")), format!("postgres://u@{}/x", way.address));
        let stream = TcpStream::connect(way.address).await.unwrap();
        (way, stream)
    }

    async fn turn(stream: &mut TcpStream) -> Duration {
        let began = Instant::now();
        stream.write_all(b"ask").await.unwrap();
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ask");
        began.elapsed()
    }

    #[tokio::test]
    async fn answers_come_late_and_whole() {
        let (way, mut stream) = echo().await;
        turn(&mut stream).await;
        let late = Duration::from_millis(30);
        way.delay(late);
        assert!(turn(&mut stream).await >= late);
    }

    #[tokio::test]
    async fn connections_end_with_the_way() {
        let (way, mut stream) = echo().await;
        turn(&mut stream).await;
        drop(way);
        assert!(!matches!(stream.read(&mut [0; 1]).await, Ok(1..)));
    }
}
