//! A fill: asks inward, decides whether the answer is stored, and brings it to the leader, the waiters and the store.
//!
//! Runs in a task of its own, so that neither the store nor the waiters depend on the leader's client staying.

mod keep;
mod reading;
mod stream;

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use edge_cache_core::{
    BoxError, CacheKey, Entry, Freshness, Handoff, Head, Kind, NoStore, Outcome, PackedHeaders, Store, TagSet,
    TierName,
    headers::CACHE_STATUS,
    marker::{Start, Verdict},
};
use edge_cache_policy::{
    conditional, date, groups, hop,
    response::{self, Asked, Plan},
    vary::Vary,
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, response::Parts};
use http_body::Body;
use tokio::{sync::oneshot, time::Instant};
use tower::util::Oneshot;
use tower_service::Service;

use super::{layer::Shared, respond::Inner};
use crate::{
    Keyed, Refresh,
    flight::{Landed, LandedBody, Landing, Lead},
    keyed::Within,
    shared_body::Reader,
    variants::VariantIndex,
};

/// A fill about to run.
pub(super) struct Fill<St, S, B> {
    pub(super) shared: Arc<Shared<St>>,
    pub(super) inner: S,
    pub(super) req: Request<B>,
    pub(super) keyed: Keyed,
    /// The request's headers as `Vary` compares them.
    pub(super) selecting: HeaderMap,
    /// The key looked up: a variant's where the index was known.
    pub(super) key: CacheKey,
    /// What the tier holds, good for its validators.
    pub(super) held: Option<(Entry, Verdict)>,
    /// The flight; `None` for a request that asks only for itself.
    pub(super) lead: Option<Lead>,
}

/// What the leader gets.
pub(super) enum Outward<RB, E> {
    /// An answer that is being stored, and the leader's place in its body while that still grows.
    Landed(Arc<Landed>, Inner, Option<Reader>),
    /// An answer that is not, and why.
    Through(Response<RB>, NoStore),
    /// The origin's own failure.
    ServerError(Response<RB>),
    /// No answer.
    Error(E),
}

type Sender<RB, E> = Option<oneshot::Sender<Outward<RB, E>>>;

/// Runs `fill`. A leader that left is no reason to stop: the answer is stored all the same.
pub(super) async fn run<St, S, B, RB>(fill: Fill<St, S, B>, to_leader: Sender<RB, S::Error>)
where
    St: Store,
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    let Fill { shared, inner, mut req, keyed, selecting, key, held, lead } = fill;
    // The fence comes before anything inward is called.
    let start = shared.markers.start();
    let (requested, began) = (shared.clock.now(), Instant::now());
    // What was purged since it was looked up lends nothing any more, not even its validators.
    let held = held.filter(|(entry, _)| shared.markers.judge(entry) != Verdict::Gone);
    let mut validating = false;
    if let Some((entry, _)) = &held {
        validating = conditional::validate(req.headers_mut(), &entry.head().headers);
        req.extensions_mut().insert(Refresh);
    }
    let mut within = req.extensions_mut().remove::<Within>().unwrap_or_default();
    within.0.push(shared.id());
    req.extensions_mut().insert(within);
    let landing = Pad { shared, keyed, key, selecting, lead, start, began, to_leader };

    let response = match Oneshot::new(inner, req).await {
        Ok(response) => response,
        Err(error) => return landing.failed(Outward::Error(error)),
    };
    let received = landing.shared.clock.now();
    let (mut parts, body) = response.into_parts();
    let handoff = parts.extensions.remove::<Handoff>();
    let outcome = parts.extensions.get::<Outcome>().copied();
    let mut said = Inner { status: own_members(&parts.headers), outcome, withheld: HeaderMap::new() };

    // An inner tier answered from an entry: it moves up as it is, its instants and fence with it.
    if let Some(Handoff { entry: Some(entry), .. }) = handoff {
        return landing.whole(entry, said).await;
    }
    if let (StatusCode::NOT_MODIFIED, true, Some((held, _))) = (parts.status, validating, &held) {
        return landing.validated(held, parts, handoff, requested, received, said).await;
    }
    let head = match &handoff {
        Some(handoff) => Ok(Arc::clone(&handoff.head)),
        None => landing.head(&parts, requested, received, None).map(|(head, withheld)| {
            said.withheld = withheld;
            head
        }),
    };
    let max = landing.shared.store.body_bytes_max();
    let hinted = body.size_hint().lower();
    let too_large = |head: &Head| hinted > max || stream::content_length(head) > Some(max);
    match head {
        Ok(head) if too_large(&head) => landing.through(parts, body, NoStore::TooLarge),
        Ok(head) => landing.stream(head, body, said).await,
        Err(_) if parts.status.is_server_error() => {
            landing.failed(Outward::ServerError(Response::from_parts(parts, body)));
        }
        Err(why) => landing.through(parts, body, why),
    }
}

/// Where a fill lands.
struct Pad<St, RB, E> {
    shared: Arc<Shared<St>>,
    keyed: Keyed,
    key: CacheKey,
    selecting: HeaderMap,
    lead: Option<Lead>,
    start: Start,
    began: Instant,
    to_leader: Sender<RB, E>,
}

impl<St: Store, RB, E> Pad<St, RB, E> {
    fn tell(&mut self, outward: Outward<RB, E>) {
        if let Some(leader) = self.to_leader.take() {
            // The leader's client may have left; the fill goes on for the store's sake.
            drop(leader.send(outward));
        }
    }

    /// Tells the waiters; tell the leader after.
    fn land(&self, landed: Landed) -> Arc<Landed> {
        let landed = Arc::new(landed);
        // An answer that must be validated before each use is its leader's alone (RFC 9111 §5.2.2.4). One that an inner tier held is
        // stale by leave of its own.
        let Freshness { stored, fresh_until, .. } = landed.head.freshness;
        let held_further_in = matches!(&landed.body, LandedBody::Whole(entry) if entry.start().is_promoted());
        if let Some(lead) = &self.lead {
            lead.land(match fresh_until > stored || held_further_in {
                true => Landing::Shared(Arc::clone(&landed)),
                false => Landing::Alone,
            });
        }
        landed
    }

    fn failed(mut self, outward: Outward<RB, E>) {
        self.shared.events.fill_failed(self.shared.store.name());
        self.shared.failed.add(&self.key, self.shared.clock.now());
        drop(self.lead.take());
        self.tell(outward);
    }

    fn through(mut self, parts: Parts, body: RB, why: NoStore) {
        // Reasons that lie in this one request say nothing of the next.
        let by_request = matches!(why, NoStore::RequestNoStore | NoStore::Authorization);
        if !by_request {
            self.shared.uncacheable.add(&self.key, self.shared.clock.now());
        }
        if let Some(lead) = self.lead.take() {
            lead.land(if by_request { Landing::Again } else { Landing::Alone });
        }
        self.shared.events.filled(self.shared.store.name(), self.began.elapsed(), false);
        self.tell(Outward::Through(Response::from_parts(parts, body), why));
    }

    /// The head under which an answer is stored, and the fields that only its leader gets. `old` is the entry whose body a 304 leaves standing.
    fn head(
        &self,
        parts: &Parts,
        requested: edge_cache_core::Timestamp,
        received: edge_cache_core::Timestamp,
        old: Option<&Entry>,
    ) -> Result<(Arc<Head>, HeaderMap), NoStore> {
        let asked = Asked {
            mode: self.keyed.mode(),
            route: self.keyed.route(),
            authorization: self.keyed.authorization(),
            no_store: self.keyed.directives().no_store,
            requested,
            received,
            unit: self.shared.rng.unit(),
        };
        let Plan { freshness, withheld } = response::plan(&asked, parts.status, &parts.headers)?;
        let named = groups::tags(&parts.headers).filter(|t| t.len() <= TagSet::USER_TAGS_MAX).ok_or(NoStore::Tags)?;
        let mut tags = TagSet::new(&self.keyed.key().parts(), named);
        if let Some(old) = old {
            tags = tags.union(&old.head().tags);
            if tags.as_slice().len() > 2 * TagSet::USER_TAGS_MAX {
                return Err(NoStore::Tags);
            }
        }
        if withheld.contains(&header::VARY) {
            // Without it nobody could tell for whom the answer is.
            return Err(NoStore::VaryStar);
        }
        let mut headers = parts.headers.clone();
        hop::strip(&mut headers);
        remove_own_members(&mut headers);
        if !self.shared.config.keep_tags {
            groups::strip(&mut headers);
        }
        headers.remove(header::AGE);
        let mut leaders = HeaderMap::new();
        for name in &withheld {
            leaders.extend(headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
            headers.remove(name);
        }
        if !headers.contains_key(header::DATE) {
            // A handler's answer has no date until a server gives it one; what is kept needs the date of its birth.
            let date = HeaderValue::try_from(date::format(received)).expect("a date is a header value");
            headers.insert(header::DATE, date);
        }
        let fill_millis = u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX);
        let head = Head {
            kind: Kind::Response,
            status: parts.status,
            headers: PackedHeaders::pack(&headers),
            freshness,
            fence: self.start.fence,
            tags,
            fill_millis,
        };
        Ok((Arc::new(head), leaders))
    }

    /// A 304 to our validators: the body stands, the head is new (RFC 9111 §4.3.4).
    async fn validated(
        self,
        held: &Entry,
        mut parts: Parts,
        handoff: Option<Handoff>,
        requested: edge_cache_core::Timestamp,
        received: edge_cache_core::Timestamp,
        mut said: Inner,
    ) {
        parts.headers = conditional::freshen(&held.head().headers, &parts.headers);
        parts.status = held.head().status;
        let head = match handoff {
            Some(handoff) => Ok(handoff.head),
            None => self.head(&parts, requested, received, Some(held)).map(|(head, withheld)| {
                said.withheld = withheld;
                head
            }),
        };
        let start = self.start;
        match head {
            Ok(head) => self.whole(Entry::new(head, held.body().clone(), start), said).await,
            Err(why) => self.revalidated_only(held, &parts.headers, said, why).await,
        }
    }

    /// The 304 does not allow to keep the answer it confirms: it goes to the leader alone, and out of the store unless the reason
    /// lies in this one request.
    async fn revalidated_only(mut self, held: &Entry, headers: &HeaderMap, said: Inner, why: NoStore) {
        let mut headers = headers.clone();
        remove_own_members(&mut headers);
        let head = Head { headers: PackedHeaders::pack(&headers), ..Head::clone(held.head()) };
        let entry = Entry::new(Arc::new(head), held.body().clone(), self.start);
        let by_request = matches!(why, NoStore::RequestNoStore | NoStore::Authorization);
        if let Some(lead) = self.lead.take() {
            lead.land(if by_request { Landing::Again } else { Landing::Alone });
        }
        let head = Arc::clone(entry.head());
        let landed = Landed { head, body: LandedBody::Whole(entry), variant: None, stored: false, start: self.start };
        self.tell(Outward::Landed(Arc::new(landed), said, None));
        if !by_request {
            drop(self.shared.store.remove(&self.key).await);
        }
    }

    /// Stores and lands an entry whose body is all there.
    async fn whole(mut self, entry: Entry, said: Inner) {
        let variant = self.variant(entry.head());
        let mut keep = pin!(self.keep(entry.clone(), variant.clone()));
        // A store that answers at once has the entry before anyone hears of it: the next request is a hit.
        let pending = keep.as_mut().now_or_never().is_none();
        let (head, start) = (Arc::clone(entry.head()), *entry.start());
        let stored = entry.body().len() as u64 <= self.shared.store.body_bytes_max();
        let landed = self.land(Landed { head, body: LandedBody::Whole(entry), variant, stored, start });
        if pending {
            // Until it is stored, who comes joins this flight.
            self.tell(Outward::Landed(landed, said, None));
            keep.await;
            self.settle(stored);
        } else {
            // The flight is over before its leader hears of it: a request on the heels of this one finds the entry.
            self.settle(stored);
            self.tell(Outward::Landed(landed, said, None));
        }
    }

    /// The fill is over: who comes now looks in the store.
    fn settle(&mut self, stored: bool) {
        if stored {
            self.shared.uncacheable.clear(&self.key);
            self.shared.failed.clear(&self.key);
        }
        drop(self.lead.take());
        self.shared.events.filled(self.shared.store.name(), self.began.elapsed(), stored);
    }

    /// The variant that an answer is, if it carries `Vary`.
    fn variant(&self, head: &Head) -> Option<(VariantIndex, CacheKey)> {
        head.headers.get(&header::VARY)?;
        let Vary::Fields(names) = Vary::of(&head.headers.unpack()) else { return None };
        let index = VariantIndex { names, variants: Vec::new() };
        let key = index.select(self.keyed.key(), &self.selecting);
        Some((index, key))
    }

    fn keep(
        &self,
        entry: Entry,
        variant: Option<(VariantIndex, CacheKey)>,
    ) -> impl Future<Output = ()> + use<St, RB, E> {
        keep::keep(Arc::clone(&self.shared), self.keyed.key().clone(), entry, variant)
    }
}

/// `Cache-Status` lines that an inner tier of ours added.
fn own_members(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(CACHE_STATUS).iter().filter(|line| is_own(line)).cloned().collect()
}

fn is_own(line: &HeaderValue) -> bool {
    let member = line.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
    [TierName::Memory, TierName::Redis, TierName::Disk].iter().any(|tier| member == tier.member().as_bytes())
}

fn remove_own_members(headers: &mut HeaderMap) {
    if headers.get_all(CACHE_STATUS).iter().any(is_own) {
        let others: Vec<_> = headers.get_all(CACHE_STATUS).iter().filter(|line| !is_own(line)).cloned().collect();
        headers.remove(CACHE_STATUS);
        for line in others {
            headers.append(CACHE_STATUS, line);
        }
    }
}
