//! What is settled before any tier: the length of the target, one host, no circles, and who the client is.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use edge_cache::{
    core::{ClientAddress, Deadline, Priority},
    telemetry::{Metrics, Reading, catalogue},
    tier::Trusted,
};
use edge_cache_origin::upstream::{CDN_LOOP, FromClient, has_passed};
use futures_util::future::{Either, FutureExt, Map};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::{Either as EitherBody, Full};
use sfv::{Dictionary, ListEntry, Parser};
use tokio::time::Instant;
use tower::Service;

use super::interim::{After, Interim};

/// How urgent a request is to its client (RFC 9218).
const PRIORITY: HeaderName = HeaderName::from_static("priority");
/// The urgency of background work: nobody waits for it (RFC 9218 §4.1).
const BACKGROUND: i64 = 7;

/// What the front knows of the whole server.
#[derive(Debug)]
pub(super) struct House {
    pub(super) uri_bytes_max: usize,
    /// When an answer is of no use any more.
    pub(super) request_timeout: Duration,
    /// What this cache calls itself in `CDN-Loop`; empty where it does not forward.
    pub(super) name: String,
    pub(super) refused: Refused,
}

/// Requests refused, by the status they got.
#[derive(Debug)]
pub(super) struct Refused(Arc<[AtomicU64; REFUSALS.len()]>);

/// What a refusal may say.
const REFUSALS: [StatusCode; 3] = [StatusCode::BAD_REQUEST, StatusCode::URI_TOO_LONG, StatusCode::LOOP_DETECTED];

impl Refused {
    /// A count that the metrics show.
    pub(super) fn watched(metrics: &Metrics) -> Self {
        let counts = Arc::<[AtomicU64; REFUSALS.len()]>::default();
        for (at, status) in REFUSALS.iter().enumerate() {
            let counts = Arc::clone(&counts);
            let count = Reading::counter(&catalogue::REQUESTS_REFUSED, move || counts[at].load(Ordering::Relaxed));
            metrics.read_at_scrape(count.labelled(status.as_str().to_owned()));
        }
        Self(counts)
    }

    fn count(&self, status: StatusCode) {
        if let Some(at) = REFUSALS.iter().position(|known| *known == status) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What the front knows of its connection.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) house: Arc<House>,
    pub(super) client: Option<IpAddr>,
    pub(super) trusted: bool,
    pub(super) interim: Arc<Interim>,
}

/// The outermost service of one connection.
#[derive(Clone, Debug)]
pub(super) struct Front<S> {
    inner: S,
    // One for the connection: the server clones this service for each request.
    visit: Arc<Visit>,
}

impl<S> Front<S> {
    pub(super) const fn new(inner: S, visit: Arc<Visit>) -> Self {
        Self { inner, visit }
    }

    /// Why a request is not served.
    fn refusal<B>(&self, req: &Request<B>) -> Option<(StatusCode, String)> {
        let target = req.uri().path_and_query().map_or(0, |target| target.as_str().len());
        let House { uri_bytes_max: max, name, .. } = &*self.visit.house;
        if target > *max {
            let text = format!("the request target has {target} bytes, at most {max} are allowed\n");
            return Some((StatusCode::URI_TOO_LONG, text));
        }
        let hosts = req.headers().get_all(header::HOST).iter().count();
        if hosts > 1 || (hosts == 0 && req.version() == Version::HTTP_11) {
            // Whoever reads them differently answers for another host (RFC 9112 §3.2).
            return Some((StatusCode::BAD_REQUEST, format!("{hosts} Host headers, one is needed\n")));
        }
        if req.headers().contains_key(CDN_LOOP) && has_passed(req.headers(), name) {
            // It would wait for its own answer (RFC 8586).
            return Some((StatusCode::LOOP_DETECTED, "this request has passed here before (CDN-Loop)\n".to_owned()));
        }
        None
    }
}

type Answer<RB> = Result<Response<EitherBody<RB, Full<Bytes>>>, Infallible>;
type Inward<RB> = fn(Result<Response<RB>, Infallible>) -> Answer<RB>;

impl<S, B, RB> Service<Request<B>> for Front<S>
where
    S: Service<Request<B>, Response = Response<RB>, Error = Infallible>,
{
    type Response = Response<EitherBody<RB, Full<Bytes>>>;
    type Error = Infallible;
    type Future = Either<Ready<Answer<RB>>, Map<After<S::Future>, Inward<RB>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        if let Some((status, text)) = self.refusal(&req) {
            self.visit.house.refused.count(status);
            return Either::Left(ready(Ok(refusal(status, text))));
        }
        if self.visit.trusted {
            req.extensions_mut().insert(Trusted);
        }
        if is_background(req.headers()) {
            // Whoever says so can only lower what his own request is worth.
            req.extensions_mut().insert(Priority::Warm);
        }
        let deadline = Instant::now() + self.visit.house.request_timeout;
        req.extensions_mut().insert(Deadline(deadline.into_std()));
        let mut interim = None;
        if let Some(address) = self.visit.client {
            req.extensions_mut().insert(ClientAddress(address));
            // A client of HTTP/1.0 takes no interim answers (RFC 9110 §15.2), and the server has no way to send them over HTTP/2.
            let client = if req.version() == Version::HTTP_11 {
                let sink = &self.visit.interim;
                let request = sink.begin();
                interim = Some((Arc::clone(sink), request));
                FromClient::with_interim(address, Arc::clone(sink) as _, request)
            } else {
                FromClient::new(address)
            };
            req.extensions_mut().insert(client);
        }
        let inward: Inward<RB> = |answer| answer.map(|response| response.map(EitherBody::Left));
        Either::Right(After::new(self.inner.call(req), interim).map(inward))
    }
}

/// Whether the client says that nobody waits. A field that does not parse says nothing (RFC 9218 §4).
fn is_background(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(PRIORITY).iter();
    let Some(first) = lines.next() else { return false };
    let mut joined = first.as_bytes().to_vec();
    for line in lines {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    let Ok(members) = Parser::new(&joined).parse::<Dictionary>() else { return false };
    let Some(ListEntry::Item(urgency)) = members.get("u") else { return false };
    urgency.bare_item.as_integer().map(i64::from) == Some(BACKGROUND)
}

fn refusal<RB>(status: StatusCode, text: String) -> Response<EitherBody<RB, Full<Bytes>>> {
    let mut response = Response::new(EitherBody::Right(Full::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_least_urgency_is_background() {
        let background = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PRIORITY, HeaderValue::from_static(line));
            }
            is_background(&headers)
        };
        for lines in [&["u=7"][..], &["u=7, i"], &["i, u=7;x"], &["i", "u=7"], &["u=1", "u=7"]] {
            assert!(background(lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &["u=3"],
            &["u=0"],
            &["u"],
            &["u=8"],
            &["u=70"],
            &["u=7.0"],
            &["u=\"7\""],
            &["u=(7)"],
            &["U=7"],
            &["u=7,"],
            &["u=7 x"],
            &["urgency=7"],
        ] {
            assert!(!background(lines), "{lines:?}");
        }
    }
}
