//! Asking a running proxy as its clients do: HTTP/1.1 on connections that are kept. `warm`, `monitor` and `baseline` share it.

use std::{num::NonZeroUsize, time::Duration};

use bytes::Bytes;
use edge_cache_core::BoxError;
use edge_cache_probe::{Answer, Ask, AskError, Question, said};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};

use crate::dial::{Address, Dialer};

const IDLE: Duration = Duration::from_secs(20);
const AGENT: HeaderValue = HeaderValue::from_static(concat!("cache-proxy-probe/", env!("CARGO_PKG_VERSION")));

/// A client of one proxy. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    proxy: Address,
    http: legacy::Client<Dialer, Empty<Bytes>>,
}

/// A whole answer, of whose body nothing is kept.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body_bytes: u64,
}

/// Why there was none.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection.
    Connect(BoxError),
    /// It broke before the head of an answer, or that was no HTTP.
    Transport(BoxError),
    /// The body did not come to its end.
    BrokeOff(BoxError),
    /// The body is longer than is read.
    TooLarge,
}

impl Client {
    /// Keeps at most `connections` that are idle. `timeout` is the time for a whole answer, which is for the caller to measure.
    pub(crate) fn new(proxy: Dialer, connections: NonZeroUsize, timeout: Duration) -> Self {
        let address = proxy.address().clone();
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections.get())
            // Below the limit for the whole answer, so that a proxy that cannot be reached is told from one that does not answer.
            .build(proxy.within(timeout / 2));
        Self { proxy: address, http }
    }

    /// Sends a request as [`edge_cache_warmer::Replay::request`] makes it, to the proxy, with the `Host` that it names. Dropping the future gives
    /// it up.
    pub(crate) fn send(
        &self,
        request: Request<()>,
        body_bytes_max: u64,
    ) -> impl Future<Output = Result<Got, Failure>> + Send + use<> {
        let (http, proxy) = (self.http.clone(), self.proxy.clone());
        async move {
            let mut request = request.map(|()| Empty::new());
            let mut parts = std::mem::take(request.uri_mut()).into_parts();
            (parts.scheme, parts.authority) = (Some(proxy.scheme().clone()), Some(proxy.authority().clone()));
            *request.uri_mut() = Uri::from_parts(parts).map_err(|error| Failure::Transport(error.into()))?;
            let response = http.request(request).await.map_err(|error| match error.is_connect() {
                true => Failure::Connect(error.into()),
                false => Failure::Transport(error.into()),
            })?;
            let (parts, mut body) = response.into_parts();
            let mut body_bytes = 0;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Failure::BrokeOff(error.into()))?;
                body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if body_bytes > body_bytes_max {
                    return Err(Failure::TooLarge);
                }
            }
            Ok(Got { status: parts.status, headers: parts.headers, body_bytes })
        }
    }
}

impl Ask for Client {
    fn ask(&self, question: &Question) -> BoxFuture<'static, Result<Answer, AskError>> {
        let mut request = question.request();
        request.headers_mut().insert(header::USER_AGENT, AGENT);
        let got = self.send(request, question.body_bytes_max);
        async move {
            let got = got.await.map_err(|failure| match failure {
                Failure::Connect(error) => AskError::Connect(error),
                Failure::Transport(error) => AskError::Transport(error),
                Failure::BrokeOff(error) => AskError::BrokeOff(error),
                Failure::TooLarge => AskError::TooLarge,
            })?;
            let (by, detail) = said(&got.headers);
            Ok(Answer { status: got.status, by, detail, body_bytes: got.body_bytes })
        }
        .boxed()
    }
}
