//! Forwarding: one fill for all who ask the same, and what each of them gets of it.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use edge_cache_core::{BoxError, Disconnected, Fwd, Kind, Level, Outcome, Priority, Served, Store, marker::Verdict};
use edge_cache_policy::{
    Mode,
    request::{Reuse, reuse, wants_no_stale},
};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tower_service::Service;
use tracing::Instrument;

use super::{
    fill::{self, Fill, Outward, Purpose},
    lookup::Lookup,
    respond::{self, Filled},
    slow::Trip,
};
use crate::{
    TierBody,
    flight::{Away, Join, Landed, LandedBody, Landing, Waiting},
    outliving::Outliving,
};

/// How often a waiter joins a flight whose answer turns out not to be for it, before it asks for itself.
const JOINS_MAX: usize = 2;

impl<St: Store> Trip<'_, St> {
    fn fill<S, B>(
        &self,
        inner: S,
        mut req: Request<B>,
        purpose: Purpose,
        lead: Option<crate::flight::Lead>,
        priority: Priority,
    ) -> Fill<St, S, B> {
        // An outer tier, or whoever warms the cache, may have less need of it than this one sees.
        let said = req.extensions().get::<Priority>().copied().unwrap_or_default();
        if said < priority {
            req.extensions_mut().insert(priority);
        }
        Fill {
            flight_key: self.flight_key(&purpose),
            purpose,
            shared: Arc::clone(self.shared),
            inner,
            req,
            keyed: self.keyed.clone(),
            one_too_many: self.is_one_too_many(),
            selecting: Arc::clone(self.selecting),
            key: self.lookup.key.clone(),
            held: self.lookup.entry.clone(),
            lead,
            trail: self.trail.clone(),
            by_request: self.lookup.fwd == Fwd::Request,
        }
    }

    /// Whether its client has brought so many keys that this one, which is new, is not kept.
    fn is_one_too_many(&self) -> bool {
        !self.keyed.brings() && self.lookup.entry.is_none()
    }

    /// What log lines from within a fill say of it, for whoever asks to see it: it would cost each fill a twentieth.
    fn span(&self) -> tracing::Span {
        let Some(request) = self.trail.id() else { return tracing::Span::none() };
        tracing::debug_span!(target: "edge_cache::fill", "fill", tier = self.shared.store.name().as_str(), %request)
    }

    /// Asks for what is stored anew, unless that is being done or would be in vain; tells whether it is asked for.
    pub(super) fn refresh_behind<S, B, RB>(&self, inner: S, req: Request<B>) -> bool
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
        let Some(purpose) = (if part { self.purpose() } else { Some(Purpose::Whole) }) else { return false };
        let flight_key = self.flight_key(&purpose);
        let in_vain = self.shared.failed.has(&flight_key, now)
            || self.shared.deferred.has(&flight_key, now)
            || self.shared.uncacheable.has(&flight_key, now);
        // While the origin is pressed it is not asked for what is still good.
        if *req.method() != Method::GET || in_vain || self.shared.pressure.level() >= Level::Trim {
            return false;
        }
        let own = req.extensions().get::<Priority>().copied().unwrap_or_default();
        let led_by = self.trail.id();
        let Some(lead) = self.shared.flights.try_lead(&flight_key, own.max(Priority::Refresh), led_by) else {
            return false;
        };
        if self.is_renewed() {
            lead.land(Landing::Again);
            return false;
        }
        if self.lookup.entry.as_ref().is_some_and(|(entry, _)| entry.head().freshness.fresh_until > now) {
            self.shared.events.refreshed_early(self.shared.store.name());
        }
        let fill = fill::run(self.fill(inner, req, purpose, Some(lead), Priority::Refresh), None);
        self.shared.tasks.spawn(fill.instrument(self.span()));
        true
    }

    pub(super) fn forward<S, B, RB>(
        &mut self,
        inner: S,
        req: Request<B>,
        purpose: Purpose,
    ) -> impl Future<Output = Result<Response<TierBody<RB>>, S::Error>> + Send
    where
        S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        B: Default + Send + 'static,
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<BoxError>,
    {
        let own = req.extensions().get::<Priority>().copied().unwrap_or_default();
        // No `async` function: its future would have room for the request twice.
        async move {
            let mut lead = None;
            // An answer that could not be stored a moment ago: there is nothing to miss (hit-for-miss).
            let uncacheable = self.shared.uncacheable.has(&self.flight_key(&purpose), self.now());
            let alone = self.keyed.directives().no_store
            || self.is_one_too_many()
            || uncacheable
            // Whether the condition holds is for the origin to say, to each who asks.
            || (matches!(purpose, Purpose::Part) && self.ask.headers.contains_key(header::IF_RANGE));
            let joins = if alone { 0 } else { JOINS_MAX };
            for join in 1..=joins {
                match self.shared.flights.join(&self.flight_key(&purpose), own, self.trail.id()) {
                    Join::Lead(new) => {
                        // Between our look-up and now another flight may have landed and stored.
                        if let Some(response) = self.look_again() {
                            new.land(Landing::Again);
                            self.note("another fill has stored it meanwhile");
                            return Ok(response);
                        }
                        self.note("leads the fill");
                        lead = Some(new);
                        break;
                    }
                    Join::Wait(flight) => match self.wait(flight, &purpose).await {
                        Waited::Answer(response) => {
                            self.note("answered with what that fill brought");
                            return Ok(response);
                        }
                        // One leader's failure may be its own: one more tries for all.
                        Waited::Failed(away) if join == joins => {
                            self.note("that fill failed, and another before it");
                            return Ok(self.unanswered(away));
                        }
                        Waited::Failed(_) => self.note("that fill failed"),
                        Waited::Again => {
                            if let Some(response) = self.look_again() {
                                return Ok(response);
                            }
                        }
                        Waited::Alone => {
                            self.note("asks for itself: what that fill brings is not for it");
                            break;
                        }
                    },
                }
            }
            let (sender, receiver) = oneshot::channel();
            let patience = self.patience();
            let priority = if patience.is_some() { Priority::Covered } else { Priority::Interactive };
            // Boxed before anything else is made of it: it is large, and moves.
            let fill = Box::pin(fill::run(self.fill(inner, req, purpose, lead, priority), Some(sender)));
            let outward = Outliving::new(fill.instrument(self.span()), &self.shared.tasks).told(receiver);
            let mut outward = pin!(outward);
            let outward = match patience {
                None => outward.await,
                Some(limit) => match timeout(limit, outward.as_mut()).await {
                    Ok(outward) => outward,
                    Err(_) => match self.stale_unpurged("soft-timeout") {
                        Some(stale) => {
                            self.note("too slow for a client that can have what is stale; the fill goes on");
                            return Ok(stale);
                        }
                        // Purged meanwhile, or too old by now.
                        None => outward.await,
                    },
                },
            };
            match outward {
                Ok(Outward::Landed(landed, said, reader)) => {
                    let how = Filled { collapsed: false, inner: Some(said), ..self.filled() };
                    let response = respond::landed(
                        (self.shared.store.name(), self.keyed.key()),
                        &landed,
                        &self.ask,
                        self.now(),
                        how,
                        reader,
                    );
                    Ok(response.unwrap_or_else(|| self.unanswered(Away::No)))
                }
                Ok(Outward::Through(response, why)) => {
                    let mut response = self.through(response, why.as_str());
                    if uncacheable && let Some(outcome) = response.extensions_mut().get_mut::<Outcome>() {
                        outcome.served = if outcome.served == Served::Miss { Served::Bypass } else { outcome.served };
                    }
                    Ok(response)
                }
                Ok(Outward::ServerError(response, away)) => {
                    let stale = self.stale(away, Some(response.status()));
                    Ok(stale.unwrap_or_else(|| self.through(response, "origin-error")))
                }
                Ok(Outward::Error(error)) => self.stale(Away::Yes, None).ok_or(error),
                // The fill died: the origin panicked, or the runtime is shutting down.
                Err(_) => Ok(self.stale(Away::Yes, None).unwrap_or_else(|| self.unanswered(Away::Yes))),
            }
        }
    }

    fn filled(&self) -> Filled {
        let detail = self.lookup.cut_off.then_some("cut-off");
        Filled { fwd: self.lookup.fwd, collapsed: false, detail, inner: None }
    }

    fn unanswered<RB>(&self, away: Away) -> Response<TierBody<RB>> {
        let (tier, fwd) = (self.shared.store.name(), self.lookup.fwd);
        let mut response = respond::made(tier, StatusCode::SERVICE_UNAVAILABLE, fwd, "fill-failed");
        if away == Away::Yes {
            response.extensions_mut().insert(Disconnected);
        }
        response
    }

    /// Whether another fill has renewed what was found, between the look-up and now.
    fn is_renewed(&self) -> bool {
        use futures_util::FutureExt;
        let Some((found, _)) = self.lookup.entry.as_ref().filter(|_| !self.shared.store.is_shared()) else {
            return false;
        };
        let now_kept = self.shared.store.get(&self.lookup.key).now_or_never().and_then(Result::ok).flatten();
        now_kept.is_some_and(|kept| kept.head().freshness.fresh_until > found.head().freshness.fresh_until)
    }

    /// A second look into a store that answers at once.
    fn look_again<RB>(&self) -> Option<Response<TierBody<RB>>> {
        use futures_util::FutureExt;
        if self.shared.store.is_shared() {
            return None;
        }
        self.look_for_fresh().now_or_never()?
    }

    /// A second look into any store: whether it has meanwhile what will do.
    async fn look_for_fresh<RB>(&self) -> Option<Response<TierBody<RB>>> {
        if self.ask.refresh {
            return None;
        }
        let (base, headers) = (self.keyed.key(), self.ask.headers);
        let first = self.shared.store.get(base).await;
        let Lookup { key, entry, .. } = self.shared.look_up(base, first, headers).await;
        let (entry, verdict) = entry?;
        let now = self.now();
        let fits = verdict == Verdict::Live
            && self.suffices(&entry)
            && reuse(&entry.head().freshness, self.keyed.directives(), now) == (Reuse::Serve { stale: false });
        fits.then(|| respond::hit(self.shared.store.name(), &key, &entry, &self.ask, now, None))
    }

    async fn wait<RB>(&mut self, flight: Waiting, purpose: &Purpose) -> Waited<RB> {
        match flight.led_by() {
            Some(id) => self.note(format!("waits for the fill that request {id} leads")),
            None => self.note("waits for the fill of another request"),
        }
        match self.landing_of(&flight, purpose).await {
            Ok(landing) => self.waited(landing, &flight, purpose),
            Err(waited) => waited,
        }
    }

    /// How a flight comes out, or what to do without that: it takes long.
    async fn landing_of<RB>(&mut self, flight: &Waiting, purpose: &Purpose) -> Result<Landing, Waited<RB>> {
        // Nothing has failed yet: by the letter something stale would be no answer (RFC 5861 §4).
        let may_cover = self.keyed.mode() == Mode::Guarded;
        let (pause, soft) = (self.shared.config.wait_max, self.patience());
        let (mut limit, mut detail) = soft.map_or((pause, "wait-timeout"), |soft| (soft, "soft-timeout"));
        let mut has_waited = soft.is_none();
        loop {
            if let Ok(landing) = timeout(limit, flight.landed()).await {
                return Ok(landing);
            }
            if may_cover && let Some(stale) = self.stale_unpurged(detail) {
                return Err(Waited::Answer(stale));
            }
            // What was stale when the wait began may have been purged since, and nobody has waited for long yet.
            (limit, detail) = (pause, "wait-timeout");
            if !std::mem::replace(&mut has_waited, true) {
                continue;
            }
            // Boxed: few wait for so long.
            if let Some(response) = Box::pin(self.look_for_fresh()).await {
                return Err(Waited::Answer(response));
            }
            let is_for_each = self.shared.uncacheable.has(&self.flight_key(purpose), self.now());
            if is_for_each || flight.relieves(Instant::now(), pause) {
                return Err(Waited::Alone);
            }
            self.note("waits on: another one asks as well");
        }
    }

    fn waited<RB>(&mut self, landing: Landing, flight: &Waiting, purpose: &Purpose) -> Waited<RB> {
        match landing {
            Landing::Shared(landed) => self.shared_with_us(&landed, flight, purpose),
            Landing::Alone | Landing::Pending => Waited::Alone,
            Landing::Again => Waited::Again,
            Landing::Failed(away) => self.stale(away, None).map_or(Waited::Failed(away), Waited::Answer),
        }
    }

    /// A waiter treats a flight's answer as a hit: of its own variant, not purged meanwhile, and good enough for its directives.
    fn shared_with_us<RB>(&mut self, landed: &Landed, flight: &Waiting, purpose: &Purpose) -> Waited<RB> {
        let (head, now) = (landed.head(), self.now());
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
            LandedBody::Growing(..) => {
                self.shared.markers.judge_parts(&head.fence, &landed.start, head.tags.as_slice())
            }
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
        let how = Filled { collapsed: true, ..self.filled() };
        let response = respond::landed((self.shared.store.name(), self.keyed.key()), landed, &self.ask, now, how, None);
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
