use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{Gate, PATIENCE, Reply};

/// A request as the origin saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
}

/// A request to be answered.
#[derive(Debug)]
pub struct Arrived {
    /// What was seen of it.
    pub seen: Seen,
    /// How many requests came for this target before it.
    pub earlier: usize,
    body: Incoming,
}

impl Seen {
    /// The header's first value; empty where there is none.
    ///
    /// # Panics
    /// When it is not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("the header is text"))
    }
}

impl Arrived {
    /// The next piece of the body; `None` at its end, also at one that breaks off.
    pub async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if let Ok(data) = self.body.frame().await?.ok()?.into_data() {
                return Some(data);
            }
        }
    }

    /// The rest of the body.
    pub async fn whole(&mut self) -> Bytes {
        let mut all = BytesMut::new();
        while let Some(piece) = self.piece().await {
            all.extend_from_slice(&piece);
        }
        all.freeze()
    }
}

/// An HTTP/1.1 server in this process that notes every request and answers as its script says.
pub struct Origin {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<watch::Sender<Vec<Seen>>>,
    /// Holds the port while nobody listens there.
    reserve: TcpSocket,
    serve: Box<dyn Fn(TcpListener) -> AbortOnDropHandle<()> + Send + Sync>,
    task: Option<AbortOnDropHandle<()>>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Origin {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start<F>(script: impl Fn(Arrived) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let first = bound(([127, 0, 0, 1], 0).into());
        let address = first.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(watch::Sender::new(Vec::new()));
        let (script, noted) = (Arc::new(script), Arc::clone(&seen));
        let serve = Box::new(move |listener: TcpListener| {
            let (script, noted) = (Arc::clone(&script), Arc::clone(&noted));
            AbortOnDropHandle::new(tokio::spawn(async move {
                // Dropped with this task: then every connection is gone too.
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream, Arc::clone(&script), Arc::clone(&noted)));
                }
            }))
        });
        let mut origin = Self { address, seen, reserve: first, serve, task: None };
        origin.resume();
        origin
    }

    /// One that answers `x` once `gate` is open.
    pub async fn behind(gate: &Gate, cache_control: &'static str) -> Self {
        let gate = gate.clone();
        let script = move |_| {
            let gate = gate.clone();
            async move {
                gate.passed().await;
                Reply::cached(cache_control, "x")
            }
        };
        Self::start(script).await
    }

    /// `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Requests so far for `target`.
    #[must_use]
    pub fn count(&self, target: &str) -> usize {
        self.seen.borrow().iter().filter(|seen| seen.target == target).count()
    }

    /// Waits until `count` requests for `target` have come.
    ///
    /// # Panics
    /// When they do not.
    pub async fn arrived(&self, target: &str, count: usize) {
        let mut seen = self.seen.subscribe();
        let enough = seen.wait_for(|all| all.iter().filter(|seen| seen.target == target).count() >= count);
        let came = timeout(PATIENCE, enough).await;
        assert!(came.is_ok(), "{count} requests for {target} did not come");
    }

    /// Closes the port and every connection.
    pub async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            drop(task.await);
        }
    }

    /// Listens again at the same port.
    ///
    /// # Panics
    /// When the port cannot be held any longer.
    pub fn resume(&mut self) {
        let next = std::mem::replace(&mut self.reserve, bound(self.address));
        self.task = Some((self.serve)(next.listen(1024).expect("a bound socket can listen")));
    }
}

/// A socket at `address` that refuses connections until it listens.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("a port may be held and served");
    socket.bind(address).expect("a free port");
    socket
}

async fn serve<S, F>(stream: TcpStream, script: Arc<S>, noted: Arc<watch::Sender<Vec<Seen>>>)
where
    S: Fn(Arrived) -> F,
    F: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(|req: Request<Incoming>| {
        let (parts, body) = req.into_parts();
        let target = parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string);
        let seen = Seen { method: parts.method.to_string(), target, headers: parts.headers };
        let mut earlier = 0;
        noted.send_modify(|all| {
            earlier = all.iter().filter(|before| before.target == seen.target).count();
            all.push(seen.clone());
        });
        let answer = script(Arrived { seen, earlier, body });
        async { Ok::<_, Infallible>(answer.await.0) }
    });
    // A client that leaves, or a body that the script cuts, is part of the script.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}
