//! What is settled before any tier: the length of the target, one host, no circles, and who the client is.

use std::{
    convert::Infallible,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use edge_cache::{
    Arrival, Cached, CachedBody,
    core::{ClientAddress, Deadline, Priority},
    settings::LimitSettings,
    telemetry::{Metrics, Reading, catalogue},
    tier::Trusted,
};
use edge_cache_origin::upstream::{CDN_LOOP, FromClient, has_passed};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;
use http_body_util::{Either as EitherBody, Full};
use hyper::body::Incoming;
use sfv::{Dictionary, ListEntry, Parser};
use tokio::time::Instant;
use tower::Service;

use super::{
    hygiene,
    interim::{After, Interim},
};
use crate::body::ClientBody;

/// How urgent a request is to its client (RFC 9218).
const PRIORITY: HeaderName = HeaderName::from_static("priority");
/// The urgency of background work: nobody waits for it (RFC 9218 §4.1).
const BACKGROUND: i64 = 7;

/// What the front knows of the whole server.
#[derive(Debug)]
pub(super) struct House {
    /// What this cache calls itself in `CDN-Loop`; empty where it does not forward.
    pub(super) name: String,
    pub(super) refused: Refused,
    /// Clients whose directives count.
    pub(super) trusted: Vec<IpAddr>,
    pub(super) limits: LimitSettings,
}

/// Requests refused, by the status they got.
#[derive(Debug)]
pub(super) struct Refused(Arc<[AtomicU64; REFUSALS.len()]>);

/// What a refusal may say.
const REFUSALS: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::URI_TOO_LONG,
    StatusCode::EXPECTATION_FAILED,
    StatusCode::NOT_IMPLEMENTED,
    StatusCode::LOOP_DETECTED,
];

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

/// The outermost service of one connection.
#[derive(Debug)]
pub(super) struct Front<S> {
    /// One for all connections of a thread.
    pub(super) cached: Arc<Cached<S>>,
    pub(super) house: Arc<House>,
    pub(super) client: Option<IpAddr>,
    pub(super) trusted: bool,
    pub(super) interim: Arc<Interim>,
}

impl<S> Front<S> {
    /// Why a request is not served.
    fn refusal(&self, req: &Parts, no_body: bool) -> Option<(StatusCode, String)> {
        let target = req.uri.path_and_query().map_or(0, |target| target.as_str().len());
        let House { limits: LimitSettings { uri_bytes_max: max, .. }, name, .. } = &*self.house;
        if target > *max {
            let text = format!("the request target has {target} bytes, at most {max} are allowed\n");
            return Some((StatusCode::URI_TOO_LONG, text));
        }
        let hosts = req.headers.get_all(header::HOST).iter().count();
        if hosts > 1 || (hosts == 0 && req.version == Version::HTTP_11) {
            // Whoever reads them differently answers for another host (RFC 9112 §3.2).
            return Some((StatusCode::BAD_REQUEST, format!("{hosts} Host headers, one is needed\n")));
        }
        if let Some((status, text)) = hygiene::refusal(req, no_body) {
            return Some((status, text.to_owned()));
        }
        if req.headers.contains_key(CDN_LOOP) && has_passed(&req.headers, name) {
            // It would wait for its own answer (RFC 8586).
            return Some((StatusCode::LOOP_DETECTED, "this request has passed here before (CDN-Loop)\n".to_owned()));
        }
        None
    }

    /// Notes what the cache's layers, and the origin behind them, want to know of a request. Returns the number under which interim answers to it
    /// are sent.
    fn prepare(&self, req: &mut Parts, arrival: &Arrival) -> Option<u64> {
        let version = req.version;
        let known = &mut req.extensions;
        if arrival.trusted {
            known.insert(Trusted);
        }
        if !arrival.awaited {
            // Whoever says so can only lower what his own request is worth.
            known.insert(Priority::Warm);
        }
        known.insert(Deadline(arrival.at + self.house.limits.request_timeout));
        let address = arrival.client?;
        known.insert(ClientAddress(address));
        // A client of HTTP/1.0 takes no interim answers (RFC 9110 §15.2), and the server has no way to send them over HTTP/2.
        let number = (version == Version::HTTP_11).then(|| self.interim.begin());
        known.insert(match number {
            Some(number) => FromClient::with_interim(address, Arc::clone(&self.interim) as _, number),
            None => FromClient::new(address),
        });
        number
    }
}

type Answer<RB> = Response<EitherBody<CachedBody<RB>, Full<Bytes>>>;
type OfCache<S> = <Cached<S> as Service<Request<ClientBody>>>::Future;

impl<S, RB> hyper::service::Service<Request<Incoming>> for Front<S>
where
    Cached<S>: Service<Request<ClientBody>, Response = Response<CachedBody<RB>>, Error = Infallible> + Clone,
{
    type Response = Answer<RB>;
    type Error = Infallible;
    type Future = FrontFuture<OfCache<S>, RB>;

    fn call(&self, req: Request<Incoming>) -> Self::Future {
        let (mut parts, body) = req.into_parts();
        if let Some((status, text)) = self.refusal(&parts, body.is_end_stream()) {
            self.house.refused.count(status);
            return FrontFuture::AtOnce(Some(refusal(status, text)));
        }
        let arrival = Arrival {
            at: Instant::now().into_std(),
            client: self.client,
            trusted: self.trusted,
            awaited: !is_background(&parts.headers),
        };
        if let Some(hit) = self.cached.at_once(&mut parts, body.is_end_stream(), &arrival) {
            return FrontFuture::AtOnce(Some(hit.map(|body| EitherBody::Left(body.into()))));
        }
        let interim = self.prepare(&mut parts, &arrival).map(|number| (Arc::clone(&self.interim), number));
        let req = Request::from_parts(parts, ClientBody::from(body));
        // What has a state of its own is cloned: the service is every request's. Its layers are always ready to be called.
        let answer = Cached::clone(&self.cached).call(req);
        FrontFuture::Layers(Box::pin(After::new(answer, interim)))
    }
}

/// An answer that is there, or one from further in.
#[expect(clippy::large_enum_variant, reason = "a hit takes no memory of its own for this")]
pub(super) enum FrontFuture<F: Future, RB> {
    AtOnce(Option<Answer<RB>>),
    // Boxed: its room would be part of every hit.
    Layers(Pin<Box<After<F>>>),
}

impl<F, RB> Future for FrontFuture<F, RB>
where
    F: Future<Output = Result<Response<CachedBody<RB>>, Infallible>>,
{
    type Output = Result<Answer<RB>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::AtOnce(answer) => Poll::Ready(Ok(answer.take().expect("a future is not polled after it is ready"))),
            Self::Layers(answer) => {
                answer.as_mut().poll(cx).map(|answer| answer.map(|response| response.map(EitherBody::Left)))
            }
        }
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
