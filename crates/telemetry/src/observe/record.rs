//! What is known of a request as it is answered.

use std::{net::IpAddr, sync::Arc, time::Duration};

use edge_cache_core::{ClientAddress, Handoff, Outcome, Served, Timestamp, TraceContext, Trail, route::Matched};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use tokio::time::Instant;

use crate::{
    Watch,
    finished::{Agent, CacheStatus, Finished},
    routes::{Counted, RouteIndex},
};

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Asked {
    watch: InFlight,
    context: TraceContext,
    began: Instant,
    at: Timestamp,
    client: Option<IpAddr>,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    version: Version,
    agent: Option<Agent>,
}

/// One of the requests in flight, and whoever looks at it.
#[derive(Debug)]
struct InFlight(Arc<Watch>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics.ends();
    }
}

impl Asked {
    pub(super) fn new<B>(watch: Arc<Watch>, context: TraceContext, req: &Request<B>) -> Self {
        let header = |name| req.headers().get(name).cloned();
        let agent = watch
            .access
            .is_some()
            .then(|| Agent { referer: header(header::REFERER), user_agent: header(header::USER_AGENT) });
        watch.metrics.begins();
        Self {
            context,
            began: context.began.into(),
            at: Watch::wall(context.began),
            client: req.extensions().get::<ClientAddress>().map(|client| client.0),
            method: req.method().clone(),
            uri: req.uri().clone(),
            host: header(header::HOST),
            version: req.version(),
            agent,
            watch: InFlight(watch),
        }
    }

    /// What the head of its answer says.
    pub(super) fn answered<B>(self, response: &mut Response<B>) -> Record {
        let extensions = response.extensions();
        let route = match extensions.get::<Matched>() {
            Some(matched) => self.watch.0.metrics.route(&matched.0.name),
            None => RouteIndex::OTHER,
        };
        let said = extensions.get::<Outcome>().copied();
        // A server error is an error whoever made it, unless a tier served it as an answer of its own.
        let outcome = match said {
            Some(outcome) if outcome.tier.is_some() => outcome,
            _ if response.status().is_server_error() => ERROR,
            Some(outcome) => outcome,
            None => Outcome { served: Served::Bypass, tier: None },
        };
        let head = extensions.get::<Handoff>().map(|handoff| &handoff.head);
        let cost = head.map_or(Duration::ZERO, |head| Duration::from_millis(head.fill_millis.into()));
        let trail = extensions.get::<Trail>().cloned();
        let age = outcome.tier.and_then(|_| response.headers().get(header::AGE));
        let age = age.and_then(|age| age.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let cache_status = CacheStatus::of(response.headers());
        let status = response.status();
        if let Some(name) = &self.watch.0.id_header {
            let digits = self.context.id.digits();
            let value = HeaderValue::from_bytes(&digits).expect("hexadecimal digits make a header value");
            response.headers_mut().insert(name.clone(), value);
        }
        Record { asked: self, route, outcome, cost, trail, age, cache_status, status, body_bytes: 0 }
    }

    /// There is no answer.
    pub(super) fn failed(self) {
        let record = Record {
            asked: self,
            route: RouteIndex::OTHER,
            outcome: ERROR,
            cost: Duration::ZERO,
            trail: None,
            age: None,
            cache_status: CacheStatus::default(),
            status: StatusCode::BAD_GATEWAY,
            body_bytes: 0,
        };
        record.done();
    }
}

const ERROR: Outcome = Outcome { served: Served::Error, tier: None };

/// A request whose answer is on its way.
#[derive(Debug)]
pub(super) struct Record {
    asked: Asked,
    route: RouteIndex,
    pub(super) outcome: Outcome,
    cost: Duration,
    trail: Option<Trail>,
    age: Option<Duration>,
    cache_status: CacheStatus,
    status: StatusCode,
    body_bytes: u64,
}

impl Record {
    pub(super) fn sent(&mut self, bytes: usize) {
        self.body_bytes += bytes as u64;
    }

    /// The body broke off: that is no answer, however fast it broke.
    pub(super) fn broke_off(&mut self) {
        self.outcome = ERROR;
    }

    /// The last byte is out, or the client gone.
    pub(super) fn done(self) {
        let Self { asked, route, outcome, cost, trail, age, cache_status, status, body_bytes } = self;
        let Asked { watch, context, began, at, client, method, uri, host, version, agent } = asked;
        let watch_of = &watch.0;
        let took = began.elapsed();
        let counted = Counted { served: outcome.served, tier: outcome.tier, took, body_bytes, age, cost };
        watch_of.metrics.count(route, &counted);
        watch_of.metrics.named(route, |route| {
            let finished = Finished {
                context,
                at,
                took,
                client,
                method,
                uri,
                host,
                version,
                status,
                route,
                outcome,
                age,
                body_bytes,
                cache_status,
                trail,
                agent,
            };
            watch_of.finished(&finished);
        });
    }
}
