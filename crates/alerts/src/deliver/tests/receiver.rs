//! A receiver of webhooks on this machine that answers as it is told.

use std::{collections::VecDeque, convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use super::LONG;

/// What it answers.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<&'static str>,
    pub(super) location: Option<String>,
    /// Not at all.
    pub(super) silent: bool,
    /// With a body that goes on and on.
    pub(super) endless: bool,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap();
        Self { status, retry_after: None, location: None, silent: false, endless: false }
    }
}

/// A request that it got.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

struct State {
    answers: Mutex<VecDeque<Answer>>,
    seen: watch::Sender<Vec<Seen>>,
}

pub(super) struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Gives `answers` in turn, then 200.
    pub(super) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_at(TcpListener::bind("127.0.0.1:0").await.unwrap(), answers)
    }

    /// The same on what was bound before.
    pub(super) fn start_at(listener: TcpListener, answers: impl IntoIterator<Item = Answer>) -> Self {
        let address = listener.local_addr().unwrap();
        let answers = Mutex::new(answers.into_iter().collect());
        let state = Arc::new(State { answers, seen: watch::Sender::new(Vec::new()) });
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, server }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook/s3cr3t", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.seen.borrow().clone()
    }

    /// Waits until it got as many requests.
    pub(super) async fn has_seen(&self, count: usize) {
        let mut seen = self.state.seen.subscribe();
        timeout(LONG, seen.wait_for(|seen| seen.len() >= count)).await.unwrap().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            // The courier hangs up on what it does not want to hear.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    #[expect(clippy::disallowed_methods, reason = "through a limit")]
    let body = Limited::new(body, 1 << 20).collect().await.unwrap().to_bytes();
    let answer = state.answers.lock().pop_front().unwrap_or_else(|| Answer::status(200));
    let seen = Seen { method: head.method, path: head.uri.path().to_owned(), headers: head.headers, body };
    state.seen.send_modify(|all| all.push(seen));
    if answer.silent {
        std::future::pending::<()>().await;
    }
    let body = if answer.endless {
        let frame = || Ok(Frame::data(Bytes::from_static(&[b'a'; 1024])));
        BodyExt::boxed(StreamBody::new(stream::repeat_with(frame)))
    } else {
        Full::new(Bytes::from_static(b"ok")).boxed()
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let (retry_after, location) = (answer.retry_after.map(str::to_owned), answer.location);
    for (name, value) in [("retry-after", retry_after), ("location", location)] {
        if let Some(value) = value {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    Ok(response)
}
