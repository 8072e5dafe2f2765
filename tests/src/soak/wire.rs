//! A client's connection: kept, by any protocol, to whichever node takes it.

use std::{fmt, io, net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, header, response::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// The name that every client asks for, as behind a balancer.
pub(super) const HOST: &str = "pitchey.example";
const BODY_BYTES_MAX: usize = 1 << 20;
/// Longest wait for an answer, and for each piece of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// A window of HTTP/2 that a list does not fit into.
const SMALL_WINDOW: u32 = 4_096;

/// How a client connects.
#[derive(Clone)]
pub(super) struct Door {
    /// `None` in the clear.
    pub(super) tls: Option<TlsConnector>,
    pub(super) http2: bool,
    /// Takes answers by small pieces, with pauses.
    pub(super) slow: bool,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) token: Option<String>,
    pub(super) if_none_match: Option<String>,
    pub(super) json: Option<String>,
}

impl Question {
    pub(super) fn get(target: impl Into<String>) -> Self {
        Self { method: Method::GET, target: target.into(), token: None, if_none_match: None, json: None }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Every `Cache-Status` member.
    pub(super) said: String,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(super) enum Fail {
    /// Nothing was sent: the node takes no connections.
    Unreached(String),
    /// It was closed before a byte of an answer came.
    Unanswered(String),
    /// The answer broke off.
    Cut(String),
    /// Nothing came for a long time.
    Late,
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreached(why) => write!(f, "no connection: {why}"),
            Self::Unanswered(why) => write!(f, "closed without an answer: {why}"),
            Self::Cut(why) => write!(f, "broken off {why}"),
            Self::Late => f.write_str("nothing for too long"),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A connection, opened when it is needed.
pub(super) struct Wire {
    door: Door,
    open: Option<(Sender, AbortOnDropHandle<()>)>,
}

impl Wire {
    pub(super) const fn new(door: Door) -> Self {
        Self { door, open: None }
    }

    pub(super) const fn is_tls(&self) -> bool {
        self.door.tls.is_some()
    }

    /// Whether a question could go out without a new connection.
    pub(super) async fn is_open(&mut self) -> bool {
        let ready = match &mut self.open {
            Some((Sender::Http1(sender), _)) => sender.ready().await.is_ok(),
            Some((Sender::Http2(sender), _)) => sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            self.open = None;
        }
        ready
    }

    /// Closes it.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Opens one.
    pub(super) async fn open(&mut self, at: SocketAddr) -> Result<(), Fail> {
        let opened = timeout(PATIENCE, self.try_open(at)).await.map_err(|_| Fail::Late)?;
        self.open = Some(opened.map_err(|error| Fail::Unreached(error.to_string()))?);
        Ok(())
    }

    async fn try_open(&self, at: SocketAddr) -> io::Result<(Sender, AbortOnDropHandle<()>)> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.door.tls {
            Some(tls) => {
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                Box::new(tls.connect(name, stream).await?)
            }
            None => Box::new(stream),
        };
        let io = TokioIo::new(stream);
        if self.door.http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            if self.door.slow {
                builder.initial_stream_window_size(SMALL_WINDOW);
            }
            let (sender, connection) = builder.handshake(io).await.map_err(io::Error::other)?;
            let driver = tokio::spawn(async move { drop(connection.await) });
            Ok((Sender::Http2(sender), AbortOnDropHandle::new(driver)))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
            let driver = tokio::spawn(async move { drop(connection.await) });
            Ok((Sender::Http1(sender), AbortOnDropHandle::new(driver)))
        }
    }

    fn request(&self, question: &Question) -> Request<Full<Bytes>> {
        let scheme = if self.is_tls() { "https" } else { "http" };
        let target = &question.target;
        let mut request = Request::builder().method(question.method.clone());
        request = match self.door.http2 {
            true => request.uri(format!("{scheme}://{HOST}{target}")),
            false => request.uri(target).header(header::HOST, HOST),
        };
        if let Some(token) = &question.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(etag) = &question.if_none_match {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if question.json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::from(question.json.clone().unwrap_or_default()))
            .expect("the soak asks well-formed questions")
    }

    /// Sends a question over the connection that is open, and waits for the head of its answer.
    pub(super) async fn head(&mut self, question: &Question) -> Result<(Parts, Incoming), Fail> {
        let request = self.request(question);
        let response = match &mut self.open {
            Some((Sender::Http1(sender), _)) => timeout(PATIENCE, sender.send_request(request)).await,
            Some((Sender::Http2(sender), _)) => timeout(PATIENCE, sender.send_request(request)).await,
            None => return Err(Fail::Unanswered("no connection".to_owned())),
        };
        let response = response.map_err(|_| Fail::Late)?.map_err(|error| Fail::Unanswered(chain(&error)))?;
        Ok(response.into_parts())
    }

    /// Reads a body to its end.
    pub(super) async fn whole(&self, (parts, mut body): (Parts, Incoming)) -> Result<Got, Fail> {
        let mut whole = BytesMut::new();
        while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| Fail::Late)? {
            let frame = frame.map_err(|error| Fail::Cut(format!("after {} bytes: {}", whole.len(), chain(&error))))?;
            whole.extend_from_slice(&frame.into_data().unwrap_or_default());
            if whole.len() > BODY_BYTES_MAX {
                return Err(Fail::Cut("an answer without end".to_owned()));
            }
            if self.door.slow {
                sleep(Duration::from_millis(150)).await;
            }
        }
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if parts.status != StatusCode::NOT_MODIFIED && length.is_some_and(|length: usize| length != whole.len()) {
            return Err(Fail::Cut(format!("{} bytes, where {length:?} were announced", whole.len())));
        }
        let said = said(&parts.headers);
        Ok(Got { status: parts.status, said, headers: parts.headers, body: whole.freeze() })
    }
}

/// Every `Cache-Status` member.
pub(super) fn said(headers: &HeaderMap) -> String {
    let lines = headers.get_all("cache-status").iter().filter_map(|line| line.to_str().ok());
    lines.collect::<Vec<_>>().join(", ")
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
