//! Everything but the plain hit: forward, wait, or serve stale.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_core::{
    BoxError, CacheKey, Disconnected, Entry, Fwd, Judgement, Kind, Store, StoreError, Timestamp, marker::Verdict,
};
use edge_cache_policy::{
    Mode,
    conditional::Conditions,
    range::{self, Asked},
    request::{Reuse, is_immutable, reuse, wants_no_stale},
};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::{sync::oneshot, time::timeout};
use tower_service::Service;

use super::{
    fill::{self, Fill, Outward, Purpose},
    layer::Shared,
    lookup::Lookup,
    parts,
    respond::{self, Ask, Filled},
};
use crate::{
    Keyed, Refresh, TierBody,
    flight::{Away, Join, Landed, LandedBody, Landing, Waiting},
};

/// The store's first answer, or the question still open.
pub(super) enum First<G> {
    Answered(Result<Option<Entry>, StoreError>),
    Asked(G),
}

/// How often a waiter joins a flight whose answer turns out not to be for it, before it asks for itself.
const JOINS_MAX: usize = 2;

/// One request on its way through the tier.
pub(super) struct Trip<'a, St> {
    pub(super) shared: &'a Arc<Shared<St>>,
    pub(super) keyed: &'a Keyed,
    pub(super) ask: Ask<'a>,
    pub(super) lookup: Lookup,
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
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Default + Send + 'static,
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
    if let Some(own) = trip.lookup.own.take() {
        trip.lookup = Lookup { key: own, entry: None, fwd: Fwd::VaryMiss, own: None };
    }
    if keyed.directives().only_if_cached {
        return Ok(respond::made(shared.store.name(), StatusCode::GATEWAY_TIMEOUT, trip.lookup.fwd, "only-if-cached"));
    }
    if trip.ask.head {
        conditions.clone().restore(req.headers_mut());
        return trip.past_head(inner, req).await;
    }
    match trip.purpose() {
        Some(purpose) => trip.forward(inner, req, purpose).await,
        None => {
            conditions.clone().restore(req.headers_mut());
            trip.past(inner, req, "range").await
        }
    }
}

enum Answer<RB> {
    Final(Response<TierBody<RB>>),
    /// Stale, with a refresh to start behind it.
    Refreshing(Response<TierBody<RB>>),
}

impl<St: Store> Trip<'_, St> {
    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Whether an entry holds what is asked for: a part may not.
    fn suffices(&self, entry: &Entry) -> bool {
        if entry.head().kind != Kind::Partial {
            return true;
        }
        let asked =
            parts::held(entry).map(|held| held.asked(self.ask.headers, &entry.head().headers.unpack(), self.now()));
        !self.ask.head && matches!(asked, Some(Asked::Part(_) | Asked::Parts(_) | Asked::Unsatisfiable))
    }

    /// What to ask inward; `None` for what is not the tier's business. A range goes inward as it is where nothing whole is held and
    /// the policy says so, or the whole is known to be too large (RFC 9111 §3.3); else the whole is asked for.
    fn purpose(&self) -> Option<Purpose> {
        let held = self.lookup.entry.as_ref();
        let holds_whole = held.is_some_and(|(entry, _)| entry.head().kind == Kind::Response);
        if self.ask.headers.contains_key(header::RANGE) && !holds_whole {
            let plain = range::is_single(self.ask.headers) && self.ask.conditions.is_empty();
            let inward = self.keyed.mode() == Mode::Rfc || self.shared.uncacheable.has(&self.lookup.key, self.now());
            return match (inward, plain) {
                (true, true) => Some(Purpose::Part),
                (true, false) => None,
                (false, _) => Some(Purpose::Whole),
            };
        }
        let part = held.filter(|(entry, verdict)| *verdict == Verdict::Live && self.can_be_completed(entry));
        Some(part.map_or(Purpose::Whole, |(part, _)| Purpose::Rest(part.clone())))
    }

    /// Whether what an entry lacks can be asked for: it begins at the first byte, and a strong validator tells whether the rest is of the
    /// same representation. A fresh one that names no validator is asked for the rest too: an origin that knows ranges mostly names one
    /// then, and else the whole is asked for after all.
    fn can_be_completed(&self, entry: &Entry) -> bool {
        let head = entry.head();
        let Some(held) = parts::held(entry).filter(|held| head.kind == Kind::Partial && held.first == 0) else {
            return false;
        };
        let max = self.shared.store.body_bytes_max();
        let stored = head.headers.unpack();
        let named = stored.contains_key(header::ETAG) || stored.contains_key(header::LAST_MODIFIED);
        let fresh = matches!(head.freshness.judge(self.now()), Judgement::Fresh { .. });
        held.complete.is_none_or(|complete| complete <= max)
            && (range::strong_validator(&stored, self.now()).is_some() || (fresh && !named))
    }

    /// The key of the flight: who wants the same range of the same variant meets there.
    fn flight_key(&self, purpose: &Purpose) -> CacheKey {
        match (purpose, self.ask.headers.get(header::RANGE)) {
            (Purpose::Part, Some(range)) => self.lookup.key.part(range.as_bytes()),
            _ => self.lookup.key.clone(),
        }
    }

    /// The answer, if what is stored will do. Else notes why the request goes forward.
    fn stored_answer<RB>(&mut self) -> Option<Answer<RB>> {
        let now = self.now();
        let (entry, verdict) = self.lookup.entry.as_ref()?;
        let tier = self.shared.store.name();
        if !self.suffices(entry) {
            self.lookup.fwd = Fwd::Partial;
            return None;
        }
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
            Reuse::Validate { by_request: true } => {
                let head = entry.head();
                if is_immutable(&head.headers, &head.freshness, self.keyed.directives(), now) {
                    return Some(Answer::Final(respond::hit(tier, entry, &self.ask, now, Some("immutable"))));
                }
                self.lookup.fwd = Fwd::Request;
            }
        }
        // The origin failed for this key a moment ago: leave it alone for a while. A purged entry needs a failure of its own, and to the
        // letter every request does.
        let throttled = *verdict == Verdict::Live
            && self.keyed.mode() == Mode::Guarded
            && self.shared.failed.has(&self.lookup.key, now);
        let (entry, _) = self.fallback(now, Away::No).filter(|_| throttled)?;
        Some(Answer::Final(respond::stale(tier, entry, &self.ask, now, "retry-throttle")))
    }

    /// The entry that may be served because the origin failed in this request. Stale copies are for the outer tier to serve when the
    /// purpose is a newer answer.
    fn fallback(&self, now: Timestamp, away: Away) -> Option<(&Entry, Verdict)> {
        let (entry, _) = self.lookup.entry.as_ref()?;
        // Judged again: time has passed since it was looked up.
        let verdict = self.shared.markers.judge(entry);
        let freshness = &entry.head().freshness;
        // Without an answer of the origin a cache may serve what nothing forbids to serve stale (RFC 9111 §4.2.4).
        let disconnected = away == Away::Yes
            && freshness.stale_allowed
            && now < freshness.fresh_until + self.shared.config.stale_if_disconnected;
        // To the letter what was invalidated is validated before it is used again (RFC 9111 §4.4).
        let refused = self.keyed.mode() == Mode::Rfc
            && (verdict == Verdict::Soft || wants_no_stale(freshness, self.keyed.directives(), now));
        let allowed = !self.ask.refresh
            && !refused
            && verdict != Verdict::Gone
            && (freshness.serves_errors(now) || disconnected)
            && self.suffices(entry);
        allowed.then_some((entry, verdict))
    }

    /// The stale entry because the origin failed.
    pub(super) fn stale<RB>(&self, away: Away) -> Option<Response<TierBody<RB>>> {
        let now = self.now();
        let (entry, _) = self.fallback(now, away)?;
        let detail = if away == Away::Yes { "disconnected" } else { "stale-if-error" };
        Some(respond::stale(self.shared.store.name(), entry, &self.ask, now, detail))
    }

    /// The stale entry though the origin may yet answer: not one that was purged.
    fn stale_unpurged<RB>(&self, detail: &'static str) -> Option<Response<TierBody<RB>>> {
        let now = self.now();
        let (entry, verdict) = self.fallback(now, Away::No)?;
        let live = verdict == Verdict::Live;
        live.then(|| respond::stale(self.shared.store.name(), entry, &self.ask, now, detail))
    }

    /// How long to wait for the origin: shorter where a stale copy will do instead (rule 26).
    fn patience(&self) -> Option<Duration> {
        let guarded = self.keyed.mode() == Mode::Guarded;
        let live = matches!(self.fallback(self.now(), Away::No), Some((_, Verdict::Live)));
        (guarded && live && self.lookup.fwd != Fwd::Request).then_some(self.shared.config.wait_soft)
    }

    fn fill<S, B>(
        &self,
        inner: S,
        req: Request<B>,
        purpose: Purpose,
        lead: Option<crate::flight::Lead>,
    ) -> Fill<St, S, B> {
        Fill {
            flight_key: self.flight_key(&purpose),
            purpose,
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
        S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        B: Default + Send + 'static,
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<BoxError>,
    {
        let now = self.now();
        // A stale part is asked for again as the part it is: the whole may be too large to keep.
        let part = self.lookup.entry.as_ref().is_some_and(|(entry, _)| entry.head().kind == Kind::Partial);
        let Some(purpose) = (if part { self.purpose() } else { Some(Purpose::Whole) }) else { return };
        let flight_key = self.flight_key(&purpose);
        let in_vain =
            self.shared.failed.has(&flight_key, now) || (part && self.shared.uncacheable.has(&flight_key, now));
        if *req.method() != Method::GET || in_vain {
            return;
        }
        if let Some(lead) = self.shared.flights.try_lead(&flight_key) {
            self.shared.tasks.spawn(fill::run(self.fill(inner, req, purpose, Some(lead)), None));
        }
    }

    async fn forward<S, B, RB>(
        &mut self,
        inner: S,
        req: Request<B>,
        purpose: Purpose,
    ) -> Result<Response<TierBody<RB>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        B: Default + Send + 'static,
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<BoxError>,
    {
        let mut lead = None;
        let alone = self.keyed.directives().no_store
            || self.shared.uncacheable.has(&self.flight_key(&purpose), self.now())
            // Whether the condition holds is for the origin to say, to each who asks.
            || (matches!(purpose, Purpose::Part) && self.ask.headers.contains_key(header::IF_RANGE));
        let joins = if alone { 0 } else { JOINS_MAX };
        for join in 1..=joins {
            match self.shared.flights.join(&self.flight_key(&purpose)) {
                Join::Lead(new) => {
                    // Between our look-up and now another flight may have landed and stored.
                    if let Some(response) = self.look_again() {
                        new.land(Landing::Again);
                        return Ok(response);
                    }
                    lead = Some(new);
                    break;
                }
                Join::Wait(flight) => match self.wait(flight, &purpose).await {
                    Waited::Answer(response) => return Ok(response),
                    // One leader's failure may be its own: one more tries for all.
                    Waited::Failed(away) if join == joins => return Ok(self.unanswered(away)),
                    Waited::Failed(_) => {}
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
        self.shared.tasks.spawn(fill::run(self.fill(inner, req, purpose, lead), Some(sender)));
        let outward = match self.patience() {
            None => receiver.await,
            Some(limit) => match timeout(limit, receiver).await {
                Ok(outward) => outward,
                Err(_) => return Ok(self.stale_unpurged("soft-timeout").unwrap_or_else(|| self.unanswered(Away::No))),
            },
        };
        match outward {
            Ok(Outward::Landed(landed, said, reader)) => {
                let how = Filled { fwd: self.lookup.fwd, collapsed: false, inner: Some(said) };
                let response = respond::landed(self.shared.store.name(), &landed, &self.ask, self.now(), how, reader);
                Ok(response.unwrap_or_else(|| self.unanswered(Away::No)))
            }
            Ok(Outward::Through(response, why)) => Ok(self.through(response, why.as_str())),
            Ok(Outward::ServerError(response, away)) => {
                Ok(self.stale(away).unwrap_or_else(|| self.through(response, "origin-error")))
            }
            Ok(Outward::Error(error)) => self.stale(Away::Yes).ok_or(error),
            // The fill's task died: the origin panicked, or the runtime is shutting down.
            Err(_) => Ok(self.stale(Away::Yes).unwrap_or_else(|| self.unanswered(Away::Yes))),
        }
    }

    fn unanswered<RB>(&self, away: Away) -> Response<TierBody<RB>> {
        let (tier, fwd) = (self.shared.store.name(), self.lookup.fwd);
        let mut response = respond::made(tier, StatusCode::SERVICE_UNAVAILABLE, fwd, "fill-failed");
        if away == Away::Yes {
            response.extensions_mut().insert(Disconnected);
        }
        response
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
            && self.suffices(&entry)
            && reuse(&entry.head().freshness, self.keyed.directives(), now) == (Reuse::Serve { stale: false });
        fits.then(|| respond::hit(self.shared.store.name(), &entry, &self.ask, now, None))
    }

    async fn wait<RB>(&mut self, mut flight: Waiting, purpose: &Purpose) -> Waited<RB> {
        let soft = self.patience();
        let limit = soft.unwrap_or(self.shared.config.wait_max);
        let Ok(landing) = timeout(limit, flight.landed()).await else {
            if self.keyed.mode() == Mode::Rfc {
                // Nothing has failed yet: something stale would be no answer (RFC 5861 §4).
                return Waited::Alone;
            }
            let detail = if soft.is_some() { "soft-timeout" } else { "wait-timeout" };
            return self.stale_unpurged(detail).map_or(Waited::Alone, Waited::Answer);
        };
        match landing {
            Landing::Shared(landed) => self.shared_with_us(&landed, &flight, purpose),
            Landing::Alone | Landing::Pending => Waited::Alone,
            Landing::Again => Waited::Again,
            Landing::Failed(away) => self.stale(away).map_or(Waited::Failed(away), Waited::Answer),
        }
    }

    /// A waiter treats a flight's answer as a hit: of its own variant, not purged meanwhile, and good enough for its directives.
    fn shared_with_us<RB>(&mut self, landed: &Landed, flight: &Waiting, purpose: &Purpose) -> Waited<RB> {
        let (head, now) = (&landed.head, self.now());
        if let Some(variant) = &landed.variant {
            let ours = variant.index.select(self.keyed.key(), self.ask.headers);
            if ours != variant.key {
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
            self.shared.flights.forget(&self.flight_key(purpose), flight);
            return Waited::Again;
        }
        let (freshness, directives) = (&head.freshness, self.keyed.directives());
        let stale = now >= freshness.fresh_until;
        if reuse(freshness, directives, now) == (Reuse::Validate { by_request: true })
            || (stale && wants_no_stale(freshness, directives, now))
        {
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
    /// The flight failed so, and nothing stale will do.
    Failed(Away),
    /// Each must ask for itself.
    Alone,
}
