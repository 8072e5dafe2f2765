//! Everything but the plain hit: forward, wait, or serve stale.

use std::{sync::Arc, time::Duration};

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
use tokio::{sync::oneshot, time::timeout};
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
    flight::{Join, Landed, LandedBody, Landing, Waiting},
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
    let refresh = req.extensions().get::<Refresh>().is_some();
    let ask = Ask { head: req.method() == Method::HEAD, conditions: &conditions, headers: &headers, refresh };
    let mut trip = Trip { shared: &shared, keyed: &keyed, ask, lookup };

    match trip.stored_answer() {
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
    fn stored_answer<RB>(&mut self) -> Option<Answer<RB>> {
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
            Reuse::ServeAndRefresh if !self.ask.refresh => {
                let detail = Some("stale-while-revalidate");
                return Some(Answer::Refreshing(respond::hit(tier, entry, &self.ask, now, detail)));
            }
            Reuse::ServeAndRefresh | Reuse::Validate { by_request: false } => self.lookup.fwd = Fwd::Stale,
            Reuse::Validate { by_request: true } => self.lookup.fwd = Fwd::Request,
        }
        // The origin failed for this key a moment ago: leave it alone for a while. A purged entry needs a failure of its own.
        let throttled = *verdict == Verdict::Live && self.shared.failed.has(&self.lookup.key, now);
        let (entry, _) = self.fallback(now).filter(|_| throttled)?;
        Some(Answer::Final(respond::stale(tier, entry, &self.ask, now, "retry-throttle")))
    }

    /// The entry that may be served because the origin failed in this request. Stale copies are for the outer tier to serve when the
    /// purpose is a newer answer.
    fn fallback(&self, now: Timestamp) -> Option<(&Entry, Verdict)> {
        let (entry, _) = self.lookup.entry.as_ref()?;
        // Judged again: time has passed since it was looked up.
        let verdict = self.shared.markers.judge(entry);
        let allowed = !self.ask.refresh && verdict != Verdict::Gone && entry.head().freshness.serves_errors(now);
        allowed.then_some((entry, verdict))
    }

    /// The stale entry because the origin failed.
    fn stale<RB>(&self, detail: &'static str) -> Option<Response<TierBody<RB>>> {
        let now = self.now();
        let (entry, _) = self.fallback(now)?;
        Some(respond::stale(self.shared.store.name(), entry, &self.ask, now, detail))
    }

    /// The stale entry though the origin may yet answer: not one that was purged.
    fn stale_unpurged<RB>(&self, detail: &'static str) -> Option<Response<TierBody<RB>>> {
        let (_, verdict) = self.fallback(self.now())?;
        (verdict == Verdict::Live).then(|| self.stale(detail))?
    }

    /// How long to wait for the origin: shorter where a stale copy will do instead (rule 26).
    fn patience(&self) -> Option<Duration> {
        let guarded = self.keyed.mode() == Mode::Guarded;
        let live = matches!(self.fallback(self.now()), Some((_, Verdict::Live)));
        (guarded && live && self.lookup.fwd != Fwd::Request).then_some(self.shared.config.wait_soft)
    }

    /// Past the tier: for a HEAD or a range of which nothing whole is stored.
    async fn past<S, B, RB>(&self, inner: S, req: Request<B>) -> Result<Response<TierBody<RB>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
    {
        let detail = if self.ask.head { "head" } else { "range" };
        match Oneshot::new(inner, req).await {
            Ok(response) if response.status().is_server_error() => {
                Ok(self.stale("stale-if-error").unwrap_or_else(|| self.through(response, detail)))
            }
            Ok(response) => Ok(self.through(response, detail)),
            Err(error) => self.stale("stale-if-error").ok_or(error),
        }
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
        let answered_further_in = parts.extensions.get::<Outcome>().is_some_and(|outcome| outcome.tier.is_some());
        if !answered_further_in {
            let served = if parts.status.is_server_error() { Served::Error } else { Served::Miss };
            parts.extensions.insert(Outcome { served, tier: None });
        }
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
        let alone = self.keyed.directives().no_store || self.shared.uncacheable.has(&self.lookup.key, self.now());
        let joins = if alone { 0 } else { JOINS_MAX };
        for join in 1..=joins {
            match self.shared.flights.join(&self.lookup.key) {
                Join::Lead(new) => {
                    // Between our look-up and now another flight may have landed and stored.
                    if let Some(response) = self.look_again() {
                        new.land(Landing::Again);
                        return Ok(response);
                    }
                    lead = Some(new);
                    break;
                }
                Join::Wait(flight) => match self.wait(flight).await {
                    Waited::Answer(response) => return Ok(response),
                    // One leader's failure may be its own: one more tries for all.
                    Waited::Failed if join == joins => return Ok(self.unanswered()),
                    Waited::Failed => {}
                    Waited::Again => {
                        if let Some(response) = self.look_again() {
                            return Ok(response);
                        }
                    }
                    Waited::Alone => break,
                },
            }
        }
        let (sender, receiver) = oneshot::channel();
        self.shared.tasks.spawn(fill::run(self.fill(inner, req, lead), Some(sender)));
        let outward = match self.patience() {
            None => receiver.await,
            Some(limit) => match timeout(limit, receiver).await {
                Ok(outward) => outward,
                Err(_) => return Ok(self.stale_unpurged("soft-timeout").unwrap_or_else(|| self.unanswered())),
            },
        };
        match outward {
            Ok(Outward::Landed(landed, said, reader)) => {
                let how = Filled { fwd: self.lookup.fwd, collapsed: false, inner: Some(said) };
                let response = respond::landed(self.shared.store.name(), &landed, &self.ask, self.now(), how, reader);
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
        if self.shared.store.is_shared() || self.ask.refresh {
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

    async fn wait<RB>(&mut self, mut flight: Waiting) -> Waited<RB> {
        let soft = self.patience();
        let limit = soft.unwrap_or(self.shared.config.wait_max);
        let Ok(landing) = timeout(limit, flight.landed()).await else {
            let detail = if soft.is_some() { "soft-timeout" } else { "wait-timeout" };
            return self.stale_unpurged(detail).map_or(Waited::Alone, Waited::Answer);
        };
        match landing {
            Landing::Shared(landed) => self.shared_with_us(&landed, &flight),
            Landing::Alone | Landing::Pending => Waited::Alone,
            Landing::Again => Waited::Again,
            Landing::Failed => self.stale("stale-if-error").map_or(Waited::Failed, Waited::Answer),
        }
    }

    /// A waiter treats a flight's answer as a hit: of its own variant, not purged meanwhile, and good enough for its directives.
    fn shared_with_us<RB>(&mut self, landed: &Landed, flight: &Waiting) -> Waited<RB> {
        let (head, now) = (&landed.head, self.now());
        if let Some((index, key)) = &landed.variant {
            let ours = index.select(self.keyed.key(), self.ask.headers);
            if ours != *key {
                // Ours is another variant's flight.
                self.lookup.key = ours;
                return Waited::Again;
            }
        }
        let verdict = match &landed.body {
            LandedBody::Whole(entry) => self.shared.markers.judge(entry),
            LandedBody::Growing(_) => self.shared.markers.judge_parts(&head.fence, &landed.start, head.tags.as_slice()),
        };
        if verdict != Verdict::Live {
            self.shared.flights.forget(&self.lookup.key, flight);
            return Waited::Again;
        }
        if reuse(&head.freshness, self.keyed.directives(), now) == (Reuse::Validate { by_request: true }) {
            return Waited::Alone;
        }
        let how = Filled { fwd: self.lookup.fwd, collapsed: true, inner: None };
        let response = respond::landed(self.shared.store.name(), landed, &self.ask, now, how, None);
        response.map_or(Waited::Alone, Waited::Answer)
    }
}

enum Waited<RB> {
    Answer(Response<TierBody<RB>>),
    /// The flight said nothing of us: look and join again.
    Again,
    /// The flight failed, and nothing stale will do.
    Failed,
    /// Each must ask for itself.
    Alone,
}
