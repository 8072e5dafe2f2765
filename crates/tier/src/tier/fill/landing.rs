//! How a fill ends: for its leader, for the waiters, in the store.

use std::{pin::pin, sync::Arc};

use edge_cache_core::{
    CacheKey, Entry, Freshness, Head, Kind, NoStore, Outcome, PackedHeaders, Served, Store, marker::Verdict,
};
use edge_cache_policy::vary::Vary;
use futures_util::FutureExt;
use http::{HeaderMap, Response, header};
use tokio::time::Instant;

use super::{Outward, Pad, keep};
use crate::{
    flight::{Away, Landed, LandedBody, Landing},
    tier::{layer::Shared, parts, plan::remove_own_members, respond::Inner},
    variants::Variant,
};

/// Whether a reason against storing lies in the one request, and says nothing of the next.
pub(super) const fn is_of_request(why: NoStore) -> bool {
    matches!(why, NoStore::RequestNoStore | NoStore::NewKeys | NoStore::Authorization)
}

impl<St: Store, RB, E> Pad<St, RB, E> {
    pub(super) fn tell(&mut self, outward: Outward<RB, E>) {
        if let Some(leader) = self.to_leader.take() {
            // The leader's client may have left; the fill goes on for the store's sake.
            drop(leader.send(outward));
        }
    }

    /// Tells the waiters; tell the leader after.
    pub(super) fn land(&self, landed: Landed) -> Arc<Landed> {
        let landed = Arc::new(landed);
        // An answer that must be validated before each use is its leader's alone (RFC 9111 §5.2.2.4). One that an inner tier held is
        // stale by leave of its own.
        let Freshness { stored, fresh_until, .. } = landed.head().freshness;
        if let Some(lead) = &self.lead {
            lead.land(match fresh_until > stored || self.held_further_in {
                true => Landing::Shared(Arc::clone(&landed)),
                false => Landing::Alone,
            });
        }
        landed
    }

    pub(super) fn failed(mut self, outward: Outward<RB, E>, away: Away) {
        self.note(match away {
            Away::Yes => "the origin gave no answer",
            Away::No => "the origin's own failure is not kept",
        });
        self.shared.events.fill_failed(self.shared.store.name());
        // What nobody waits for is refused first when the origin has much to do: that says nothing of what a client would get.
        let notes = if self.is_background { &self.shared.deferred } else { &self.shared.failed };
        notes.add(&self.flight_key, (), self.shared.clock.now());
        if let Some(lead) = self.lead.take() {
            lead.land(Landing::Failed(away));
        }
        self.tell(outward);
    }

    pub(super) fn through(mut self, response: Response<RB>, why: NoStore) {
        let now = Instant::now();
        self.note_later(now, move || format!("not kept: {}", why.as_str()));
        if !is_of_request(why) {
            self.shared.uncacheable.add(&self.flight_key, why, self.shared.clock.at(now.into_std()));
        }
        if let Some(lead) = self.lead.take() {
            lead.land(if is_of_request(why) { Landing::Again } else { Landing::Alone });
        }
        self.shared.events.filled(self.shared.store.name(), now - self.began, false);
        self.tell(Outward::Through(response, why));
    }

    /// The origin has something newer, which may not be kept: what is held is not served any more, and who comes next asks again.
    pub(super) async fn superseded(self, response: Response<RB>, why: NoStore) {
        drop(self.shared.store.remove(&self.key).await);
        self.note("what was held of it is outdated, and gone");
        self.through(response, why);
    }

    /// The 304 does not allow to keep the answer it confirms: it goes to the leader alone, and out of the store unless the reason
    /// lies in this one request.
    pub(super) async fn revalidated_only(mut self, held: Entry, mut headers: HeaderMap, said: Inner, why: NoStore) {
        remove_own_members(&mut headers);
        let head = Head { headers: PackedHeaders::pack(&headers), ..Head::clone(held.head()) };
        let entry = Entry::new(head, held.body().clone(), self.start);
        if let Some(lead) = self.lead.take() {
            lead.land(if is_of_request(why) { Landing::Again } else { Landing::Alone });
        }
        let landed = Landed { body: LandedBody::Whole(entry), variant: None, stored: false, start: self.start };
        self.tell(Outward::Landed(Arc::new(landed), said, None));
        if !is_of_request(why) {
            drop(self.shared.store.remove(&self.key).await);
        }
    }

    /// Stores and lands an entry whose body is all there.
    pub(super) fn whole(mut self, entry: Entry, said: Inner) -> impl Future<Output = ()> {
        let variant = self.variant(entry.head());
        async move {
            let mut keep = pin!(self.keep(entry.clone(), variant.clone()));
            // A store that answers at once has the entry before anyone hears of it: the next request is a hit.
            let pending = keep.as_mut().now_or_never().is_none();
            let start = entry.start();
            let stored = entry.body().len() as u64 <= self.shared.store.body_bytes_max();
            let landed = self.land(Landed { body: LandedBody::Whole(entry), variant, stored, start });
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
    }

    /// Lands an entry that another process has stored meanwhile: there is nothing to store.
    pub(super) fn found(mut self, entry: Entry) {
        self.held_further_in = true;
        let (start, variant) = (entry.start(), self.variant(entry.head()));
        let landed = self.land(Landed { body: LandedBody::Whole(entry), variant, stored: true, start });
        drop(self.lead.take());
        let found = Outcome { served: Served::Coalesced, tier: None };
        self.tell(Outward::Landed(landed, Inner { outcome: Some(found), ..Inner::default() }, None));
    }

    /// The fill is over: who comes now looks in the store.
    pub(super) fn settle(&mut self, stored: bool) {
        self.note(if stored { "kept" } else { "not kept: larger than the tier takes" });
        if stored {
            self.shared.uncacheable.clear(&self.flight_key);
            self.shared.failed.clear(&self.flight_key);
            self.shared.deferred.clear(&self.flight_key);
        }
        drop(self.lead.take());
        self.shared.events.filled(self.shared.store.name(), self.began.elapsed(), stored);
    }

    /// The variant that an answer is, if it carries `Vary`.
    pub(super) fn variant(&self, head: &Head) -> Option<Variant> {
        head.headers.get(&header::VARY)?;
        let Vary::Fields(names) = Vary::of(&head.headers.unpack()) else { return None };
        Some(Variant::of(names, self.keyed.key(), &self.selecting))
    }

    /// Puts an entry into the store: a part as the bytes that came have it, together with what is held of the same representation.
    pub(super) fn keep(&self, entry: Entry, variant: Option<Variant>) -> impl Future<Output = ()> + use<St, RB, E> {
        let (shared, base) = (Arc::clone(&self.shared), self.keyed.key().clone());
        let was_conditional = self.selecting.contains_key(header::IF_RANGE);
        async move {
            let entry = match entry.head().kind {
                Kind::Partial => {
                    let key = variant.as_ref().map_or(&base, |variant| &variant.key);
                    part(&shared, key, &entry, was_conditional).await
                }
                Kind::Response | Kind::VariantIndex => Some(entry),
            };
            if let Some(entry) = entry {
                keep::keep(shared, base, entry, variant).await;
            }
        }
    }
}

/// What is kept of a part, in view of what lies under its key by now; `None` where that is worth more, or the part does not fit what it
/// announces: then it went to its client as it came, and nowhere else. Nor is one kept by itself that was asked for with `If-Range`: it need not say what it is of
/// to who has that from before (RFC 9110 §15.3.7).
async fn part<St: Store>(shared: &Shared<St>, key: &CacheKey, entry: &Entry, was_conditional: bool) -> Option<Entry> {
    let part = parts::received(entry)?;
    let alone = |part| (!was_conditional).then_some(part);
    let known = shared.store.get(key).await.ok().flatten();
    let Some(known) = known.filter(|known| shared.markers.judge(known) == Verdict::Live) else { return alone(part) };
    let now = shared.clock.now();
    match known.head().kind {
        // The way to the variants of the whole.
        Kind::VariantIndex => None,
        Kind::Response if known.head().freshness.fresh_until > now => None,
        Kind::Response => alone(part),
        Kind::Partial => parts::combine(&known, &part, now, shared.store.body_bytes_max()).or_else(|| alone(part)),
    }
}
