use std::{
    convert::Infallible,
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use edge_cache_core::{BoxError, SharedClock, SharedRng};
use edge_cache_policy::{date, hop, request};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::upgrade;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};
use tower::retry::budget::TpsBudget;
use tower_service::Service;

use super::{
    OriginState, UpstreamBody, UpstreamConfig, UpstreamError,
    balance::{Balance, budget},
    body::Limits,
    forwarding::{self, Gateway},
    health::Checks,
    instead::{disconnected, instead},
    pool::Pool,
    secure::Secure,
    send::Answered,
    tunnel,
};

use crate::{Permits, Work};

/// Sends requests to an HTTP origin, or to several. Cheap to clone; clones share the connections and what is known of each origin, and
/// the checks end with the last of them.
pub struct Upstream<B> {
    // Servers clone their whole stack for each request, hits too: one count is all that costs.
    shared: Arc<Shared<B>>,
}

pub(super) struct Shared<B> {
    pub(super) balance: Balance,
    /// Of each origin, in the order of the balance.
    pub(super) pools: Box<[Pool<B>]>,
    preserve_host: bool,
    response_timeout: Duration,
    pub(super) total_timeout: Option<Duration>,
    body_idle_max: Option<Duration>,
    gateway: Gateway,
    upgrades: bool,
    tunnels: Arc<Semaphore>,
    tunnel_idle_max: Duration,
    clock: SharedClock,
    pub(super) permits: Permits,
    pub(super) queue_timeout: Duration,
    /// Ended with this.
    _checks: JoinSet<()>,
}

// Not derived: `B` is only named, not held.
impl<B> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<B> fmt::Debug for Upstream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("origins", &self.shared.balance).finish_non_exhaustive()
    }
}

impl<B> Upstream<B>
where
    B: Body + Default + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// A client of the origins that `config` names. Connects at the first request, or checks at once where it is to check; then it must
    /// be made on a runtime.
    ///
    /// # Errors
    /// When a URL names no origin, the checks have no path or no time between them, the name is no token, or what TLS needs is not there.
    pub fn new(config: &UpstreamConfig, clock: SharedClock, rng: SharedRng) -> Result<Self, UpstreamError> {
        Self::with_budget(config, clock, rng, budget())
    }

    pub(super) fn with_budget(
        config: &UpstreamConfig,
        clock: SharedClock,
        rng: SharedRng,
        budget: TpsBudget,
    ) -> Result<Self, UpstreamError> {
        let name = config.name()?;
        let checks = Checks::of(config)?;
        let targets = config.targets()?;
        let secure = Secure::each(config, &targets)?;
        let pool = |(target, secure)| Pool::new(config, target, secure);
        let pools: Box<[_]> = targets.iter().zip(secure).map(pool).collect();
        let balance = Balance::new(targets, config.connections_max, rng, budget);
        let members = balance.members();
        let mut running = JoinSet::new();
        if let Some(checks) = checks {
            for (member, pool) in members.iter().zip(&pools) {
                running.spawn(checks.clone().run(pool.clone(), Arc::clone(member)));
            }
        }
        let permits = Permits::new(config.connections_max * members.len(), config.queue_max, config.queue_timeout);
        let shared = Arc::new(Shared {
            permits,
            queue_timeout: config.queue_timeout,
            balance,
            pools,
            preserve_host: config.preserve_host,
            response_timeout: config.response_timeout,
            total_timeout: (!config.total_timeout.is_zero()).then_some(config.total_timeout),
            body_idle_max: (!config.body_idle_max.is_zero()).then_some(config.body_idle_max),
            gateway: Gateway::named(name),
            upgrades: config.upgrades,
            tunnels: Arc::new(Semaphore::new(config.tunnels_max)),
            tunnel_idle_max: config.tunnel_idle_max,
            clock,
            _checks: running,
        });
        Ok(Self { shared })
    }

    /// How each origin does now, the first being that of `url`.
    #[must_use]
    pub fn state(&self) -> Vec<OriginState> {
        self.shared.balance.state()
    }

    /// The permits that requests need, tunnels aside, for whoever governs them.
    #[must_use]
    pub fn permits(&self) -> &Permits {
        &self.shared.permits
    }
}

/// Names the protocols, of this connection.
fn wishes(headers: &mut HeaderMap, protocols: &[HeaderValue]) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    for protocol in protocols {
        headers.append(header::UPGRADE, protocol.clone());
    }
}

impl<B> Shared<B>
where
    B: Body + Default + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Answers a request that is ready to be sent. No `async` function: its future would have room for the request twice.
    fn answer(
        self: Arc<Self>,
        mut req: Request<B>,
    ) -> impl Future<Output = Result<Response<UpstreamBody>, Infallible>> {
        // RFC 9110 §9.2.2, RFC 9112 §9.3.1.
        let repeatable = req.method().is_idempotent() && req.body().is_end_stream();
        async move {
            Ok(match Work::of(req.extensions()).run(self.ask(&mut req, repeatable)).await {
                Ok((answered, _)) if answered.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    disconnected(StatusCode::BAD_GATEWAY, "the origin switched protocols unasked\n")
                }
                Ok((answered, began)) => self.inward(answered, began),
                Err(response) => *response,
            })
        }
    }

    /// A request for another protocol: passed on with its wish, and a tunnel once both sides have switched (RFC 9110 §7.8).
    async fn switch(&self, mut req: Request<B>, wish: Vec<HeaderValue>) -> Response<UpstreamBody> {
        if !self.upgrades {
            return instead(
                StatusCode::NOT_IMPLEMENTED,
                "other protocols are not passed on (origin.upgrades = false)\n",
            );
        }
        let Ok(place) = Arc::clone(&self.tunnels).try_acquire_owned() else {
            return instead(StatusCode::SERVICE_UNAVAILABLE, "too many tunnels (origin.tunnels_max)\n");
        };
        let client = upgrade::on(&mut req);
        self.prepare(&mut req);
        wishes(req.headers_mut(), &wish);
        // A tunnel has a limit of its own: it gives its permit back here, with its place.
        let (mut answered, began) = match Work::of(req.extensions()).run(self.ask(&mut req, false)).await {
            Ok(answered) => answered,
            Err(response) => return *response,
        };
        if answered.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return self.inward(answered, began);
        }
        let granted: Vec<_> = answered.response.headers().get_all(header::UPGRADE).iter().cloned().collect();
        let asked =
            |protocol: &HeaderValue| wish.iter().any(|wish| wish.as_bytes().eq_ignore_ascii_case(protocol.as_bytes()));
        if granted.is_empty() || !granted.iter().all(asked) {
            return disconnected(StatusCode::BAD_GATEWAY, "the origin switched to a protocol that nobody asked for\n");
        }
        let origin = upgrade::on(&mut answered.response);
        tokio::spawn(tunnel::join(client, origin, self.tunnel_idle_max, place));
        let mut response = answered.response.map(|_| UpstreamBody::empty());
        hop::strip(response.headers_mut());
        wishes(response.headers_mut(), &granted);
        response
    }
}

impl<B: Body + Unpin> Shared<B> {
    /// Makes a request one of this gateway's, for any of the origins.
    fn prepare(&self, req: &mut Request<B>) {
        // Without a user: that is nobody's host (RFC 9110 §4.2.4).
        let host = |authority: &str| HeaderValue::try_from(authority.rsplit('@').next().unwrap_or_default());
        let host = req.uri().authority().map(|authority| host(authority.as_str()));
        if let (Some(Ok(host)), true) = (host, self.preserve_host) {
            // HTTP/2 names the authority in the URI only.
            req.headers_mut().insert(header::HOST, host);
        }
        if !self.preserve_host {
            // That of the origin is added where it is sent.
            req.headers_mut().remove(header::HOST);
        }
        forwarding::forward(req, &self.gateway);
        forwarding::frame(req);
        *req.version_mut() = Version::HTTP_11;
    }

    /// The longest wait for the head of an answer.
    pub(super) fn head_timeout(&self) -> Duration {
        self.total_timeout.map_or(self.response_timeout, |total| total.min(self.response_timeout))
    }

    fn inward(&self, answered: Answered, began: Instant) -> Response<UpstreamBody> {
        let Answered { response, in_use, place } = answered;
        if forwarding::is_coded(response.headers()) {
            // The client beneath undoes `chunked` alone, and the field goes: who got these bytes could not know what they are (RFC 9112 §6.1).
            return disconnected(StatusCode::BAD_GATEWAY, "the origin coded its answer for the way, unasked\n");
        }
        let limits = Limits { end: self.total_timeout.map(|total| began + total), idle_max: self.body_idle_max };
        let mut response = response.map(|body| UpstreamBody::incoming(body, (in_use, place), limits));
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

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        if let Some(response) = forwarding::last_recipient(&mut req) {
            return Box::pin(ready(Ok(response)));
        }
        if req.uri().path() == "*" || *req.method() == Method::CONNECT {
            return Box::pin(ready(Ok(instead(StatusCode::NOT_IMPLEMENTED, "no such tunnel or target\n"))));
        }
        let wish = request::asks_to_switch(req.version(), req.headers());
        let wish: Vec<_> = wish.iter().filter_map(|protocol| HeaderValue::from_bytes(protocol).ok()).collect();
        let shared = Arc::clone(&self.shared);
        if !wish.is_empty() {
            return Box::pin(async move { Ok(shared.switch(req, wish).await) });
        }
        shared.prepare(&mut req);
        Box::pin(shared.answer(req))
    }
}
