//! The plain hit: fresh, not purged, and nothing to be asked of anybody. It is told apart here, by a tier in its place or by whoever stands
//! outside all layers and wants to answer before any of them.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use edge_cache_core::{CacheKey, Entry, Head, Kind, Store, Timestamp, marker::Verdict};
use edge_cache_policy::{
    Mode,
    conditional::Conditions,
    request::{Directives, Reuse, reuse},
};
use futures_util::FutureExt;
use http::{HeaderMap, Method, Response, header, request::Parts};

use super::{
    TierLayer, early,
    heads::{self, Stamps, Style},
    layer::Shared,
    respond::{self, Ask},
};
use crate::{Bypassed, Decision, Keyed, variants::VariantIndex};

/// What a tier holds for a request, looked up before the request came to it (request extension): it does not look again.
#[derive(Clone, Debug)]
pub struct LookedUp {
    tier: usize,
    pub(super) found: Option<Entry>,
    /// It is a fresh answer, and due for a refresh all the same: that is drawn by lot, once.
    pub(super) due: bool,
}

impl LookedUp {
    /// Whether it is of the tier `id`.
    pub(super) const fn is_of(&self, id: usize) -> bool {
        self.tier == id
    }
}

/// What a look into a tier found.
#[derive(Debug)]
pub enum AtOnce {
    /// The answer, what it was made of, and the key of that where it is one of several variants.
    Plain(Response<Bytes>, Entry, Option<CacheKey>),
    /// The request must go through the layers, with this added to its extensions.
    Not(LookedUp),
    /// The request must go through the layers.
    Never,
}

impl<St: Store> TierLayer<St> {
    /// Answers a request at once, where its answer is fresh and held by a store that need not be waited for. `came` is when the request did, just
    /// now; `stamps` are for an answer of this head, to a request with these headers, at this time.
    pub fn at_once(
        &self,
        decision: &Decision<'_>,
        parts: &mut Parts,
        came: Instant,
        style: &Arc<Style>,
        stamps: impl FnOnce(&Head, &HeaderMap, Timestamp) -> Stamps,
    ) -> AtOnce {
        let Some(shared) = self.shared() else { return AtOnce::Never };
        let inward = &parts.extensions;
        if inward.get::<Keyed>().is_some() || inward.get::<Bypassed>().is_some() {
            // A cache asks that stands around this one: it wants to hear what the layers hand up.
            return AtOnce::Never;
        }
        let Some(found) = shared.store.at_once(&decision.probe) else { return AtOnce::Never };
        let (tier, now) = (shared.id(), shared.clock.at(came));
        let Some(first) = found else { return AtOnce::Not(LookedUp { tier, found, due: false }) };
        let (entry, variant) = match first.head().kind {
            Kind::VariantIndex => match shared.variant_at_once(&first, decision, &parts.headers) {
                Some((entry, key)) => (entry, Some(key)),
                None => return AtOnce::Not(LookedUp { tier, found: Some(first), due: false }),
            },
            Kind::Response | Kind::Partial => (first.clone(), None),
        };
        let is_plain = shared.is_plain_hit(&entry, &decision.directives, now);
        let due = is_plain && shared.is_due(&entry, decision.mode, now);
        if !is_plain || due {
            return AtOnce::Not(LookedUp { tier, found: Some(first), due });
        }
        let stamps = stamps(entry.head(), &parts.headers, now);
        let response = match parts.method == Method::GET && (decision.is_bare || asks_for_all(parts)) {
            true => {
                let mut response = Response::new(entry.body().clone());
                *response.status_mut() = entry.head().status;
                *response.headers_mut() = heads::stamped(&entry, style, stamps);
                response
            }
            false => {
                let mut response = shaped(&entry, parts, now);
                heads::stamp(response.headers_mut(), style, stamps);
                response
            }
        };
        AtOnce::Plain(response, entry, variant)
    }
}

/// Whether the answer is what is stored, whatever that is.
fn asks_for_all(parts: &Parts) -> bool {
    let shaping = [header::RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
    !shaping.iter().any(|name| parts.headers.contains_key(name))
}

fn shaped(entry: &Entry, parts: &mut Parts, now: Timestamp) -> Response<Bytes> {
    let conditions = Conditions::take(&mut parts.headers);
    let head = parts.method == Method::HEAD;
    respond::ageless(entry, &Ask { head, conditions: &conditions, headers: &parts.headers, refresh: false }, now)
}

impl<St: Store> Shared<St> {
    /// The variant that a request selects, and its key.
    fn variant_at_once(
        &self,
        index: &Entry,
        decision: &Decision<'_>,
        headers: &HeaderMap,
    ) -> Option<(Entry, CacheKey)> {
        let index = VariantIndex::decode(index.body())?;
        let key = index.select(&decision.probe.to_key(), headers);
        if !index.holds(&key) {
            return None;
        }
        let found = self.store.get(&key).now_or_never()?.ok()??;
        Some((found, key))
    }

    /// Whether `entry` is a fresh answer to the request as it is. A copy in a shared store must be taken in before it can be judged.
    pub(super) fn is_plain_hit(&self, entry: &Entry, directives: &Directives, now: Timestamp) -> bool {
        let head = entry.head();
        !self.store.is_shared()
            && head.kind == Kind::Response
            && self.markers.judge(entry) == Verdict::Live
            && reuse(&head.freshness, directives, now) == (Reuse::Serve { stale: false })
    }

    /// Whether a fresh answer is to be asked for anew already: under the guarded policy, which adds that to the RFC.
    pub(super) fn is_due(&self, entry: &Entry, mode: Mode, now: Timestamp) -> bool {
        mode == Mode::Guarded && early::is_due(entry.head(), self.config.early_refresh, now, || self.rng.unit())
    }
}
