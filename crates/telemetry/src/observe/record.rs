//! What is known of a request, from its coming to its last byte.

use std::{net::IpAddr, sync::Arc, time::Duration};

use edge_cache_core::{
    AskedBehind, ClientAddress, Clock, Handoff, Outcome, Served, SystemClock, Timestamp, TraceContext, Trail,
    route::Matched,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header};
use tokio::time::Instant;

use crate::{
    Watch,
    finished::{Agent, CLIENT_CLOSED_REQUEST, Finished},
    routes::{Counted, RouteIndex},
    text::Text,
};

/// A request that is being answered. Dropped, it is counted: when the last byte is out, or the connection gives it up.
#[derive(Debug)]
pub(super) struct Record {
    watch: Arc<Watch>,
    context: TraceContext,
    trail: Trail,
    /// Whether its span is wanted.
    is_kept: bool,
    at: Timestamp,
    client: Option<IpAddr>,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    version: Version,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    answer: Option<Answered>,
}

/// What the head of the answer said, and how much of its body went out.
#[derive(Debug)]
struct Answered {
    route: RouteIndex,
    outcome: Outcome,
    saves: bool,
    cost: Duration,
    age: Option<Duration>,
    cache_status: Text,
    status: StatusCode,
    body_bytes: u64,
}

const ERROR: Outcome = Outcome { served: Served::Error, tier: None };

impl Record {
    pub(super) fn new<B>(
        watch: Arc<Watch>,
        (context, trail): (TraceContext, Trail),
        is_kept: bool,
        req: &Request<B>,
    ) -> Box<Self> {
        let header = |name| req.headers().get(name).cloned();
        // Whoever does not write it down need not know.
        let told = |name| watch.access.is_some().then(|| header(name)).flatten();
        watch.metrics.begins();
        // Small, wherever the answer's body is moved to.
        Box::new(Self {
            context,
            trail,
            is_kept,
            at: SystemClock.at(context.began),
            client: req.extensions().get::<ClientAddress>().map(|client| client.0),
            method: req.method().clone(),
            uri: req.uri().clone(),
            host: header(header::HOST),
            version: req.version(),
            referer: told(header::REFERER),
            user_agent: told(header::USER_AGENT),
            answer: None,
            watch,
        })
    }

    /// Takes what the head of its answer says.
    pub(super) fn answered<B>(&mut self, response: &mut Response<B>) -> Outcome {
        let watch = &self.watch;
        let extensions = response.extensions();
        let route = match extensions.get::<Matched>() {
            Some(matched) => watch.metrics.route(&matched.0.name),
            None => RouteIndex::OTHER,
        };
        let said = extensions.get::<Outcome>().copied();
        // A server error is an error whoever made it, unless a tier served it as an answer of its own. A 501 is none: it says something of the request.
        let outcome = match said {
            Some(outcome) if outcome.tier.is_some() => outcome,
            _ if response.status().is_server_error() && response.status() != StatusCode::NOT_IMPLEMENTED => ERROR,
            Some(outcome) => outcome,
            None => Outcome { served: Served::Bypass, tier: None },
        };
        let is_stored = matches!(outcome.served, Served::Hit | Served::Stale | Served::Coalesced);
        let saves = is_stored && extensions.get::<AskedBehind>().is_none();
        let head = extensions.get::<Handoff>().map(Handoff::head);
        // Whole seconds, as `Age` has it.
        let age = outcome.tier.and(head).map(|head| Duration::from_secs(head.freshness.age(self.at).as_secs()));
        let cost = head.map_or(Duration::ZERO, |head| Duration::from_millis(head.fill_millis.into()));
        let cache_status = cache_status(response.headers());
        let status = response.status();
        if let Some(name) = &watch.id_header {
            let digits = self.context.id.digits();
            let value = HeaderValue::from_bytes(&digits).expect("hexadecimal digits make a header value");
            response.headers_mut().insert(name.clone(), value);
        }
        self.answer = Some(Answered { route, outcome, saves, cost, age, cache_status, status, body_bytes: 0 });
        outcome
    }

    /// The service has no answer.
    pub(super) fn failed(mut self: Box<Self>) {
        self.answer = Some(Answered { outcome: ERROR, ..Answered::none(StatusCode::BAD_GATEWAY) });
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        if let Some(answer) = &mut self.answer {
            answer.body_bytes += bytes as u64;
        }
    }

    /// The body broke off: that is no answer, however fast it broke.
    pub(super) fn broke_off(&mut self) {
        if let Some(answer) = &mut self.answer {
            answer.outcome = ERROR;
            answer.saves = false;
        }
    }
}

impl Answered {
    fn none(status: StatusCode) -> Self {
        Self {
            route: RouteIndex::OTHER,
            outcome: ERROR,
            saves: false,
            cost: Duration::ZERO,
            age: None,
            cache_status: Text::default(),
            status,
            body_bytes: 0,
        }
    }
}

/// The lines of an answer's `Cache-Status`, joined.
fn cache_status(headers: &HeaderMap) -> Text {
    let mut all = Text::default();
    for (at, line) in headers.get_all(edge_cache_core::headers::CACHE_STATUS).iter().enumerate() {
        let line = line.to_str().unwrap_or("?");
        if at == 0 { all = Text::new(line) } else { all.append(line) }
    }
    all
}

impl Drop for Record {
    fn drop(&mut self) {
        let watch = &self.watch;
        let took = Instant::from_std(self.context.began).elapsed();
        watch.metrics.ends();
        let answer = match self.answer.take() {
            Some(answer) => {
                let Answered { outcome, saves, cost, age, body_bytes, .. } = answer;
                let (served, tier) = (outcome.served, outcome.tier);
                watch.metrics.count(answer.route, &Counted { served, tier, took, body_bytes, age, saves, cost });
                answer
            }
            None => {
                watch.metrics.abandoned();
                Answered::none(StatusCode::from_u16(CLIENT_CLOSED_REQUEST).expect("three digits make a status"))
            }
        };
        watch.metrics.named(answer.route, |route| {
            watch.finished(&Finished {
                context: &self.context,
                is_kept: self.is_kept,
                at: self.at,
                took,
                client: self.client,
                method: &self.method,
                uri: &self.uri,
                host: self.host.as_ref(),
                version: self.version,
                status: answer.status,
                route,
                outcome: answer.outcome,
                age: answer.age,
                body_bytes: answer.body_bytes,
                cache_status: answer.cache_status.as_str(),
                trail: Some(&self.trail).filter(|trail| !trail.is_empty()),
                agent: Agent { referer: self.referer.as_ref(), user_agent: self.user_agent.as_ref() },
            });
        });
    }
}
