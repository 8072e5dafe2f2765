//! Plain hits, before any layer.

use std::sync::Arc;

use edge_cache_core::OwnRequest;
use edge_cache_memory::MemoryStore;
use edge_cache_telemetry::{Hit as Watched, Hits};
use edge_cache_tier::{AtOnce, Decided, Keying, Style, TierLayer};
use edge_cache_warmer::HotSet;
use http::{header, request::Parts};

use super::{Arrival, hit::Hit, said::Said};

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
        let style = Arc::new(Style::new(keying.expose_tags, id_header));
        Self(Arc::new(Inner { keying, memory, hot, hits, style }))
    }

    pub(super) fn apart(&self) -> Self {
        let Inner { keying, memory, hot, hits, .. } = Inner::clone(&self.0);
        Self::new(keying, memory, hot, hits.as_ref().map(Hits::apart))
    }

    pub(super) fn answer(&self, parts: &mut Parts, no_body: bool, arrival: &Arrival) -> Option<Hit<'_>> {
        let Inner { keying, memory, hot, hits, style } = &*self.0;
        if memory.store().is_none() || parts.extensions.get::<OwnRequest>().is_some() {
            // What this process asks of itself looks at what the layers say.
            return None;
        }
        let decision = match keying.decide(parts, no_body, arrival.trusted || keying.trusts(&parts.extensions)) {
            Ok(decision) => decision,
            Err(why) => {
                parts.extensions.insert(Decided::new(keying, Err(why)));
                return None;
            }
        };
        let plain = match memory.at_once(&decision, parts, arrival.at) {
            AtOnce::Plain(plain) => plain,
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
        let head = plain.entry().head();
        let context = hits.as_ref().map(|hits| hits.context(&parts.headers, arrival.at));
        let id = context.filter(|_| style.names_requests()).map(|context| context.id);
        let said = Said::of(head, plain.now(), id);
        // With credentials that count another answer may be meant than whoever warms would get.
        let counts = arrival.awaited && !parts.headers.contains_key(header::AUTHORIZATION);
        if let Some(hot) = hot.as_ref().filter(|_| counts && head.status.is_success()) {
            match plain.variant() {
                Some(key) => hot.record(key, head),
                None => hot.record_by(decision.probe().digest(), || decision.probe().to_key(), head),
            }
        }
        let record = hits.as_ref().zip(context).map(|(hits, context)| {
            let watched = Watched {
                client: arrival.client,
                route: decision.route(),
                freshness: &head.freshness,
                fill_millis: head.fill_millis,
                now: plain.now(),
                status: plain.status(),
                cache_status: said.cache_status(),
            };
            hits.begin(context, watched, parts)
        });
        Some(Hit { plain, said, style, record })
    }
}
