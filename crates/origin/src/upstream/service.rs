use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use edge_cache_core::{BoxError, SharedClock};
use edge_cache_policy::{date, hop};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header, uri::Authority};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;
use tower_service::Service;

use super::{UpstreamBody, UpstreamConfig, UpstreamError};

/// Sends requests to an HTTP origin. Cheap to clone; clones share the connections.
pub struct Upstream<B> {
    client: Client<HttpConnector, B>,
    origin: Authority,
    preserve_host: bool,
    response_timeout: Duration,
    clock: SharedClock,
}

// Not derived: `B` is only named, not held.
impl<B> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            origin: self.origin.clone(),
            preserve_host: self.preserve_host,
            response_timeout: self.response_timeout,
            clock: self.clock.clone(),
        }
    }
}

impl<B> fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl<B> Upstream<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// A client of the origin that `config` names. Connects at the first request.
    ///
    /// # Errors
    /// When the URL names no origin.
    pub fn new(config: &UpstreamConfig, clock: SharedClock) -> Result<Self, UpstreamError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(config.connect_timeout));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(config.idle_connections_max)
            .http1_preserve_header_case(false)
            .build(connector);
        Ok(Self {
            client,
            origin: config.authority()?,
            preserve_host: config.preserve_host,
            response_timeout: config.response_timeout,
            clock,
        })
    }

    fn outward(&self, req: &mut Request<B>) {
        let host = req.uri().authority().map(|authority| HeaderValue::try_from(authority.as_str()));
        if let (Some(Ok(host)), true) = (host, self.preserve_host) {
            // HTTP/2 names the authority in the URI only.
            req.headers_mut().insert(header::HOST, host);
        }
        if !self.preserve_host {
            req.headers_mut().remove(header::HOST);
        }
        hop::strip(req.headers_mut());
        let path = req.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder().scheme("http").authority(self.origin.clone()).path_and_query(path).build();
        *req.uri_mut() = uri.expect("a received path and a validated authority make a URI");
        *req.version_mut() = Version::HTTP_11;
    }

    fn inward(clock: &SharedClock, response: Response<Incoming>) -> Response<UpstreamBody> {
        let mut response = response.map(UpstreamBody::incoming);
        hop::strip(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        if !response.headers().contains_key(header::DATE) {
            // RFC 9110 §6.6.1: who receives an answer without a date and keeps it notes when it came.
            let now = HeaderValue::try_from(date::format(clock.now())).expect("a date is a header value");
            response.headers_mut().insert(header::DATE, now);
        }
        response
    }
}

impl<B> Service<Request<B>> for Upstream<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<UpstreamBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        if req.uri().path() == "*" || req.method() == http::Method::CONNECT {
            return Box::pin(async { Ok(instead(StatusCode::NOT_IMPLEMENTED, "no such tunnel or target\n")) });
        }
        self.outward(&mut req);
        let (asked, limit, clock) = (self.client.request(req), self.response_timeout, self.clock.clone());
        Box::pin(async move {
            Ok(match timeout(limit, asked).await {
                Ok(Ok(response)) => Self::inward(&clock, response),
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "origin gave no answer");
                    instead(StatusCode::BAD_GATEWAY, "the origin gave no answer\n")
                }
                Err(_) => {
                    tracing::warn!(limit_ms = limit.as_millis(), "origin is too slow");
                    instead(StatusCode::GATEWAY_TIMEOUT, "the origin is too slow\n")
                }
            })
        })
    }
}

fn instead(status: StatusCode, text: &'static str) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::text(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status != StatusCode::NOT_IMPLEMENTED {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
