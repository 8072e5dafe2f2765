//! Plain hits, before any layer.

use std::sync::Arc;

use edge_cache_core::{Head, OwnRequest};
use edge_cache_memory::MemoryStore;
use edge_cache_telemetry::{Hit, Hits};
use edge_cache_tier::{AtOnce, Decided, Keying, Style, TierLayer};
use edge_cache_warmer::HotSet;
use http::{HeaderMap, Response, header, request::Parts};

use super::{Arrival, HitBody, said::Said};

/// What answers plain hits. Clones share a count of references.
#[derive(Clone, Debug)]
pub(crate) struct Fast(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    keying: Keying,
    memory: TierLayer<MemoryStore>,
    hot: Option<HotSet>,
    hits: Option<Hits>,
    style: Arc<Style>,
}

/// Whether a request was looked at before, and the layers are all that is left for it.
pub(super) fn was_asked(parts: &Parts) -> bool {
    parts.extensions.get::<Decided>().is_some()
}

impl Fast {
    pub(crate) fn new(keying: Keying, memory: TierLayer<MemoryStore>, hot: Option<HotSet>, hits: Option<Hits>) -> Self {
        let id_header = hits.as_ref().and_then(Hits::id_header).cloned();
        let style = Arc::new(Style { expose_tags: keying.expose_tags, id_header });
        Self(Arc::new(Inner { keying, memory, hot, hits, style }))
    }

    pub(super) fn apart(&self) -> Self {
        let Inner { keying, memory, hot, hits, .. } = Inner::clone(&self.0);
        Self::new(keying, memory, hot, hits.as_ref().map(Hits::apart))
    }

    pub(super) fn answer(&self, parts: &mut Parts, no_body: bool, arrival: &Arrival) -> Option<Response<HitBody>> {
        let Inner { keying, memory, hot, hits, style } = &*self.0;
        if memory.store().is_none() || parts.extensions.get::<OwnRequest>().is_some() {
            // What this process asks of itself looks at what the layers say.
            return None;
        }
        let decision = match keying.decide(parts, no_body, arrival.trusted) {
            Ok(decision) => decision,
            Err(why) => {
                parts.extensions.insert(Decided::new(keying, Err(why)));
                return None;
            }
        };
        let mut told = None;
        let stamps = |head: &Head, asked: &HeaderMap, now| {
            let context = hits.as_ref().map(|hits| hits.context(asked, arrival.at));
            let id = context.filter(|_| style.id_header.is_some()).map(|context| context.id);
            let said = Said::of(head, now, id);
            told = context.map(|context| (context, now, said));
            said.stamps()
        };
        let (response, entry, variant) = match memory.at_once(&decision, parts, arrival.at, style, stamps) {
            AtOnce::Plain(response, entry, variant) => (response, entry, variant),
            AtOnce::Not(looked_up) => {
                parts.extensions.insert(Decided::new(keying, Ok(decision)));
                parts.extensions.insert(looked_up);
                return None;
            }
            AtOnce::Never => {
                parts.extensions.insert(Decided::new(keying, Ok(decision)));
                return None;
            }
        };
        let head = entry.head();
        // With credentials that count another answer may be meant than whoever warms would get.
        let counts = arrival.awaited && !parts.headers.contains_key(header::AUTHORIZATION);
        if let Some(hot) = hot.as_ref().filter(|_| counts && head.status.is_success()) {
            match &variant {
                Some(key) => hot.record(key, head),
                None => hot.record_by(decision.probe().digest(), || decision.probe().to_key(), head),
            }
        }
        let record = hits.as_ref().zip(told).map(|(hits, (context, now, said))| {
            let hit = Hit {
                client: arrival.client,
                route: decision.route(),
                freshness: &head.freshness,
                fill_millis: head.fill_millis,
                now,
                status: response.status(),
                cache_status: said.cache_status(),
            };
            hits.begin(context, hit, parts)
        });
        Some(response.map(|body| HitBody::new(body, record)))
    }
}
