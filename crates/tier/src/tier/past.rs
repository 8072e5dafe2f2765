//! Past the tier: what goes inward for one client and is not stored as it comes.

use std::sync::Arc;

use bytes::Bytes;
use edge_cache_core::{
    BoxError, Disconnected, Entry, Handoff, Kind, Outcome, Served, Store,
    marker::{Start, Verdict},
};
use edge_cache_policy::{
    cache_status::{self, Member},
    conditional,
    response::is_failure,
    vary::Vary,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;
use tower::util::Oneshot;
use tower_service::Service;

use super::{fill::keep, plan::Exchange, slow::Trip};
use crate::{TierBody, flight::Away, variants::Variant};

impl<St: Store> Trip<'_, St> {
    /// A request that the origin answers for itself.
    pub(super) async fn past<S, B, RB>(
        &self,
        inner: S,
        req: Request<B>,
        detail: &'static str,
    ) -> Result<Response<TierBody<RB>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
    {
        match Oneshot::new(inner, req).await {
            Ok(response) if is_failure(response.status(), self.keyed.mode()) => {
                Ok(self.failed(&response).unwrap_or_else(|| self.through(response, detail)))
            }
            Ok(response) => Ok(self.through(response, detail)),
            Err(error) => self.stale(Away::Yes, None).ok_or(error),
        }
    }

    /// What is stale, in place of a failure.
    fn failed<RB, IB>(&self, response: &Response<IB>) -> Option<Response<TierBody<RB>>> {
        let away = if response.extensions().get::<Disconnected>().is_some() { Away::Yes } else { Away::No };
        self.stale(away, Some(response.status()))
    }

    /// A HEAD: a 200 to it brings the stored answer to a GET up to date, or shows that it is of another representation
    /// (RFC 9111 §4.3.5).
    pub(super) async fn past_head<S, B, RB>(
        &self,
        inner: S,
        req: Request<B>,
    ) -> Result<Response<TierBody<RB>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>>,
        RB: Body<Data = Bytes>,
        RB::Error: Into<BoxError>,
    {
        let start = self.shared.markers.start();
        let (requested, began) = (self.now(), Instant::now());
        let mut response = match Oneshot::new(inner, req).await {
            Ok(response) if response.status() == StatusCode::OK => response,
            Ok(response) if is_failure(response.status(), self.keyed.mode()) => {
                return Ok(self.failed(&response).unwrap_or_else(|| self.through(response, "head")));
            }
            Ok(response) => return Ok(self.through(response, "head")),
            Err(error) => return self.stale(Away::Yes, None).ok_or(error),
        };
        let handed_up = response.extensions_mut().remove::<Handoff>();
        let handed_up = handed_up.as_ref().and_then(Handoff::entry);
        if let Some(entry) = handed_up.filter(|entry| entry.head().kind == Kind::Response) {
            // An inner tier answered from an entry: it moves up as it is.
            self.keep(entry.clone()).await;
            return Ok(self.through(response, "head"));
        }
        let held = self.lookup.entry.as_ref().map(|(entry, _)| entry).filter(|entry| {
            entry.head().kind == Kind::Response
                && entry.head().status == StatusCode::OK
                && self.shared.markers.judge(entry) != Verdict::Gone
        });
        if let Some(held) = held
            && let Some(headers) = self.update(held, response.headers(), start, requested, began).await
        {
            *response.headers_mut() = headers;
        }
        Ok(self.through(response, "head"))
    }

    /// Brings what is stored up to date. Returns its headers where a GET would be answered by it from now on: only then may they be told to whoever asked what a GET
    /// would bring (RFC 9110 §9.3.2, §8.6).
    async fn update(
        &self,
        held: &Entry,
        answer: &HeaderMap,
        start: Start,
        requested: edge_cache_core::Timestamp,
        began: Instant,
    ) -> Option<HeaderMap> {
        if conditional::contradicts(answer, &held.head().headers, held.body().len() as u64) {
            drop(self.shared.store.remove(&self.lookup.key).await);
            return None;
        }
        let confirmed = conditional::confirms(answer, &held.head().headers);
        let headers = conditional::freshen(&held.head().headers, answer);
        // Without a validator that both name nothing says that the origin still means this body: what purged it since counts on.
        let start = if confirmed { start } else { held.start() };
        let exchange = Exchange {
            keyed: self.keyed,
            start,
            requested,
            received: self.now(),
            took: began.elapsed(),
            unit: self.shared.rng.unit(),
            keep_tags: self.shared.config.keep_tags,
        };
        let now_kept = self.shared.store.get(&self.lookup.key).await.ok().flatten();
        let replaced = now_kept.is_none_or(|now_kept| now_kept.head().freshness.stored > held.head().freshness.stored);
        let planned = exchange.head(StatusCode::OK, &headers, Some(held)).ok().filter(|_| !replaced)?;
        let entry = Entry::new(Arc::unwrap_or_clone(planned.head), held.body().clone(), start);
        let is_live = self.shared.markers.judge(&entry) == Verdict::Live;
        self.keep(entry).await;
        is_live.then_some(headers)
    }

    async fn keep(&self, entry: Entry) {
        let headers = entry.head().headers.unpack();
        let variant = match Vary::of(&headers) {
            Vary::Fields(names) => Some(Variant::of(names, self.keyed.key(), self.ask.headers)),
            Vary::None | Vary::Star => None,
        };
        keep::keep(Arc::clone(self.shared), self.keyed.key().clone(), entry, variant).await;
    }

    /// The inner service's answer as it is, but for the client's conditions.
    pub(super) fn through<RB>(&self, response: Response<RB>, detail: &'static str) -> Response<TierBody<RB>> {
        let (mut parts, body) = response.into_parts();
        let mut body = TierBody::inner(body);
        let answered = parts.status;
        // An outer tier that validates its own entry must see the answer itself: a 304 would confirm what it holds.
        let conditions = self.ask.conditions;
        let is_asked = !self.ask.refresh && !conditions.is_empty();
        if is_asked && conditions.hold(parts.status, &parts.headers, self.now()) {
            parts.status = StatusCode::NOT_MODIFIED;
            conditional::not_modified(&mut parts.headers);
            body = TierBody::empty();
        }
        let member = Member::Forward {
            fwd: self.lookup.fwd,
            fwd_status: (answered != parts.status).then_some(answered),
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
}
