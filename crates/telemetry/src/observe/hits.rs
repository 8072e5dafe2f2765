//! Plain hits that are answered before any layer: told of as the [layer](super::Observe) would, with as little work as that takes.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use edge_cache_core::{Freshness, Outcome, Served, TierName, Timestamp, TraceContext, route::Route};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header, request::Parts};

use super::span;
use crate::{
    Watch,
    access::{AccessLog, Noted},
    finished::{Agent, Finished},
    routes::{Counted, RouteMetrics},
    text::Text,
};

const PLAIN: Outcome = Outcome { served: Served::Hit, tier: Some(TierName::Memory) };

/// Whoever wants to know of plain hits. Clones share a count of references, which each hit moves: give every thread [its own](Self::apart).
#[derive(Clone, Debug)]
pub struct Hits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    watch: Arc<Watch>,
    /// By a route's place among the declared ones: to look a name up costs more than all that is counted of a hit.
    routes: Box<[OnceLock<Arc<RouteMetrics>>]>,
}

/// A plain hit, as it is about to be sent.
#[derive(Debug)]
pub struct Hit<'a> {
    /// The client's address, where the server told it.
    pub client: Option<IpAddr>,
    /// Its route, and the route's place among the declared ones.
    pub route: (&'a Route, usize),
    /// The stored answer's instants.
    pub freshness: &'a Freshness,
    /// Milliseconds that the origin was spared.
    pub fill_millis: u32,
    /// When its request came, as the cache's clock has it.
    pub now: Timestamp,
    /// The status that the client gets.
    pub status: StatusCode,
    /// Its `Cache-Status`.
    pub cache_status: &'a [u8],
}

/// A plain hit that is being sent. Dropped, it is counted.
#[derive(Debug)]
pub struct HitRecord {
    hits: Hits,
    began: Instant,
    /// By its place.
    route: usize,
    age: Duration,
    cost: Duration,
    body_bytes: u64,
    line: Option<Noted>,
    // Boxed and mostly absent: under load few hits are told of one by one.
    told: Option<Box<Told>>,
}

/// What is told of one hit to whoever looks at requests one by one.
#[derive(Debug)]
struct Told {
    context: TraceContext,
    is_kept: bool,
    at: Timestamp,
    client: Option<IpAddr>,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    version: Version,
    status: StatusCode,
    cache_status: Text,
}

impl Hits {
    pub(super) fn new(watch: Arc<Watch>, routes: usize) -> Self {
        Self(Arc::new(Inner { watch, routes: (0..routes).map(|_| OnceLock::new()).collect() }))
    }

    /// The same, with a count of references of its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::new(Arc::clone(&self.0.watch), self.0.routes.len())
    }

    /// The header that tells a client its request's name; `None` for none.
    #[must_use]
    pub fn id_header(&self) -> Option<&HeaderName> {
        self.0.watch.id_header.as_ref()
    }

    /// What is known of a request with these headers that came at `began`.
    #[must_use]
    pub fn context(&self, headers: &HeaderMap, began: Instant) -> TraceContext {
        self.0.watch.context(headers, began)
    }

    /// Begins to watch the answer to the request with these `parts`, of which it takes what it tells of.
    ///
    /// # Panics
    /// When the route's place is none of those that there are.
    #[must_use]
    pub fn begin(&self, context: TraceContext, hit: Hit<'_>, parts: &mut Parts) -> HitRecord {
        let watch = &self.0.watch;
        let Hit { client, route: (route, place), freshness, fill_millis, now: at, status, cache_status } = hit;
        let is_kept = context.sampled && watch.may_keep();
        if is_kept {
            let span = span::of(&context, &parts.method, &parts.uri);
            span.in_scope(|| span::answered(&span, status, PLAIN));
        }
        self.0.routes[place].get_or_init(|| watch.metrics.of_route(&route.name));
        watch.metrics.begins();
        // Whole seconds, as `Age` has it.
        let age = Duration::from_secs(freshness.age(at).as_secs());
        let line = watch.access.is_some().then(|| {
            AccessLog::note(&Finished {
                context: &context,
                is_kept,
                at,
                took: Duration::ZERO,
                client,
                method: &parts.method,
                uri: &parts.uri,
                host: parts.headers.get(header::HOST),
                version: parts.version,
                status,
                route: &route.name,
                outcome: PLAIN,
                age: Some(age),
                body_bytes: 0,
                cache_status: str::from_utf8(cache_status).unwrap_or("?"),
                trail: None,
                agent: Agent {
                    referer: parts.headers.get(header::REFERER),
                    user_agent: parts.headers.get(header::USER_AGENT),
                },
            })
        });
        let told = (is_kept || watch.requests.has_room_for_hit(at)).then(|| {
            Box::new(Told {
                context,
                is_kept,
                at,
                client,
                method: std::mem::take(&mut parts.method),
                uri: std::mem::take(&mut parts.uri),
                host: parts.headers.get(header::HOST).cloned(),
                version: parts.version,
                status,
                cache_status: Text::new(str::from_utf8(cache_status).unwrap_or("?")),
            })
        });
        HitRecord {
            hits: self.clone(),
            began: context.began,
            route: place,
            age,
            cost: Duration::from_millis(fill_millis.into()),
            body_bytes: 0,
            line,
            told,
        }
    }
}

impl HitRecord {
    /// So much of its body was handed to the connection.
    pub const fn sent(&mut self, bytes: usize) {
        self.body_bytes += bytes as u64;
    }
}

impl Drop for HitRecord {
    fn drop(&mut self) {
        let Inner { watch, routes } = &*self.hits.0;
        let took = tokio::time::Instant::now().into_std().saturating_duration_since(self.began);
        let Some(route) = routes[self.route].get() else { return };
        let counted = Counted {
            served: PLAIN.served,
            tier: PLAIN.tier,
            took,
            body_bytes: self.body_bytes,
            age: Some(self.age),
            saves: true,
            cost: self.cost,
        };
        watch.metrics.hit_ends(route, &counted);
        if let (Some(access), Some(line)) = (&watch.access, &self.line) {
            access.ended(line, took, self.body_bytes);
        }
        let Some(told) = &self.told else { return };
        watch.told(&Finished {
            context: &told.context,
            is_kept: told.is_kept,
            at: told.at,
            took,
            client: told.client,
            method: &told.method,
            uri: &told.uri,
            host: told.host.as_ref(),
            version: told.version,
            status: told.status,
            route: &route.name,
            outcome: PLAIN,
            age: counted.age,
            body_bytes: self.body_bytes,
            cache_status: told.cache_status.as_str(),
            trail: None,
            agent: Agent::default(),
        });
    }
}
