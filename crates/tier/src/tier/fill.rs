//! A fill: asks inward, decides whether the answer is stored, and brings it to the leader, the waiters and the store.
//!
//! Runs in a task of its own, so that neither the store nor the waiters depend on the leader's client staying.

use std::{
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
};

use bytes::{Bytes, BytesMut};
use edge_cache_core::{
    BoxError, CacheKey, Entry, Handoff, Head, Kind, NoStore, Outcome, PackedHeaders, Store, TagSet, TierName,
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
use http_body::{Body, Frame};
use tokio::{sync::oneshot, time::Instant};
use tower::util::Oneshot;
use tower_service::Service;

use super::{layer::Shared, respond::Inner};
use crate::{
    Keyed, Refresh,
    flight::{Landed, LandedBody, Landing, Lead},
    shared_body::SharedBody,
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
    /// An answer that is being stored.
    Landed(Arc<Landed>, Inner),
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
    let mut validating = false;
    if let Some((entry, _)) = &held {
        validating = conditional::validate(req.headers_mut(), &entry.head().headers);
        req.extensions_mut().insert(Refresh);
    }
    let landing = Pad { shared, keyed, key, selecting, lead, start, began, to_leader };

    let response = match Oneshot::new(inner, req).await {
        Ok(response) => response,
        Err(error) => return landing.failed(Outward::Error(error)),
    };
    let received = landing.shared.clock.now();
    let (mut parts, body) = response.into_parts();
    let handoff = parts.extensions.remove::<Handoff>();
    let said = Inner { status: own_members(&parts.headers), outcome: parts.extensions.get::<Outcome>().copied() };

    // An inner tier answered from an entry: it moves up as it is, its instants and fence with it.
    if let Some(Handoff { entry: Some(entry), .. }) = handoff {
        if entry.head().freshness.fresh_until <= received
            && said.outcome.is_some_and(|o| o.served == edge_cache_core::Served::Stale)
        {
            landing.shared.failed.add(&landing.key, received);
        }
        return landing.whole(entry, said).await;
    }
    if let (StatusCode::NOT_MODIFIED, true, Some((held, _))) = (parts.status, validating, &held) {
        return landing.validated(held, parts, handoff, requested, received, said).await;
    }
    let head = match &handoff {
        Some(handoff) => Ok(Arc::clone(&handoff.head)),
        None => landing.head(&parts, requested, received, None),
    };
    let too_large = body.size_hint().lower() > landing.shared.store.body_bytes_max();
    match head {
        Ok(_) if too_large => landing.through(parts, body, NoStore::TooLarge),
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

    fn land(&mut self, landed: Landed, said: Inner) {
        let landed = Arc::new(landed);
        if let Some(lead) = &self.lead {
            lead.land(Landing::Shared(Arc::clone(&landed)));
        }
        self.tell(Outward::Landed(landed, said));
    }

    fn failed(mut self, outward: Outward<RB, E>) {
        self.shared.events.fill_failed(self.shared.store.name());
        self.shared.failed.add(&self.key, self.shared.clock.now());
        drop(self.lead.take());
        self.tell(outward);
    }

    fn through(mut self, parts: Parts, body: RB, why: NoStore) {
        // Reasons that lie in this one request say nothing of the next.
        if !matches!(why, NoStore::RequestNoStore | NoStore::Authorization) {
            self.shared.uncacheable.add(&self.key, self.shared.clock.now());
        }
        if let Some(lead) = self.lead.take() {
            lead.land(Landing::Alone);
        }
        self.shared.events.filled(self.shared.store.name(), self.began.elapsed(), false);
        self.tell(Outward::Through(Response::from_parts(parts, body), why));
    }

    /// The head under which an answer is stored. `old` is the entry whose body a 304 leaves standing.
    fn head(
        &self,
        parts: &Parts,
        requested: edge_cache_core::Timestamp,
        received: edge_cache_core::Timestamp,
        old: Option<&Entry>,
    ) -> Result<Arc<Head>, NoStore> {
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
        }
        let mut headers = parts.headers.clone();
        hop::strip(&mut headers);
        remove_own_members(&mut headers);
        if !self.shared.config.keep_tags {
            groups::strip(&mut headers);
        }
        for name in withheld.iter().chain([&header::AGE]) {
            headers.remove(name);
        }
        if !headers.contains_key(header::DATE) {
            // A handler's answer has no date until a server gives it one; what is kept needs the date of its birth.
            let date = HeaderValue::try_from(date::format(received)).expect("a date is a header value");
            headers.insert(header::DATE, date);
        }
        let fill_millis = u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX);
        Ok(Arc::new(Head {
            kind: Kind::Response,
            status: parts.status,
            headers: PackedHeaders::pack(&headers),
            freshness,
            fence: self.start.fence,
            tags,
            fill_millis,
        }))
    }

    /// A 304 to our validators: the body stands, the head is new (RFC 9111 §4.3.4).
    #[expect(clippy::too_many_arguments, reason = "a step of `run`, split off for its length")]
    async fn validated(
        self,
        held: &Entry,
        mut parts: Parts,
        handoff: Option<Handoff>,
        requested: edge_cache_core::Timestamp,
        received: edge_cache_core::Timestamp,
        said: Inner,
    ) {
        parts.headers = conditional::freshen(&held.head().headers, &parts.headers);
        parts.status = held.head().status;
        let head = match handoff {
            Some(handoff) => Ok(handoff.head),
            None => self.head(&parts, requested, received, Some(held)),
        };
        let start = self.start;
        match head {
            Ok(head) => self.whole(Entry::new(head, held.body().clone(), start), said).await,
            Err(_) => self.revalidated_only(held, &parts.headers, said).await,
        }
    }

    /// The 304 forbids to keep the answer it confirms: it goes to the leader, and out of the store.
    async fn revalidated_only(mut self, held: &Entry, headers: &HeaderMap, said: Inner) {
        let mut head = Head::clone(held.head());
        head.headers = PackedHeaders::pack(headers);
        let entry = Entry::new(Arc::new(head), held.body().clone(), self.start);
        if let Some(lead) = self.lead.take() {
            lead.land(Landing::Alone);
        }
        let head = Arc::clone(entry.head());
        let landed = Landed { head, body: LandedBody::Whole(entry), variant: None, stored: false, start: self.start };
        self.tell(Outward::Landed(Arc::new(landed), said));
        drop(self.shared.store.remove(&self.key).await);
    }

    /// Stores and lands an entry whose body is all there.
    async fn whole(mut self, entry: Entry, said: Inner) {
        let variant = self.variant(entry.head());
        let mut keep = pin!(self.keep(entry.clone(), variant.clone()));
        // A store that answers at once has the entry before anyone hears of it: the next request is a hit.
        let pending = keep.as_mut().now_or_never().is_none();
        let (head, start) = (Arc::clone(entry.head()), *entry.start());
        self.land(Landed { head, body: LandedBody::Whole(entry), variant, stored: true, start }, said);
        self.settle(true);
        if pending {
            keep.await;
        }
    }

    /// Reads the body once for everybody, and stores it if it ends well and is not too large.
    async fn stream(mut self, head: Arc<Head>, body: RB, said: Inner)
    where
        RB: Body<Data = Bytes>,
    {
        let mut body = pin!(body);
        let len_expected = body.size_hint().exact();
        let shared_body = SharedBody::new(len_expected);
        let mut reading = Reading { max: self.shared.store.body_bytes_max(), ..Reading::default() };

        // What is there already is taken before anyone is told: most handlers' bodies are whole at once.
        let early = std::future::poll_fn(|cx| {
            while !reading.ended() {
                match body.as_mut().poll_frame(cx) {
                    Poll::Ready(frame) => reading.take(frame, body.is_end_stream()),
                    Poll::Pending => return Poll::Ready(false),
                }
                if reading.over() {
                    return Poll::Ready(false);
                }
            }
            Poll::Ready(true)
        })
        .await;
        if early && reading.is_complete() && reading.trailers.is_none() {
            let entry = Entry::new(head, reading.drain(), self.start);
            return self.whole(entry, said).await;
        }

        let variant = self.variant(&head);
        let landed = Landed {
            head: Arc::clone(&head),
            body: LandedBody::Growing(Arc::clone(&shared_body)),
            variant: variant.clone(),
            stored: true,
            start: self.start,
        };
        self.land(landed, said);
        loop {
            if reading.over() && !reading.passing {
                // Too large after all: it streams on to those who read it, unstored.
                reading.passing = true;
                if let Some(mut lead) = self.lead.take() {
                    lead.close();
                }
                self.shared.uncacheable.add(&self.key, self.shared.clock.now());
            }
            if reading.ended() {
                break;
            }
            for chunk in reading.chunks.drain(..) {
                shared_body.push(chunk);
            }
            if reading.passing {
                shared_body.keep_window();
            }
            let read = std::future::poll_fn(|cx| {
                if !ready!(shared_body.poll_room(cx)) {
                    return Poll::Ready(false);
                }
                let frame = ready!(body.as_mut().poll_frame(cx));
                reading.take(frame, body.is_end_stream());
                Poll::Ready(true)
            });
            if !read.await {
                break;
            }
        }
        if !reading.is_complete() {
            shared_body.cut();
            self.shared.events.fill_failed(self.shared.store.name());
            return;
        }
        // The entry is stored before the last bytes go out, so that a client that has them all finds a hit.
        let stored = !reading.passing;
        let mut pending = None;
        if stored {
            let mut all = BytesMut::from(&shared_body.bytes()[..]);
            reading.chunks.iter().for_each(|chunk| all.extend_from_slice(chunk));
            let entry = Entry::new(head, all.freeze(), self.start);
            let mut keep = Box::pin(self.keep(entry, variant));
            if keep.as_mut().now_or_never().is_none() {
                pending = Some(keep);
            }
        }
        for chunk in reading.chunks.drain(..) {
            shared_body.push(chunk);
        }
        shared_body.finish(reading.trailers.take());
        self.settle(stored);
        if let Some(keep) = pending {
            keep.await;
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
        keep(Arc::clone(&self.shared), self.keyed.key().clone(), entry, variant)
    }
}

/// Puts an entry, and the index that leads to it, into the store.
async fn keep<St: Store>(
    shared: Arc<Shared<St>>,
    base: CacheKey,
    entry: Entry,
    variant: Option<(VariantIndex, CacheKey)>,
) {
    if entry.body().len() as u64 > shared.store.body_bytes_max() {
        return;
    }
    let head = entry.head();
    if shared.store.is_shared() && head.fence.incarnation == 0 {
        // Filled while the shared order of purges was not known: nobody could judge it.
        return;
    }
    let validators = head.headers.get(&header::ETAG).or(head.headers.get(&header::LAST_MODIFIED)).is_some();
    let grace = if validators { shared.config.keep_validators } else { std::time::Duration::ZERO };
    let keep_for = head.freshness.last_use().since(shared.clock.now()) + grace;
    if keep_for.is_zero() {
        return;
    }
    let failed = |result: Result<(), edge_cache_core::StoreError>| {
        if let Err(error) = result {
            shared.events.store_failed(shared.store.name(), "put");
            tracing::debug!(tier = %shared.store.name(), error = &error as &dyn std::error::Error, "put failed");
        }
    };
    let Some((mut index, key)) = variant else {
        return failed(shared.store.put(base, entry, keep_for).await);
    };
    let known = shared.store.get(&base).await.ok().flatten().filter(|known| known.head().kind == Kind::VariantIndex);
    if let Some(known) = known.as_ref().and_then(|known| VariantIndex::decode(known.body()))
        && known.names == index.names
    {
        index.variants = known.variants;
    }
    let changed = index.note(&key);
    let index_head = Head { kind: Kind::VariantIndex, headers: PackedHeaders::default(), ..Head::clone(head) };
    let start = *entry.start();
    failed(shared.store.put(key, entry, keep_for).await);
    // The index outlives its variants: it is written anew with each new one, and kept as long as the newest.
    let outlived = known.is_none_or(|known| known.head().freshness.last_use() < index_head.freshness.last_use());
    if changed || outlived {
        let entry = Entry::new(Arc::new(index_head), index.encode(), start);
        failed(shared.store.put(base, entry, keep_for).await);
    }
}

/// What was read of a body and is not yet passed on.
#[derive(Default)]
struct Reading {
    chunks: Vec<Bytes>,
    len: u64,
    max: u64,
    passing: bool,
    end: Option<bool>,
    trailers: Option<HeaderMap>,
}

impl Reading {
    fn take<E>(&mut self, frame: Option<Result<Frame<Bytes>, E>>, is_end: bool) {
        match frame {
            None => self.end = Some(true),
            Some(Err(_)) => self.end = Some(false),
            Some(Ok(frame)) => {
                match frame.into_data() {
                    Ok(data) => {
                        self.len += data.len() as u64;
                        self.chunks.push(data);
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                }
                if is_end {
                    self.end = Some(true);
                }
            }
        }
    }

    const fn ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the body came to its own end.
    fn is_complete(&self) -> bool {
        self.end == Some(true)
    }

    const fn over(&self) -> bool {
        self.len > self.max
    }

    fn drain(&mut self) -> Bytes {
        match self.chunks.len() {
            0 => Bytes::new(),
            1 => self.chunks.remove(0),
            _ => {
                let mut all = BytesMut::new();
                self.chunks.drain(..).for_each(|chunk| all.extend_from_slice(&chunk));
                all.freeze()
            }
        }
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
