//! Everything but the plain hit: what is stored will do after all, or what to ask inward.

use std::sync::Arc;

use bytes::Bytes;
use edge_cache_core::{
    AskedBehind, BoxError, CacheKey, Entry, Fwd, Judgement, Kind, Store, StoreError, Timestamp, Trail, marker::Verdict,
};
use edge_cache_policy::{
    Mode,
    conditional::Conditions,
    range::{self, Asked},
    request::{Reuse, is_immutable, reuse},
};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Body;
use tower_service::Service;

use super::{
    fill::Purpose,
    layer::Shared,
    lookup::Lookup,
    parts,
    respond::{self, Ask},
};
use crate::{Keyed, Refresh, TierBody, flight::Away};

/// The store's first answer, or the question still open.
pub(super) enum First<G> {
    Answered(Result<Option<Entry>, StoreError>),
    Asked(G),
}

/// One request on its way through the tier.
pub(super) struct Trip<'a, St> {
    pub(super) shared: &'a Arc<Shared<St>>,
    pub(super) keyed: &'a Keyed,
    pub(super) ask: Ask<'a>,
    /// The request's headers as `Vary` compares them.
    pub(super) selecting: &'a Arc<HeaderMap>,
    pub(super) lookup: Lookup,
    /// An outer tier holds what is fresh until then, and wants what is fresh for longer.
    pub(super) beyond: Option<Timestamp>,
    /// What is stored was found to be due for a refresh, though it is fresh.
    pub(super) due: bool,
    /// Where each decision is noted.
    pub(super) trail: Trail,
}

/// No `async` function: its future would have room for the request twice.
pub(super) fn run<St, S, B, RB>(
    shared: Arc<Shared<St>>,
    inner: S,
    mut req: Request<B>,
    keyed: Keyed,
    (first, due): (First<St::Get>, bool),
) -> impl Future<Output = Result<Response<TierBody<RB>>, S::Error>> + Send + use<St, S, B, RB>
where
    St: Store,
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Default + Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    let trail = Trail::of(req.extensions());
    let beyond = req.extensions().get::<Refresh>().map(|refresh| refresh.beyond);
    let refresh = beyond.is_some();
    async move {
        let first = match first {
            First::Answered(result) => result,
            First::Asked(get) => get.await,
        };
        let mut lookup = shared.look_up(keyed.key(), first, req.headers()).await;
        lookup.cut_off |= shared.store.is_shared() && !shared.markers.in_step();
        let conditions = Conditions::take(req.headers_mut());
        let headers = Arc::new(req.headers().clone());
        let ask = Ask { head: req.method() == Method::HEAD, conditions: &conditions, headers: &headers, refresh };
        let mut trip = Trip { shared: &shared, keyed: &keyed, ask, selecting: &headers, lookup, beyond, due, trail };

        match trip.stored_answer() {
            Some(Answer::Final(response)) => {
                trip.note("answered with what is stored");
                return Ok(response);
            }
            Some(Answer::Refreshing(mut response)) => {
                trip.note("answered with what is stored, which is due to be asked for anew");
                if trip.refresh_behind(inner, req) {
                    response.extensions_mut().insert(AskedBehind);
                }
                return Ok(response);
            }
            None => {}
        }
        if let Some(own) = trip.lookup.own.take() {
            trip.lookup = Lookup { key: own, entry: None, fwd: Fwd::VaryMiss, cut_off: false, own: None };
        }
        trip.note(trip.why());
        if keyed.directives().only_if_cached {
            return Ok(respond::made(
                shared.store.name(),
                StatusCode::GATEWAY_TIMEOUT,
                trip.lookup.fwd,
                "only-if-cached",
            ));
        }
        if trip.ask.head {
            conditions.clone().restore(req.headers_mut());
            // Boxed, here and below: rare, and large.
            return Box::pin(trip.past_head(inner, req)).await;
        }
        match trip.purpose() {
            Some(purpose) => trip.forward(inner, req, purpose).await,
            None => {
                conditions.clone().restore(req.headers_mut());
                Box::pin(trip.past(inner, req, "range")).await
            }
        }
    }
}

enum Answer<RB> {
    Final(Response<TierBody<RB>>),
    /// Stale, with a refresh to start behind it.
    Refreshing(Response<TierBody<RB>>),
}

impl<St: Store> Trip<'_, St> {
    pub(super) fn note(&self, what: impl Into<std::borrow::Cow<'static, str>>) {
        self.trail.note(self.shared.store.name().as_str(), what);
    }

    /// Why what is stored will not do.
    fn why(&self) -> &'static str {
        let verdict = self.lookup.entry.as_ref().map(|(_, verdict)| *verdict);
        match (self.lookup.fwd, verdict) {
            (_, Some(Verdict::Soft | Verdict::Gone)) => "what is stored was purged",
            (_, Some(Verdict::CutOff)) => "what is stored may have been purged: this node is cut off from the others",
            (Fwd::UriMiss, _) => "nothing is stored for the URL",
            (Fwd::VaryMiss, _) => "what is stored is for other request headers",
            (Fwd::Request, _) => "the request wants it newer than what is stored",
            (Fwd::Stale, _) => "what is stored is stale, or soon will be",
            (Fwd::Partial, _) => "a part is stored, and more is asked for",
            (Fwd::Bypass | Fwd::Method, _) => "not a matter for the cache",
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Whether an entry holds what is asked for: a part may not.
    pub(super) fn suffices(&self, entry: &Entry) -> bool {
        if entry.head().kind != Kind::Partial {
            return true;
        }
        let asked =
            parts::held(entry).map(|held| held.asked(self.ask.headers, &entry.head().headers.unpack(), self.now()));
        !self.ask.head && matches!(asked, Some(Asked::Part(_) | Asked::Parts(_) | Asked::Unsatisfiable))
    }

    /// What to ask inward; `None` for what is not the tier's business. A range goes inward as it is where nothing whole is held and
    /// the policy says so, or the whole is known to be too large (RFC 9111 §3.3); else the whole is asked for.
    pub(super) fn purpose(&self) -> Option<Purpose> {
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

    /// Whether the asker, an outer tier, holds what is fresh for as long.
    fn is_known_to_asker(&self, entry: &Entry) -> bool {
        self.beyond.is_some_and(|beyond| entry.head().freshness.fresh_until <= beyond)
    }

    /// The key of the flight: who wants the same range of the same variant meets there.
    pub(super) fn flight_key(&self, purpose: &Purpose) -> CacheKey {
        match (purpose, self.ask.headers.get(header::RANGE)) {
            (Purpose::Part, Some(range)) => self.lookup.key.part(range.as_bytes()),
            _ => self.lookup.key.clone(),
        }
    }

    /// The answer, if what is stored will do. Else notes why the request goes forward.
    fn stored_answer<RB>(&mut self) -> Option<Answer<RB>> {
        let (entry, verdict) = self.lookup.entry.as_ref()?;
        let now = self.now();
        let tier = self.shared.store.name();
        if !self.suffices(entry) {
            self.lookup.fwd = Fwd::Partial;
            return None;
        }
        let may = match verdict {
            Verdict::Live => reuse(&entry.head().freshness, self.keyed.directives(), now),
            Verdict::Soft | Verdict::CutOff | Verdict::Gone => Reuse::Validate { by_request: false },
        };
        match may {
            Reuse::Serve { .. } if self.is_known_to_asker(entry) => self.lookup.fwd = Fwd::Stale,
            Reuse::Serve { stale: false }
                if !self.ask.refresh && (self.due || self.shared.is_due(entry, self.keyed.mode(), now)) =>
            {
                return Some(Answer::Refreshing(respond::hit(tier, &self.lookup.key, entry, &self.ask, now, None)));
            }
            Reuse::Serve { stale } => {
                return Some(Answer::Final(respond::hit(
                    tier,
                    &self.lookup.key,
                    entry,
                    &self.ask,
                    now,
                    stale.then_some("max-stale"),
                )));
            }
            Reuse::ServeAndRefresh if !self.ask.refresh => {
                let detail = Some("stale-while-revalidate");
                return Some(Answer::Refreshing(respond::hit(tier, &self.lookup.key, entry, &self.ask, now, detail)));
            }
            Reuse::ServeAndRefresh | Reuse::Validate { by_request: false } => self.lookup.fwd = Fwd::Stale,
            Reuse::Validate { by_request: true } => {
                let head = entry.head();
                if is_immutable(&head.headers, &head.freshness, self.keyed.directives(), now) {
                    return Some(Answer::Final(respond::hit(
                        tier,
                        &self.lookup.key,
                        entry,
                        &self.ask,
                        now,
                        Some("immutable"),
                    )));
                }
                self.lookup.fwd = Fwd::Request;
            }
        }
        // The origin failed for this key a moment ago: leave it alone for a while. A purged entry needs a failure of its own, and to the
        // letter every request does.
        // Nor is whoever is trusted and wants it new put off.
        let wants_new = matches!(may, Reuse::Validate { by_request: true });
        let spared = *verdict == Verdict::Live && self.keyed.mode() == Mode::Guarded && !wants_new;
        let throttled = spared && self.shared.failed.has(&self.lookup.key, now);
        let (entry, _) =
            self.fallback(now, Away::No).filter(|(entry, _)| throttled || spared && self.is_stretched(entry))?;
        let detail = if throttled { "retry-throttle" } else { "pressure" };
        Some(Answer::Final(respond::stale(tier, &self.lookup.key, entry, &self.ask, now, (detail, None))))
    }
}
