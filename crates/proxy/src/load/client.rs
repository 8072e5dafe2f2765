//! One client: an HTTP/1.1 connection that is kept alive and opened again when it is gone.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::recorder::Failure;

/// How long a client waits, from the intended start of a request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Larger bodies are not kept in memory; those asked for are a few hundred kB.
const BODY_BYTES_MAX: usize = 16 << 20;

/// Opens a connection; its driver runs as a task of its own until the sender is dropped.
pub(crate) async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => Failure::ConnectRefused,
        _ => Failure::Connect,
    })?;
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Connect)?;
    // A broken connection reaches the request that was on it; the driver's own copy of the error adds nothing.
    tokio::spawn(async move { drop(driver.await) });
    Ok(sender)
}

/// One client slot.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
    used: bool,
}

impl Client {
    /// Not connected yet.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, sender: None, used: false }
    }

    /// Connects if there is no usable connection.
    pub(crate) async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.sender = Some(connect(self.address).await?);
            self.used = false;
        }
        Ok(self.sender.as_mut().expect("connected just above"))
    }

    /// Sends, reads to the last byte and throws the body away unless `keep` says so.
    ///
    /// A server may close an idle connection at the very moment when a request is sent on it. Such a GET is sent once
    /// more on a new connection, as every browser does.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>, keep: bool) -> Result<Response<Bytes>, Failure> {
        let again = (request.method() == http::Method::GET).then(|| request.clone());
        match self.send_once(request, keep).await {
            Err(Failure::Transport) if self.used => match again {
                Some(request) => {
                    self.sender = None;
                    self.send_once(request, keep).await
                }
                None => Err(Failure::Transport),
            },
            done => done,
        }
    }

    async fn send_once(&mut self, request: Request<Full<Bytes>>, keep: bool) -> Result<Response<Bytes>, Failure> {
        let sender = self.ready().await?;
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            Err(_) => {
                self.sender = None;
                return Err(Failure::Transport);
            }
        };
        let (parts, body) = response.into_parts();
        match read(body, keep).await {
            Ok(body) => {
                self.used = true;
                Ok(Response::from_parts(parts, body))
            }
            Err(failure) => {
                // Half a body was read: this is no closed idle connection, so it is not sent again.
                self.sender = None;
                self.used = false;
                Err(failure)
            }
        }
    }

    /// Drops the connection: a request was given up on it.
    pub(crate) fn hang_up(&mut self) {
        self.sender = None;
    }
}

async fn read(mut body: Incoming, keep: bool) -> Result<Bytes, Failure> {
    let mut kept = Vec::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|_| Failure::Transport)?;
        if let (true, Ok(data)) = (keep, frame.into_data()) {
            if kept.len() + data.len() > BODY_BYTES_MAX {
                return Err(Failure::Transport);
            }
            kept.extend_from_slice(&data);
        }
    }
    Ok(kept.into())
}
