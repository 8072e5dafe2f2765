//! Compression between the tiers and the handler: the compressed copy is what the tiers keep, so a hit compresses nothing.
//!
//! Only answers to requests without credentials are compressed, and of these none that is `private`, `no-store` or sets a cookie. What
//! depends on who asks is left to its handler: text that mixes a secret with what an attacker chose must not be compressed without
//! care (BREACH).

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use edge_cache_core::BoxError;
use edge_cache_policy::coding::{self, Coding};
use edge_cache_tier::Keyed;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Either;
use pin_project_lite::pin_project;
use tower::util::MapResponse;
use tower_http::compression::{Compression, CompressionBody, Predicate};
use tower_layer::Layer;
use tower_service::Service;

/// Compresses what gains by it; see the [module docs](self).
#[derive(Clone, Debug)]
pub struct CompressLayer {
    codings: Arc<[Coding]>,
    bytes_min: u64,
}

impl CompressLayer {
    /// Compresses answers of at least `bytes_min` bytes by the one of `codings` that the request asks for. Without codings it does nothing.
    #[must_use]
    pub fn new(codings: Arc<[Coding]>, bytes_min: u64) -> Self {
        Self { codings, bytes_min }
    }
}

impl<S> Layer<S> for CompressLayer {
    type Service = Compress<S>;

    fn layer(&self, inner: S) -> Compress<S> {
        Compress { inner, codings: Arc::clone(&self.codings), bytes_min: self.bytes_min }
    }
}

/// Service made by [`CompressLayer`].
#[derive(Clone, Debug)]
pub struct Compress<S> {
    inner: S,
    codings: Arc<[Coding]>,
    bytes_min: u64,
}

/// Marks an answer that came without a coding (response extension): a coding that it has later is ours.
#[derive(Clone, Copy, Debug)]
struct Uncoded;

/// Boxed: an encoder's state is large, and every answer, hits too, is moved about in a type that has room for it.
pub type Boxed<RB> = Pin<Box<CompressionBody<RB>>>;

type Mark<RB> = fn(Response<RB>) -> Response<RB>;
type Marking<S, RB> = Compression<MapResponse<S, Mark<RB>>, Gains>;

fn mark<RB>(mut response: Response<RB>) -> Response<RB> {
    if !response.headers().contains_key(header::CONTENT_ENCODING) {
        response.extensions_mut().insert(Uncoded);
    }
    response
}

/// The predicate: whether an answer gains by compression, given the shortest body in bytes that does.
#[derive(Clone, Copy, Debug)]
pub struct Gains(u64);

impl Predicate for Gains {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let exact = response.body().size_hint().exact();
        response.status().is_success()
            && exact.is_none_or(|len| len >= self.0)
            && coding::gains(response.headers(), self.0)
    }
}

impl<S, B, RB> Service<Request<B>> for Compress<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    type Response = Response<Either<RB, Boxed<RB>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, <Marking<S, RB> as Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let headers = req.headers();
        let private = headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE);
        if self.codings.is_empty() || req.extensions().get::<Keyed>().is_none() {
            return ResponseFuture { kind: Kind::Plain { inner: self.inner.call(req), varies: false } };
        }
        if private {
            return ResponseFuture { kind: Kind::Plain { inner: self.inner.call(req), varies: true } };
        }
        // The key layer has put the best liked coding first.
        let names = headers.get(header::ACCEPT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        let first = names.split(|b| *b == b',').next().unwrap_or_default();
        let coding = self.codings.iter().copied().find(|coding| first == coding.as_str().as_bytes());
        if *req.method() == Method::HEAD {
            let inner = self.inner.call(req);
            return ResponseFuture { kind: Kind::Head { inner, coding, gains: Gains(self.bytes_min) } };
        }
        // The service that was polled ready is the one that is called.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let on = |wanted| coding == Some(wanted);
        let marked = MapResponse::new(ready, mark as Mark<RB>);
        let mut compression = Compression::new(marked)
            .gzip(on(Coding::Gzip))
            .br(on(Coding::Brotli))
            .zstd(on(Coding::Zstd))
            .compress_when(Gains(self.bytes_min));
        ResponseFuture { kind: Kind::Compressed { inner: Box::pin(compression.call(req)) } }
    }
}

pin_project! {
    /// Future of [`Compress`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C> {
        #[pin]
        kind: Kind<F, C>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F, C> {
        Plain { #[pin] inner: F, varies: bool },
        Head { #[pin] inner: F, coding: Option<Coding>, gains: Gains },
        Compressed { inner: Pin<Box<C>> },
    }
}

impl<F, C, RB, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<Response<RB>, E>>,
    C: Future<Output = Result<Response<CompressionBody<RB>>, E>>,
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    type Output = Result<Response<Either<RB, Boxed<RB>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Plain { inner, varies } => ready!(inner.poll(cx)).map(|mut response| {
                if *varies && response.status().is_success() {
                    vary(&mut response);
                }
                response.map(Either::Left)
            }),
            KindProj::Head { inner, coding, gains } => {
                let mut response = ready!(inner.poll(cx))?;
                // What describes the answer to a GET.
                if response.status().is_success() && coding::gains(response.headers(), gains.0) {
                    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
                    if let Some(coding) = coding {
                        let headers = response.headers_mut();
                        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
                        headers.remove(header::CONTENT_LENGTH);
                        headers.remove(header::ACCEPT_RANGES);
                        coding::weaken(headers);
                    }
                }
                Ok(response.map(Either::Left))
            }
            KindProj::Compressed { inner } => {
                let mut response = ready!(inner.as_mut().poll(cx))?;
                let uncoded = response.extensions_mut().remove::<Uncoded>().is_some();
                if uncoded && response.headers().contains_key(header::CONTENT_ENCODING) {
                    coding::weaken(response.headers_mut());
                }
                if response.status() == StatusCode::PARTIAL_CONTENT {
                    vary(&mut response);
                }
                Ok(response.map(|body| Either::Right(Box::pin(body))))
            }
        })
    }
}

/// Others get it compressed: who keeps it must tell them apart (RFC 9110 §12.5.5).
fn vary<B>(response: &mut Response<B>) {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

impl<F, C> std::fmt::Debug for ResponseFuture<F, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
