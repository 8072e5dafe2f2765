//! A small balancer: HTTP, two seats in turn, and a read that a node did not answer goes to the other one.
//!
//! It has one thread of its own, so that it waits for nobody. Requests and answers go through as they are, but for the headers that are
//! about one connection alone; in particular the `Host` that clients name, so that all nodes have the same keys.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, request};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::seat::{Occupant, Seat};

/// Connections to a node that nobody has used for so long are closed; nodes keep them for longer.
const IDLE: Duration = Duration::from_secs(5);
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

type Body = Either<Empty<Bytes>, Incoming>;

/// A running balancer. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Balancer {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    _guard: DropGuard,
}

impl Balancer {
    /// Starts it before two seats.
    ///
    /// # Errors
    /// When it cannot listen, or have a thread.
    pub(crate) fn start(seats: [Arc<Seat>; 2]) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("the balancer cannot listen")?;
        listener.set_nonblocking(true).context("the balancer cannot listen")?;
        let address = listener.local_addr().context("the balancer cannot listen")?;
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("no runtime for the balancer")?;
        std::thread::spawn(move || runtime.block_on(stop.run_until_cancelled(serve(listener, seats))));
        Ok(Self { address, _guard: guard })
    }
}

async fn serve(listener: std::net::TcpListener, seats: [Arc<Seat>; 2]) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    for seat in &seats {
        tokio::spawn(Arc::clone(seat).watch());
    }
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector);
    let forward = Arc::new(Forward { seats, turn: AtomicUsize::new(0), client });
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&forward).connection(stream));
        }
    }
}

struct Forward {
    seats: [Arc<Seat>; 2],
    turn: AtomicUsize,
    client: legacy::Client<HttpConnector, Body>,
}

impl Forward {
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let service = service_fn(|request| {
            let this = Arc::clone(&self);
            async move { Ok::<_, Infallible>(this.pass(request).await) }
        });
        // The client sees that its connection broke; nobody else has to know.
        drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
    }

    async fn pass(&self, request: Request<Incoming>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        without_hops(&mut parts.headers);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let Some(node) = self.pick(turn) else { return says(StatusCode::SERVICE_UNAVAILABLE) };
        if parts.method != Method::GET {
            return self.send(&node, &parts, Either::Right(body)).await.unwrap_or(says(StatusCode::BAD_GATEWAY));
        }
        if let Some(answer) = self.send(&node, &parts, Either::Left(Empty::new())).await {
            return answer;
        }
        let other = self.pick(turn + 1).unwrap_or(node);
        let answer = self.send(&other, &parts, Either::Left(Empty::new())).await;
        answer.unwrap_or(says(StatusCode::BAD_GATEWAY))
    }

    /// The one whose turn it is, or else the other, if they want requests.
    fn pick(&self, turn: usize) -> Option<Arc<Occupant>> {
        let [one, other] = [turn, turn + 1].map(|turn| &self.seats[turn % 2]);
        one.wanting().or_else(|| other.wanting())
    }

    /// `None` where there is no answer.
    async fn send(&self, node: &Occupant, parts: &request::Parts, body: Body) -> Option<Response<Body>> {
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = at(node.address, parts.uri.path_and_query()?)?;
        request.headers_mut().clone_from(&parts.headers);
        let mut answer = self.client.request(request).await.ok()?;
        without_hops(answer.headers_mut());
        Some(answer.map(Either::Right))
    }
}

fn at(address: SocketAddr, target: &PathAndQuery) -> Option<Uri> {
    let authority: Authority = address.to_string().parse().ok()?;
    Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(target.clone()).build().ok()
}

/// Takes off what is about one connection alone: a node that closes its own leaves the clients theirs.
fn without_hops(headers: &mut HeaderMap) {
    for name in [CONNECTION, KEEP_ALIVE, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

fn says(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Empty::new()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
