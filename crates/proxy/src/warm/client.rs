//! Asking a running proxy: HTTP/1.1 on connections that are kept.

use std::time::Duration;

use bytes::Bytes;
use edge_cache_warmer::{Ask, AskError, How, Limits, Replay, Told};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderValue, Request, Uri, header, uri::Authority};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::said::from_cache;

/// Background: the least urgent there is (RFC 9218 §4.1).
const URGENCY: HeaderValue = HeaderValue::from_static("u=7");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("cache-proxy-warm/", env!("CARGO_PKG_VERSION")));
const IDLE: Duration = Duration::from_secs(20);
/// Above it a body is given up; nothing of it is kept.
const BODY_BYTES_MAX: u64 = 1 << 30;

/// A client of one proxy. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Client {
    proxy: Authority,
    http: legacy::Client<HttpConnector, Empty<Bytes>>,
}

impl Client {
    pub(super) fn new(proxy: Authority, limits: &Limits) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // Below the limit for the whole answer, so that a proxy that cannot be reached is told from one that does not answer.
        connector.set_connect_timeout(Some(limits.timeout / 2));
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(limits.concurrency.get())
            .build(connector);
        Self { proxy, http }
    }

    /// The request, addressed to the proxy, with the `Host` that readers name.
    fn request(&self, replay: &Replay, how: How) -> Result<Request<Empty<Bytes>>, http::Error> {
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.proxy.clone())
            .path_and_query(replay.path_and_query().clone())
            .build()?;
        let mut request = replay.request().map(|()| Empty::new());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert("priority", URGENCY);
        headers.insert(header::USER_AGENT, AGENT);
        if how == How::Refresh {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        Ok(request)
    }
}

impl Ask for Client {
    fn ask(&self, replay: &Replay, how: How) -> BoxFuture<'static, Result<Told, AskError>> {
        let (http, request) = (self.http.clone(), self.request(replay, how));
        async move {
            let request = request.map_err(|error| AskError::Transport(error.into()))?;
            let response = http.request(request).await.map_err(|error| match error.is_connect() {
                true => AskError::Connect(error.into()),
                false => AskError::Transport(error.into()),
            })?;
            let (parts, mut body) = response.into_parts();
            let mut body_bytes = 0;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| AskError::Transport(error.into()))?;
                body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if body_bytes > BODY_BYTES_MAX {
                    return Err(AskError::TooLarge);
                }
            }
            Ok(Told { status: parts.status, from_cache: from_cache(&parts.headers), body_bytes })
        }
        .boxed()
    }
}
