use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

use crate::Gate;

/// What a [`RawOrigin`] does next on a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes as they are.
    Send(Vec<u8>),
    /// Waits until the gate is open.
    Wait(Gate),
    /// Sends back what comes, until the other side ends.
    Echo,
    /// Closes the connection.
    Close,
}

impl Step {
    /// Sends this text.
    #[must_use]
    pub fn send(text: &str) -> Self {
        Self::Send(text.as_bytes().to_vec())
    }
}

/// A request as its bytes came.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// Connections before this one.
    pub connection: usize,
    /// Requests before this one on its connection.
    pub earlier: usize,
    /// The head, to its empty line.
    pub head: String,
}

/// A TCP server that reads requests without bodies and answers them by steps: for what no HTTP server sends.
#[derive(Debug)]
pub struct RawOrigin {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<RawRequest>>>,
    _task: AbortOnDropHandle<()>,
}

impl RawOrigin {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(script: impl Fn(&RawRequest) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let (noted, script, count) = (Arc::clone(&seen), Arc::new(script), AtomicUsize::new(0));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = count.fetch_add(1, Ordering::SeqCst);
                let (noted, script) = (Arc::clone(&noted), Arc::clone(&script));
                connections.spawn(async move { serve(stream, connection, &noted, &*script).await });
            }
        });
        Self { address, seen, _task: AbortOnDropHandle::new(task) }
    }

    /// `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    ///
    /// # Panics
    /// When a task panicked while it noted one.
    #[must_use]
    pub fn seen(&self) -> Vec<RawRequest> {
        self.seen.lock().expect("nobody panics with the lock").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: &Mutex<Vec<RawRequest>>,
    script: &(impl Fn(&RawRequest) -> Vec<Step> + Sync),
) -> Option<()> {
    for earlier in 0.. {
        let head = head(&mut stream).await?;
        let request = RawRequest { connection, earlier, head };
        seen.lock().expect("nobody panics with the lock").push(request.clone());
        for step in script(&request) {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await.ok()?,
                Step::Wait(gate) => gate.passed().await,
                Step::Echo => {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok()?;
                }
                Step::Close => return None,
            }
        }
    }
    None
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}
