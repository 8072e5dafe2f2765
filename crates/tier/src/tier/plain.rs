//! The plain hit: fresh, not purged, and nothing to be asked of anybody. It is told apart here, by a tier in its place or by whoever stands
//! outside all layers and wants to answer before any of them.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use edge_cache_core::{CacheKey, Entry, Kind, Store, Timestamp, marker::Verdict};
use edge_cache_policy::{
    Mode,
    conditional::Conditions,
    request::{Directives, Reuse, reuse},
};
use futures_util::FutureExt;
use http::{HeaderMap, Method, Response, StatusCode, header, request::Parts};

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
    /// What answers the request.
    Plain(PlainHit),
    /// The request must go through the layers, with this added to its extensions.
    Not(LookedUp),
    /// The request must go through the layers.
    Never,
}

/// What answers a request at once, before it is made an answer.
#[derive(Debug)]
pub struct PlainHit {
    entry: Entry,
    /// Its key, where it is one of several variants.
    variant: Option<CacheKey>,
    now: Timestamp,
    /// Where the answer is not simply what is stored. Boxed: its room would be part of every hit.
    shaped: Option<Box<Response<Bytes>>>,
}

impl PlainHit {
    /// What is stored.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The key of what is stored, where it is one of several variants.
    #[must_use]
    pub const fn variant(&self) -> Option<&CacheKey> {
        self.variant.as_ref()
    }

    /// When its request came, as the cache's clock has it.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The status that the client gets.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.shaped.as_ref().map_or_else(|| self.entry.head().status, |shaped| shaped.status())
    }

    /// The answer to the client.
    #[must_use]
    pub fn into_response(self, style: &Arc<Style>, stamps: Stamps) -> Response<Bytes> {
        match self.shaped {
            None => {
                let mut response = Response::new(self.entry.body().clone());
                *response.status_mut() = self.entry.head().status;
                *response.headers_mut() = heads::stamped(&self.entry, style, stamps);
                response
            }
            Some(mut response) => {
                heads::stamp(response.headers_mut(), style, stamps);
                *response
            }
        }
    }

    /// Whether the client gets all that is stored, as a head and the body that follows it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let status = self.entry.head().status;
        let has_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
        self.shaped.is_none() && has_body && !status.is_informational()
    }

    /// Writes the head of the answer to a client of HTTP/1.1, of which the stored body is all that is to follow. Only where it [is whole](Self::is_whole).
    pub fn write_head(&self, style: &Style, stamps: Stamps<&[u8]>, out: &mut Vec<u8>) {
        debug_assert!(self.is_whole(), "another answer was made");
        heads::write(&self.entry, style, &stamps, self.now, out);
    }
}

impl<St: Store> TierLayer<St> {
    /// Finds what answers a request at once, where that is fresh and held by a store that need not be waited for. `came` is when the request did, just now.
    pub fn at_once(&self, decision: &Decision<'_>, parts: &mut Parts, came: Instant) -> AtOnce {
        let Some(shared) = self.shared() else { return AtOnce::Never };
        let inward = &parts.extensions;
        if inward.get::<Keyed>().is_some() || inward.get::<Bypassed>().is_some() {
            // A cache asks that stands around this one: it wants to hear what the layers hand up.
            return AtOnce::Never;
        }
        let Some(found) = shared.store.at_once(&decision.probe) else { return AtOnce::Never };
        let (tier, now) = (shared.id(), shared.clock.at(came));
        let Some(first) = found else { return AtOnce::Not(LookedUp { tier, found, due: false }) };
        let variant = match first.head().kind {
            Kind::VariantIndex => match shared.variant_at_once(&first, decision, &parts.headers) {
                Some(variant) => Some(variant),
                None => return AtOnce::Not(LookedUp { tier, found: Some(first), due: false }),
            },
            Kind::Response | Kind::Partial => None,
        };
        let entry = variant.as_ref().map_or(&first, |(entry, _)| entry);
        let is_plain = shared.is_plain_hit(entry, &decision.directives, now);
        let due = is_plain && shared.is_due(entry, decision.mode, now);
        if !is_plain || due {
            return AtOnce::Not(LookedUp { tier, found: Some(first), due });
        }
        let (entry, variant) = match variant {
            Some((entry, key)) => (entry, Some(key)),
            None => (first, None),
        };
        let as_stored = parts.method == Method::GET && (decision.is_bare || asks_for_all(parts));
        let shaped = (!as_stored).then(|| Box::new(shaped(&entry, parts, now)));
        AtOnce::Plain(PlainHit { entry, variant, now, shaped })
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
    respond::ageless(
        entry,
        entry.head().headers.unpack(),
        &Ask { head, conditions: &conditions, headers: &parts.headers, refresh: false },
        now,
    )
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
