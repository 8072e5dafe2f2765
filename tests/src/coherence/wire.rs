//! A connection that is kept.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::task::AbortOnDropHandle;

/// The name under which every node is asked, as behind a balancer.
const HOST: &str = "shop.example";
const BODY_BYTES_MAX: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct Wire {
    open: Option<(SocketAddr, SendRequest<Full<Bytes>>, AbortOnDropHandle<()>)>,
}

/// An answer, all of it.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    /// Every `Cache-Status` member.
    pub(super) said: String,
    pub(super) body: Bytes,
}

impl Wire {
    /// Asks `at`; `None` when no answer comes.
    pub(super) async fn ask(
        &mut self,
        at: SocketAddr,
        method: &str,
        target: &str,
        json: Option<String>,
    ) -> Option<Got> {
        let answer = timeout(PATIENCE, self.try_ask(at, method, target, json)).await.ok().flatten();
        if answer.is_none() {
            self.open = None;
        }
        answer
    }

    async fn try_ask(&mut self, at: SocketAddr, method: &str, target: &str, json: Option<String>) -> Option<Got> {
        let is_open = self.open.as_ref().is_some_and(|(to, sender, _)| *to == at && !sender.is_closed());
        if !is_open {
            let stream = TcpStream::connect(at).await.ok()?;
            stream.set_nodelay(true).ok()?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            let driver = tokio::spawn(async move { drop(connection.await) });
            self.open = Some((at, sender, AbortOnDropHandle::new(driver)));
        }
        let (_, sender, _) = self.open.as_mut()?;
        sender.ready().await.ok()?;
        let host = if json.is_some() { "localhost" } else { HOST };
        let mut request = Request::builder().method(method).uri(target).header(header::HOST, host);
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::from(json.unwrap_or_default())).ok()?;
        let (parts, body) = sender.send_request(request).await.ok()?.into_parts();
        #[expect(clippy::disallowed_methods, reason = "limited in bytes")]
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.ok()?.to_bytes();
        let said = parts.headers.get_all("cache-status").iter().filter_map(|line| line.to_str().ok());
        Some(Got { status: parts.status, said: said.collect::<Vec<_>>().join(", "), body })
    }
}
