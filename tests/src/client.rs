use std::{convert::Infallible, io, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{Answer, PATIENCE};

/// Far above anything a test sends; keeps a runaway answer from filling memory.
const BODY_BYTES_MAX: usize = 64 << 20;

type SentBody = UnsyncBoxBody<Bytes, io::Error>;

/// A client of one server. Every request has a connection of its own, so that none hides behind another.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    address: SocketAddr,
}

/// A request being put together.
#[derive(Debug)]
#[must_use = "nothing is sent before `send` or `open`"]
pub struct Ask {
    address: SocketAddr,
    request: Request<SentBody>,
    http2: bool,
}

/// An answer whose body is still coming. Dropping it closes the connection.
#[derive(Debug)]
pub struct Opened {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    _connection: AbortOnDropHandle<()>,
}

impl Client {
    /// A client of the server at `address`.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// A GET of `target`: path and query.
    pub fn get(&self, target: &str) -> Ask {
        self.ask("GET", target)
    }

    /// A POST of `target` with JSON.
    pub fn post(&self, target: &str, json: &Value) -> Ask {
        self.ask("POST", target).json(json)
    }

    /// A request with `method`.
    ///
    /// # Panics
    /// When method or target are malformed.
    pub fn ask(&self, method: &str, target: &str) -> Ask {
        let empty = Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync();
        let mut request = Request::new(empty);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
        *request.uri_mut() = target.parse().expect("a target");
        let host = HeaderValue::try_from(self.address.to_string()).expect("an address is a host");
        request.headers_mut().insert(header::HOST, host);
        Ask { address: self.address, request, http2: false }
    }
}

impl Ask {
    /// Adds a header; `host` is replaced.
    ///
    /// # Panics
    /// When it is malformed.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name");
        let value = HeaderValue::try_from(value).expect("a header value");
        if name == header::HOST {
            self.request.headers_mut().insert(name, value);
        } else {
            self.request.headers_mut().append(name, value);
        }
        self
    }

    /// Signs in with `token`; with an empty one it does not.
    pub fn bearer(self, token: &str) -> Self {
        if token.is_empty() { self } else { self.header("authorization", &format!("Bearer {token}")) }
    }

    /// A body with a known length.
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        let full = Full::new(body.into()).map_err(|never: Infallible| match never {});
        *self.request.body_mut() = full.boxed_unsync();
        self
    }

    /// A JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    /// A body of any kind.
    pub fn body(mut self, body: impl Body<Data = Bytes, Error = io::Error> + Send + 'static) -> Self {
        *self.request.body_mut() = body.boxed_unsync();
        self
    }

    /// Speaks HTTP/2 without asking first; the host goes into the target.
    ///
    /// # Panics
    /// When the host is malformed.
    pub fn http2(mut self) -> Self {
        let host = self.request.headers_mut().remove(header::HOST).expect("every request has a host");
        let host = host.to_str().expect("a host is text").to_owned();
        let target = format!("http://{host}{}", self.request.uri());
        *self.request.uri_mut() = target.parse().expect("a host and a target make a URI");
        self.http2 = true;
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    /// When there is no whole answer in time.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.request.method(), self.request.uri());
        self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// The same, where an answer that breaks off is expected.
    ///
    /// # Errors
    /// What went wrong on the way.
    pub async fn try_send(self) -> io::Result<Answer> {
        timeout(PATIENCE, async { self.try_open().await?.whole().await }).await?
    }

    /// Sends it and reads the head of the answer.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn open(self) -> Opened {
        timeout(PATIENCE, self.try_open()).await.expect("an answer in time").expect("an answer")
    }

    async fn try_open(self) -> io::Result<Opened> {
        let io = TokioIo::new(TcpStream::connect(self.address).await?);
        let (response, connection) = if self.http2 {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            (sender.send_request(self.request).await, connection)
        } else {
            let (mut sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            (sender.send_request(self.request).await, connection)
        };
        let connection = AbortOnDropHandle::new(connection);
        let (parts, body) = response.map_err(io::Error::other)?.into_parts();
        Ok(Opened { status: parts.status, headers: parts.headers, body, _connection: connection })
    }
}

impl Opened {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Panics
    /// When nothing comes in time, or the body breaks off.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("a piece in time")?;
            if let Ok(data) = frame.expect("the body goes on").into_data() {
                return Some(data);
            }
        }
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn whole(mut self) -> io::Result<Answer> {
        let (mut body, mut trailers) = (BytesMut::new(), HeaderMap::new());
        while let Some(frame) = self.body.frame().await {
            match frame.map_err(io::Error::other)?.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
            assert!(body.len() <= BODY_BYTES_MAX, "an answer without end");
        }
        Ok(Answer { status: self.status, headers: self.headers, body: body.freeze(), trailers })
    }
}

/// Sends bytes as they are, and reads what comes until the server closes.
///
/// # Errors
/// When the connection breaks.
pub async fn raw(address: SocketAddr, request: &[u8]) -> io::Result<String> {
    raw_over(TcpStream::connect(address).await?, request).await
}

/// The same over a connection that is there.
///
/// # Errors
/// When the connection breaks.
pub async fn raw_over(mut stream: TcpStream, request: &[u8]) -> io::Result<String> {
    timeout(PATIENCE, async {
        // A server that refuses a long head closes before it has read it all: what it said comes first.
        let sent = stream.write_all(request).await;
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match stream.read(&mut piece).await {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&piece[..read]),
                Err(error) if answer.is_empty() => return Err(sent.err().unwrap_or(error)),
                Err(_) => break,
            }
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
    .await?
}
