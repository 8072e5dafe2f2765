//! Everything but the plain hit: forward, wait, or serve stale.

use std::sync::Arc;

use bytes::Bytes;
use edge_cache_core::{BoxError, Entry, Fwd, Outcome, Served, Store, StoreError, Timestamp, marker::Verdict};
use edge_cache_policy::{
    Mode,
    cache_status::{self, Member},
    conditional::{self, Conditions},
    request::{Reuse, reuse},
};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use tower::util::Oneshot;
use tower_service::Service;

use super::{
    fill::{self, Fill, Outward},
    layer::Shared,
    lookup::Lookup,
    respond::{self, Ask, Filled},
};
use crate::{
    Keyed, Refresh, TierBody,
    flight::{Join, Landed, LandedBody, Landing},
};

/// The store's first answer, or the question still open.
pub(super) enum First<G> {
    Answered(Result<Option<Entry>, StoreError>),
    Asked(G),
}

/// How often a waiter joins a flight whose answer turns out not to be for it, before it asks for itself.
const JOINS_MAX: usize = 2;

/// One request on its way through the tier.
struct Trip<'a, St> {
    shared: &'a Arc<Shared<St>>,
    keyed: &'a Keyed,
    ask: Ask<'a>,
    lookup: Lookup,
    /// The purpose is a newer answer, so stale copies are for the outer tier to serve.
    refresh: bool,
}

pub(super) async fn run<St, S, B, RB>(
    shared: Arc<Shared<St>>,
    inner: S,
    mut req: Request<B>,
    keyed: Keyed,
    first: First<St::Get>,
) -> Result<Response<TierBody<RB>>, S::Error>
where
    St: Store,
    S: Service<Request<B>, Response = Response<RB>> + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    let first = match first {
        First::Answered(result) => result,
        First::Asked(get) => get.await,
    };
    let lookup = shared.look_up(keyed.key(), first, req.headers()).await;
    let conditions = Conditions::take(req.headers_mut());
    let headers = req.headers().clone();
    let ask = Ask { head: req.method() == Method::HEAD, conditions: &conditions, headers: &headers };
    let refresh = req.extensions().get::<Refresh>().is_some();
    let mut trip = Trip { shared: &shared, keyed: &keyed, ask, lookup, refresh };

    match trip.from_store() {
        Some(Answer::Final(response)) => return Ok(response),
        Some(Answer::Refreshing(response)) => {
            trip.refresh_behind(inner, req);
            return Ok(response);
        }
        None => {}
    }
    if keyed.directives().only_if_cached {
        return Ok(respond::made(shared.store.name(), StatusCode::GATEWAY_TIMEOUT, trip.lookup.fwd, "only-if-cached"));
    }
    if trip.ask.head || headers.contains_key(header::RANGE) {
        conditions.clone().restore(req.headers_mut());
        return trip.past(inner, req).await;
    }
    trip.forward(inner, req).await
}

enum Answer<RB> {
    Final(Response<TierBody<RB>>),
    /// Stale, with a refresh to start behind it.
    Refreshing(Response<TierBody<RB>>),
}

impl<St: Store> Trip<'_, St> {
    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The answer, if what is stored will do. Else notes why the request goes forward.
    fn from_store<RB>(&mut self) -> Option<Answer<RB>> {
        let now = self.now();
        let (entry, verdict) = self.lookup.entry.as_ref()?;
        let tier = self.shared.store.name();
        let may = match verdict {
            Verdict::Live => reuse(&entry.head().freshness, self.keyed.directives(), now),
            Verdict::Soft | Verdict::Gone => Reuse::Validate { by_request: false },
        };
        match may {
            Reuse::Serve { stale } => {
                return Some(Answer::Final(respond::hit(tier, entry, &self.ask, now, stale.then_some("max-stale"))));
            }
            Reuse::ServeAndRefresh if !self.refresh => {
                let detail = Some("stale-while-revalidate");
                return Some(Answer::Refreshing(respond::hit(tier, entry, &self.ask, now, detail)));
            }
            Reuse::ServeAndRefresh | Reuse::Validate { by_request: false } => self.lookup.fwd = Fwd::Stale,
            Reuse::Validate { by_request: true } => self.lookup.fwd = Fwd::Request,
        }
        // The origin failed for this key a moment ago: leave it alone for a while. A purged entry needs a failure of its own.
        let throttled = *verdict == Verdict::Live && self.shared.failed.has(&self.lookup.key, now);
        let entry = self.fallback(now).filter(|_| throttled)?;
        Some(Answer::Final(respond::stale(tier, entry, &self.ask, now, "retry-throttle")))
    }

    /// The entry that may be served because the origin failed in this request.
    fn fallback(&self, now: Timestamp) -> Option<&Entry> {
        let (entry, verdict) = self.lookup.entry.as_ref()?;
        let allowed = !self.refresh && *verdict != Verdict::Gone && entry.head().freshness.serves_errors(now);
        // Asked for again by the client itself, a fresh entry is better than a failure too.
        allowed.then_some(entry)
    }

    fn stale<RB>(&self, detail: &'static str) -> Option<Response<TierBody<RB>>> {
        let now = self.now();
        let entry = self.fallback(now)?;
        Some(respond::stale(self.shared.store.name(), entry, &self.ask, now, detail))
    }

    /// Past the tier: for a HEAD or a range of which nothing whole is stored.
    async fn past<S, B, RB>(&self, inner: S, req: Request<B>) -> Result<Response<TierBody<RB>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
    {
        let detail = if self.ask.head { "head" } else { "range" };
        let response = Oneshot::new(inner, req).await?;
        Ok(self.through(response, detail))
    }

    fn through<RB>(&self, response: Response<RB>, detail: &'static str) -> Response<TierBody<RB>> {
        let (mut parts, body) = response.into_parts();
        let mut body = TierBody::inner(body);
        if self.ask.conditions.hold(parts.status, &parts.headers) {
            parts.status = StatusCode::NOT_MODIFIED;
            conditional::not_modified(&mut parts.headers);
            body = TierBody::empty();
        }
        let member = Member::Forward {
            fwd: self.lookup.fwd,
            fwd_status: None,
            ttl: None,
            stored: false,
            collapsed: false,
            detail: Some(detail),
        };
        cache_status::append(&mut parts.headers, self.shared.store.name(), member);
        let served = if parts.status.is_server_error() { Served::Error } else { Served::Miss };
        parts.extensions.insert(Outcome { served, tier: None });
        Response::from_parts(parts, body)
    }

    fn fill<S, B>(&self, inner: S, req: Request<B>, lead: Option<crate::flight::Lead>) -> Fill<St, S, B> {
        Fill {
            shared: Arc::clone(self.shared),
            inner,
            req,
            keyed: self.keyed.clone(),
            selecting: self.ask.headers.clone(),
            key: self.lookup.key.clone(),
            held: self.lookup.entry.clone(),
            lead,
        }
    }

    fn refresh_behind<S, B, RB>(&self, inner: S, req: Request<B>)
    where
        S: Service<Request<B>, Response = Response<RB>> + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        B: Send + 'static,
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<BoxError>,
    {
        if *req.method() != Method::GET || self.shared.failed.has(&self.lookup.key, self.now()) {
            return;
        }
        if let Some(lead) = self.shared.flights.try_lead(&self.lookup.key) {
            let mut fill = self.fill(inner, req, Some(lead));
            fill.req.headers_mut().remove(header::RANGE);
            self.shared.tasks.spawn(fill::run(fill, None));
        }
    }

    async fn forward<S, B, RB>(&mut self, inner: S, req: Request<B>) -> Result<Response<TierBody<RB>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>> + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        B: Send + 'static,
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<BoxError>,
    {
        let mut lead = None;
        if !self.shared.uncacheable.has(&self.lookup.key, self.now()) {
            for _ in 0..JOINS_MAX {
                match self.shared.flights.join(&self.lookup.key) {
                    Join::Lead(new) => {
                        // Between our look-up and now another flight may have landed and stored.
                        if let Some(response) = self.look_again() {
                            return Ok(response);
                        }
                        lead = Some(new);
                        break;
                    }
                    Join::Wait(flight) => match self.wait(flight).await {
                        Waited::Answer(response) => return Ok(response),
                        Waited::NotForUs => {}
                        Waited::Alone => break,
                    },
                }
            }
        }
        let (sender, receiver) = oneshot::channel();
        self.shared.tasks.spawn(fill::run(self.fill(inner, req, lead), Some(sender)));
        let guarded = self.keyed.mode() == Mode::Guarded;
        let live = matches!(self.lookup.entry, Some((_, Verdict::Live)));
        let outward = if guarded && live && self.fallback(self.now()).is_some() {
            match timeout(self.shared.config.wait_soft, receiver).await {
                Ok(outward) => outward,
                Err(_) => match self.stale("soft-timeout") {
                    Some(response) => return Ok(response),
                    None => return Ok(self.unanswered()),
                },
            }
        } else {
            receiver.await
        };
        match outward {
            Ok(Outward::Landed(landed, said)) => {
                let how = Filled { fwd: self.lookup.fwd, collapsed: false, inner: Some(said) };
                let response = respond::landed(self.shared.store.name(), &landed, &self.ask, self.now(), how);
                Ok(response.unwrap_or_else(|| self.unanswered()))
            }
            Ok(Outward::Through(response, why)) => Ok(self.through(response, why.as_str())),
            Ok(Outward::ServerError(response)) => {
                Ok(self.stale("stale-if-error").unwrap_or_else(|| self.through(response, "origin-error")))
            }
            Ok(Outward::Error(error)) => self.stale("stale-if-error").ok_or(error),
            // The fill's task died: the origin panicked, or the runtime is shutting down.
            Err(_) => Ok(self.stale("stale-if-error").unwrap_or_else(|| self.unanswered())),
        }
    }

    fn unanswered<RB>(&self) -> Response<TierBody<RB>> {
        respond::made(self.shared.store.name(), StatusCode::SERVICE_UNAVAILABLE, self.lookup.fwd, "fill-failed")
    }

    /// A second look into a store that answers at once.
    fn look_again<RB>(&self) -> Option<Response<TierBody<RB>>> {
        use futures_util::FutureExt;
        if self.lookup.entry.is_some() || self.refresh {
            return None;
        }
        let (base, headers) = (self.keyed.key(), self.ask.headers);
        let first = self.shared.store.get(base).now_or_never()?;
        let (entry, verdict) = self.shared.look_up(base, first, headers).now_or_never()?.entry?;
        let now = self.now();
        let fits = verdict == Verdict::Live
            && reuse(&entry.head().freshness, self.keyed.directives(), now) == (Reuse::Serve { stale: false });
        fits.then(|| respond::hit(self.shared.store.name(), &entry, &self.ask, now, None))
    }

    async fn wait<RB>(&self, mut flight: watch::Receiver<Landing>) -> Waited<RB> {
        let landing = timeout(self.shared.config.wait_max, flight.wait_for(|l| !matches!(l, Landing::Pending))).await;
        let landing = match landing {
            Ok(Ok(landing)) => landing.clone(),
            // The sender lands before it goes, so a closed channel is a failed flight too.
            Ok(Err(_)) => Landing::Failed,
            Err(_) => return self.stale("wait-timeout").map_or(Waited::Alone, Waited::Answer),
        };
        match landing {
            Landing::Shared(landed) if self.is_for_us(&landed) => {
                let how = Filled { fwd: self.lookup.fwd, collapsed: true, inner: None };
                let response = respond::landed(self.shared.store.name(), &landed, &self.ask, self.now(), how);
                response.map_or(Waited::Alone, Waited::Answer)
            }
            Landing::Shared(_) => Waited::NotForUs,
            Landing::Alone | Landing::Pending => Waited::Alone,
            Landing::Failed => Waited::Answer(self.stale("stale-if-error").unwrap_or_else(|| self.unanswered())),
        }
    }

    /// A waiter treats a flight's answer as a hit: not purged meanwhile, and of its own variant.
    fn is_for_us(&self, landed: &Landed) -> bool {
        let head = &landed.head;
        let same_variant =
            landed.variant.as_ref().is_none_or(|(index, key)| index.select(self.keyed.key(), self.ask.headers) == *key);
        let verdict = match &landed.body {
            LandedBody::Whole(entry) => self.shared.markers.judge(entry),
            LandedBody::Growing(_) => self.shared.markers.judge_parts(&head.fence, &landed.start, head.tags.as_slice()),
        };
        same_variant && verdict == Verdict::Live
    }
}

enum Waited<RB> {
    Answer(Response<TierBody<RB>>),
    NotForUs,
    Alone,
}
