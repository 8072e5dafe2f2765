//! A fill: asks inward, decides whether the answer is stored, and brings it to the leader, the waiters and the store.
//!
//! Begins in its leader's task and goes on in one of its own when the leader has its answer, or leaves: neither the store nor the waiters depend on the
//! leader's client staying.

mod answer;
pub(super) mod keep;
mod landing;
mod leased;
mod reading;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use edge_cache_core::{
    BoxError, CacheKey, Entry, FillLease, Kind, NoStore, Priority, Store, Timestamp, Trail,
    marker::{Start, Verdict},
};
use edge_cache_policy::{conditional, range};
use http::{HeaderMap, Request, Response, header};
use http_body::Body;
use tokio::{sync::oneshot, time::Instant};
use tower::util::Oneshot;
use tower_service::Service;

use self::answer::{Asked, Next};
pub(super) use self::stream::content_length;
use super::{layer::Shared, parts, respond::Inner};
use crate::{
    Keyed, Refresh,
    flight::{Away, Landed, Lead},
    keyed::Within,
    shared_body::Reader,
};

/// A fill about to run.
pub(super) struct Fill<St, S, B> {
    pub(super) shared: Arc<Shared<St>>,
    pub(super) inner: S,
    pub(super) req: Request<B>,
    pub(super) keyed: Keyed,
    /// The request's headers as `Vary` compares them.
    pub(super) selecting: Arc<HeaderMap>,
    /// The key looked up: a variant's where the index was known.
    pub(super) key: CacheKey,
    /// The key under which those meet who want the same of it.
    pub(super) flight_key: CacheKey,
    /// What the tier holds: good for its validators.
    pub(super) held: Option<(Entry, Verdict)>,
    pub(super) purpose: Purpose,
    /// The flight; `None` for a request that asks only for itself.
    pub(super) lead: Option<Lead>,
    /// Of the request that leads it.
    pub(super) trail: Trail,
    /// The request itself wants nothing stored.
    pub(super) by_request: bool,
    /// The key is new, and its client has brought as many as it may.
    pub(super) one_too_many: bool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// The whole answer.
    Whole,
    /// The one range that the request names.
    Part,
    /// What this entry, a part from the first byte on, lacks.
    Rest(Entry),
}

/// What the leader gets.
pub(super) enum Outward<RB, E> {
    /// An answer that is being stored, and the leader's place in its body while that still grows.
    Landed(Arc<Landed>, Inner, Option<Reader>),
    /// An answer that is not, and why.
    Through(Response<RB>, NoStore),
    /// The origin's own failure, or that of who should have asked it.
    ServerError(Response<RB>, Away),
    /// No answer.
    Error(E),
}

type Sender<RB, E> = Option<oneshot::Sender<Outward<RB, E>>>;

/// Runs `fill`, which begins now. A leader that left is no reason to stop: the answer is stored all the same.
///
/// No `async` function, here and in what it calls: its future would have room for its arguments twice, and as many of them as there are requests under way lie
/// side by side in memory.
pub(super) fn run<St, S, B, RB>(
    fill: Fill<St, S, B>,
    to_leader: Sender<RB, S::Error>,
) -> impl Future<Output = ()> + use<St, S, B, RB>
where
    St: Store,
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    B: Default,
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    let Fill {
        shared,
        inner,
        mut req,
        keyed,
        selecting,
        key,
        flight_key,
        held,
        purpose,
        lead,
        trail,
        by_request,
        one_too_many,
    } = fill;
    // The fence comes before anything inward is called.
    let start = shared.markers.start();
    let began = Instant::now();
    let requested = shared.clock.at(began.into_std());
    let outer = req.extensions_mut().remove::<Within>();
    req.extensions_mut().insert(Within::new(shared.id(), outer));
    let priority = req.extensions().get::<Priority>().copied().unwrap_or_default();
    let is_background = priority >= Priority::Refresh;
    let mut pad = Pad {
        shared,
        keyed,
        key,
        flight_key,
        selecting,
        lead,
        trail,
        start,
        began,
        to_leader,
        held_further_in: false,
        lease: None,
        is_background,
        one_too_many,
    };

    // What nobody asked for may stand last in a queue: the other nodes do not wait for it.
    let shares = matches!(purpose, Purpose::Whole) && !by_request && priority < Priority::Warm;
    async move {
        if shares && pad.lead.is_some() && pad.shared.has_leases() {
            // Boxed: a tier of this process has none.
            match Box::pin(leased::lease(&pad, held.as_ref())).await {
                leased::Leased::Ours(lease) => {
                    pad.lease = lease;
                    // The origin is read from now on, and not from before the wait.
                    pad.start = pad.shared.markers.start();
                }
                // Another process has filled it meanwhile.
                leased::Leased::Filled(entry) => {
                    pad.note("another node filled it meanwhile");
                    return pad.found(entry);
                }
            }
        }
        // What was purged since it was looked up lends nothing any more, not even its validators.
        let held = held.map(|(entry, _)| entry).filter(|entry| pad.shared.markers.judge(entry) != Verdict::Gone);
        let mut purpose = match purpose {
            Purpose::Rest(part) if pad.shared.markers.judge(&part) != Verdict::Live => Purpose::Whole,
            purpose => purpose,
        };
        // Of what was purged nothing further in is known already: whatever is fresh there is newer.
        let is_live = held.as_ref().is_some_and(|entry| pad.shared.markers.judge(entry) == Verdict::Live);
        let beyond =
            held.as_ref().filter(|_| is_live).map_or(Timestamp::EPOCH, |entry| entry.head().freshness.fresh_until);
        let validating = prepare(&mut req, &purpose, held.as_ref(), (requested, beyond));
        pad.note(if validating { "asks further in whether it has changed" } else { "asks further in" });
        let again = matches!(purpose, Purpose::Rest(_)).then(|| Box::new((inner.clone(), whole_again(&req))));
        let mut response = match Oneshot::new(inner, req).await {
            Ok(response) => response,
            Err(error) => return pad.failed(Outward::Error(error), Away::Yes),
        };
        if let (Purpose::Rest(part), Some(again)) = (&purpose, again)
            && parts::is_useless(part, &response, pad.shared.clock.now())
        {
            // Another question, not the same one twice: the first was for a part only. Rare, so its room is no part of every fill.
            let (inner, req) = *again;
            purpose = Purpose::Whole;
            response = match Box::pin(Oneshot::new(inner, req)).await {
                Ok(response) => response,
                Err(error) => return pad.failed(Outward::Error(error), Away::Yes),
            };
        }
        // Boxed, where something is stored: what is passed on has no need of the room.
        match pad.judge(Asked { purpose, held, validating, requested, by_request }, response) {
            Next::Whole(entry, said) => Box::pin(pad.whole(entry, said)).await,
            Next::Body(head, body, said, shape) => Box::pin(pad.stream(head, body, said, shape)).await,
            Next::Confirmed(held, headers, said, why) => {
                Box::pin(pad.revalidated_only(held, headers, said, why)).await;
            }
            Next::Superseded(response, why) => Box::pin(pad.superseded(response, why)).await,
            Next::ServerError(response, away) => pad.failed(Outward::ServerError(response, away), away),
            Next::Through(response, why) => pad.through(response, why),
        }
    }
}

/// Makes the request ask for what the fill is for. Returns whether a 304 would confirm what is held.
fn prepare<B>(
    req: &mut Request<B>,
    purpose: &Purpose,
    held: Option<&Entry>,
    (now, beyond): (Timestamp, Timestamp),
) -> bool {
    let headers = req.headers_mut();
    match purpose {
        Purpose::Part => false,
        Purpose::Rest(part) => {
            let stored = part.head().headers.unpack();
            headers.remove(header::IF_RANGE);
            headers.insert(header::RANGE, range::rest_from(part.body().len() as u64));
            if let Some(validator) = range::strong_validator(&stored, now) {
                headers.insert(header::IF_RANGE, validator.clone());
            }
            false
        }
        Purpose::Whole => {
            headers.remove(header::RANGE);
            headers.remove(header::IF_RANGE);
            let Some(entry) = held.filter(|entry| entry.head().kind == Kind::Response) else { return false };
            let validating = conditional::validate(headers, &entry.head().headers);
            req.extensions_mut().insert(Refresh { beyond });
            validating
        }
    }
}

/// The question for the whole, should the one for the rest come to nothing.
fn whole_again<B: Default>(req: &Request<B>) -> Request<B> {
    let mut again = Request::new(B::default());
    *again.method_mut() = req.method().clone();
    *again.uri_mut() = req.uri().clone();
    *again.version_mut() = req.version();
    *again.headers_mut() = req.headers().clone();
    *again.extensions_mut() = req.extensions().clone();
    again.headers_mut().remove(header::RANGE);
    again.headers_mut().remove(header::IF_RANGE);
    again
}

/// Where a fill lands.
struct Pad<St, RB, E> {
    shared: Arc<Shared<St>>,
    keyed: Keyed,
    key: CacheKey,
    flight_key: CacheKey,
    selecting: Arc<HeaderMap>,
    lead: Option<Lead>,
    trail: Trail,
    start: Start,
    began: Instant,
    to_leader: Sender<RB, E>,
    /// An inner tier answered from an entry.
    held_further_in: bool,
    /// The right to be the only process that fills this key: given back when everything is stored.
    lease: Option<FillLease>,
    /// Nobody waits for it.
    is_background: bool,
    /// Its client may not bring the key.
    one_too_many: bool,
}

impl<St: Store, RB, E> Pad<St, RB, E> {
    fn note(&self, what: impl Into<std::borrow::Cow<'static, str>>) {
        self.trail.note(self.shared.store.name().as_str(), what);
    }

    fn note_later(&self, at: Instant, say: impl Fn() -> String + Send + Sync + 'static) {
        self.trail.note_later(at.into_std(), self.shared.store.name().as_str(), say);
    }
}
