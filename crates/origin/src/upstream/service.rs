use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use edge_cache_core::{BoxError, Disconnected, SharedClock};
use edge_cache_policy::{date, groups, hop, request};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, uri::Authority};
use http_body::Body;
use hyper::{body::Incoming, upgrade};
use hyper_util::{
    client::legacy::{Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tower_service::Service;

use super::{
    FromClient, UpstreamBody, UpstreamConfig, UpstreamError,
    connector::{Connector, Usage},
    forwarding, tunnel,
};

/// Sends requests to an HTTP origin. Cheap to clone; clones share the connections.
pub struct Upstream<B> {
    // Servers clone their whole stack for each request, hits too: one count is all that costs.
    shared: Arc<Shared<B>>,
}

/// Longest time in which a connection that had died idle is found out: what takes longer may have been worked on.
const DEAD_WITHIN: Duration = Duration::from_secs(1);

struct Shared<B> {
    client: Client<Connector, B>,
    /// Never uses a connection twice: for what met a dead one.
    fresh: Client<Connector, B>,
    origin: Authority,
    preserve_host: bool,
    response_timeout: Duration,
    name: String,
    upgrades: bool,
    tunnels: Arc<Semaphore>,
    tunnel_idle_max: Duration,
    clock: SharedClock,
}

// Not derived: `B` is only named, not held.
impl<B> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<B> fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("origin", &self.shared.origin).finish_non_exhaustive()
    }
}

impl<B> Upstream<B>
where
    B: Body + Default + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// A client of the origin that `config` names. Connects at the first request.
    ///
    /// # Errors
    /// When the URL names no origin, or the name is no token.
    pub fn new(config: &UpstreamConfig, clock: SharedClock) -> Result<Self, UpstreamError> {
        let client = |idle_connections_max| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(config.idle_timeout)
                .pool_max_idle_per_host(idle_connections_max)
                .http1_preserve_header_case(false)
                .build(Connector::new(config.connect_timeout))
        };
        let shared = Arc::new(Shared {
            client: client(config.idle_connections_max),
            fresh: client(0),
            origin: config.authority()?,
            preserve_host: config.preserve_host,
            response_timeout: config.response_timeout,
            name: config.name()?.to_owned(),
            upgrades: config.upgrades,
            tunnels: Arc::new(Semaphore::new(config.tunnels_max)),
            tunnel_idle_max: config.tunnel_idle_max,
            clock,
        });
        Ok(Self { shared })
    }

    async fn answer(self, mut req: Request<B>) -> Response<UpstreamBody> {
        if let Some(response) = forwarding::last_recipient(&mut req) {
            return response;
        }
        if req.uri().path() == "*" || *req.method() == Method::CONNECT {
            return instead(StatusCode::NOT_IMPLEMENTED, "no such tunnel or target\n");
        }
        let wish = request::asks_to_switch(req.version(), req.headers());
        if !wish.is_empty() {
            let wish = wish.iter().filter_map(|protocol| HeaderValue::from_bytes(protocol).ok()).collect();
            return self.switch(req, wish).await;
        }
        self.shared.address(&mut req);
        forwarding::forward(&mut req, &self.shared.name);
        *req.version_mut() = Version::HTTP_11;
        match self.send(req).await {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                disconnected(StatusCode::BAD_GATEWAY, "the origin switched protocols unasked\n")
            }
            Ok(response) => self.shared.inward(response),
            Err(response) => *response,
        }
    }

    /// Sends a request; a second time, on a new connection, only where the first met a connection that died without a byte for it, at
    /// once, after it had answered others: then it was closed while it was idle. And only a request that may be repeated and has no body
    /// (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
    async fn send(&self, mut req: Request<B>) -> Result<Response<Incoming>, Box<Response<UpstreamBody>>> {
        let repeatable = req.method().is_idempotent() && req.body().is_end_stream();
        pass_interim_on(&mut req);
        let spare = repeatable.then(|| Spare::of(&req));
        let captured = capture_connection(&mut req);
        let (limit, began) = (self.shared.response_timeout, Instant::now());
        let error = match timeout(limit, self.shared.client.request(req)).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => error,
            Err(_) => return Err(too_slow(limit)),
        };
        let usage = captured.connection_metadata().as_ref().and_then(|connected| {
            let mut extras = http::Extensions::new();
            connected.get_extras(&mut extras);
            extras.remove::<Usage>()
        });
        let died_idle = usage.is_some_and(|usage| usage.died_unanswered()) && began.elapsed() < DEAD_WITHIN;
        let Some(spare) = spare.filter(|_| died_idle) else {
            return Err(no_answer(&error));
        };
        tracing::debug!(error = &error as &dyn std::error::Error, "an idle connection had died: sent again");
        match timeout(limit.saturating_sub(began.elapsed()), self.shared.fresh.request(spare.request())).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(no_answer(&error)),
            Err(_) => Err(too_slow(limit)),
        }
    }

    /// A request for another protocol: passed on with its wish, and a tunnel once both sides have switched (RFC 9110 §7.8).
    async fn switch(self, mut req: Request<B>, wish: Vec<HeaderValue>) -> Response<UpstreamBody> {
        if !self.shared.upgrades {
            return instead(
                StatusCode::NOT_IMPLEMENTED,
                "other protocols are not passed on (origin.upgrades = false)\n",
            );
        }
        let Ok(place) = Arc::clone(&self.shared.tunnels).try_acquire_owned() else {
            return instead(StatusCode::SERVICE_UNAVAILABLE, "too many tunnels (origin.tunnels_max)\n");
        };
        let client = upgrade::on(&mut req);
        self.shared.address(&mut req);
        forwarding::forward(&mut req, &self.shared.name);
        *req.version_mut() = Version::HTTP_11;
        wishes(req.headers_mut(), &wish);
        let mut response = match timeout(self.shared.response_timeout, self.shared.client.request(req)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return *no_answer(&error),
            Err(_) => return *too_slow(self.shared.response_timeout),
        };
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return self.shared.inward(response);
        }
        let granted: Vec<_> = response.headers().get_all(header::UPGRADE).iter().cloned().collect();
        let asked =
            |protocol: &HeaderValue| wish.iter().any(|wish| wish.as_bytes().eq_ignore_ascii_case(protocol.as_bytes()));
        if granted.is_empty() || !granted.iter().all(asked) {
            return disconnected(StatusCode::BAD_GATEWAY, "the origin switched to a protocol that nobody asked for\n");
        }
        let origin = upgrade::on(&mut response);
        tokio::spawn(tunnel::join(client, origin, self.shared.tunnel_idle_max, place));
        let mut response = response.map(|_| UpstreamBody::empty());
        hop::strip(response.headers_mut());
        wishes(response.headers_mut(), &granted);
        response
    }
}

/// Names the protocols, of this connection.
fn wishes(headers: &mut HeaderMap, protocols: &[HeaderValue]) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    for protocol in protocols {
        headers.append(header::UPGRADE, protocol.clone());
    }
}

/// A request without a body, to be made anew.
struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    client: Option<FromClient>,
}

impl Spare {
    fn of<B>(req: &Request<B>) -> Self {
        let client = req.extensions().get::<FromClient>().cloned();
        Self { method: req.method().clone(), uri: req.uri().clone(), headers: req.headers().clone(), client }
    }

    fn request<B: Default>(self) -> Request<B> {
        let mut req = Request::new(B::default());
        *req.method_mut() = self.method;
        *req.uri_mut() = self.uri;
        *req.headers_mut() = self.headers;
        if let Some(client) = self.client {
            req.extensions_mut().insert(client);
        }
        pass_interim_on(&mut req);
        req
    }
}

/// Interim answers go on to the client that waits; 100 is between the origin and us, who take the body from the client ourselves.
fn pass_interim_on<B>(req: &mut Request<B>) {
    if let Some((sink, request)) = req.extensions().get::<FromClient>().and_then(FromClient::interim) {
        hyper::ext::on_informational(req, move |interim| {
            if !matches!(interim.status(), StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS) {
                let mut headers = interim.headers().clone();
                hop::strip(&mut headers);
                groups::strip(&mut headers);
                // A head without a body has no length (RFC 9110 §8.6), and cookies come with the final one, which the policy judges.
                headers.remove(header::CONTENT_LENGTH);
                headers.remove(header::SET_COOKIE);
                sink.send(request, interim.status(), &headers);
            }
        });
    }
}

impl<B> Shared<B> {
    /// Points a request at the origin.
    fn address(&self, req: &mut Request<B>) {
        let host = req.uri().authority().map(|authority| HeaderValue::try_from(authority.as_str()));
        if let (Some(Ok(host)), true) = (host, self.preserve_host) {
            // HTTP/2 names the authority in the URI only.
            req.headers_mut().insert(header::HOST, host);
        }
        if !self.preserve_host {
            req.headers_mut().remove(header::HOST);
        }
        let path = req.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder().scheme("http").authority(self.origin.clone()).path_and_query(path).build();
        *req.uri_mut() = uri.expect("a received path and a validated authority make a URI");
    }

    fn inward(&self, response: Response<Incoming>) -> Response<UpstreamBody> {
        let mut response = response.map(UpstreamBody::incoming);
        hop::strip(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        if !response.headers().contains_key(header::DATE) {
            // RFC 9110 §6.6.1: who receives an answer without a date and keeps it notes when it came.
            let now = HeaderValue::try_from(date::format(self.clock.now())).expect("a date is a header value");
            response.headers_mut().insert(header::DATE, now);
        }
        response
    }
}

impl<B> Service<Request<B>> for Upstream<B>
where
    B: Body + Default + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<UpstreamBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(req).await) })
    }
}

fn no_answer(error: &(dyn std::error::Error + 'static)) -> Box<Response<UpstreamBody>> {
    tracing::warn!(error, "origin gave no answer");
    Box::new(disconnected(StatusCode::BAD_GATEWAY, "the origin gave no answer\n"))
}

fn too_slow(limit: Duration) -> Box<Response<UpstreamBody>> {
    tracing::warn!(limit_ms = limit.as_millis(), "origin is too slow");
    Box::new(disconnected(StatusCode::GATEWAY_TIMEOUT, "the origin is too slow\n"))
}

/// An answer in place of the origin's: a tier may have something stale instead.
fn disconnected(status: StatusCode, text: &'static str) -> Response<UpstreamBody> {
    let mut response = instead(status, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response.extensions_mut().insert(Disconnected);
    response
}

fn instead(status: StatusCode, text: &'static str) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::bytes(text.as_bytes().into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
