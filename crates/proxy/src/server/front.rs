//! What is settled before any tier: the length of the target, one host, no circles, and who the client is.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use edge_cache::{core::Deadline, tier::Trusted};
use edge_cache_origin::upstream::{CDN_LOOP, FromClient, has_passed};
use futures_util::future::{Either, FutureExt, Map};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::{Either as EitherBody, Full};
use tokio::time::Instant;
use tower::Service;

use super::interim::{After, Interim};

/// What the front knows of the whole server.
#[derive(Debug)]
pub(super) struct House {
    pub(super) uri_bytes_max: usize,
    /// When an answer is of no use any more.
    pub(super) request_timeout: Duration,
    /// What this cache calls itself in `CDN-Loop`; empty where it does not forward.
    pub(super) name: String,
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
            return Either::Left(ready(Ok(refusal(status, text))));
        }
        if self.visit.trusted {
            req.extensions_mut().insert(Trusted);
        }
        let deadline = Instant::now() + self.visit.house.request_timeout;
        req.extensions_mut().insert(Deadline(deadline.into_std()));
        let mut interim = None;
        if let Some(address) = self.visit.client {
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

fn refusal<RB>(status: StatusCode, text: String) -> Response<EitherBody<RB, Full<Bytes>>> {
    let mut response = Response::new(EitherBody::Right(Full::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
