//! Compression between the tiers and the handler: the compressed copy is what the tiers keep, so a hit compresses nothing.
//!
//! Only answers to requests without credentials are compressed, and of these none that is `private`, `no-store` or sets a cookie. What
//! depends on who asks is left to its handler: text that mixes a secret with what an attacker chose must not be compressed without
//! care (BREACH).

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use edge_cache_core::BoxError;
use edge_cache_policy::{
    coding::{self, Coding},
    vary::Vary,
};
use edge_cache_tier::Keyed;
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Either;
use pin_project_lite::pin_project;
use tower::service_fn;
use tower_http::compression::{Compression, CompressionBody, predicate::Predicate};
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

/// Boxed: an encoder's state is large, and every answer, hits too, is moved about in a type that has room for it.
pub type Boxed<RB> = Pin<Box<CompressionBody<RB>>>;

/// What is done to an answer. Nothing is set up for one that does not gain by it, as it comes to most: they are passed on, or not worth it.
#[derive(Clone, Copy, Debug)]
enum Done {
    /// It stays as it is.
    Nothing,
    /// It stays as it is, and others get it compressed.
    Varies,
    /// Its head is made that of the answer to a GET.
    Described(Option<Coding>),
    /// It is compressed, where the request asks for a coding that is ours.
    Compressed(Option<Coding>),
}

impl<S> Compress<S> {
    fn done<B>(&self, req: &Request<B>) -> Done {
        let headers = req.headers();
        if self.codings.is_empty() || req.extensions().get::<Keyed>().is_none() {
            return Done::Nothing;
        }
        if headers.contains_key(header::AUTHORIZATION) || headers.contains_key(header::COOKIE) {
            return Done::Varies;
        }
        // The key layer has put the best liked coding first.
        let names = headers.get(header::ACCEPT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        let first = names.split(|b| *b == b',').next().unwrap_or_default();
        let coding = self.codings.iter().copied().find(|coding| first == coding.as_str().as_bytes());
        if *req.method() == Method::HEAD { Done::Described(coding) } else { Done::Compressed(coding) }
    }
}

impl<S, B, RB> Service<Request<B>> for Compress<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    type Response = Response<Either<RB, Boxed<RB>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let done = self.done(&req);
        ResponseFuture { inner: self.inner.call(req), done, bytes_min: self.bytes_min }
    }
}

pin_project! {
    /// Future of [`Compress`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        done: Done,
        bytes_min: u64,
    }
}

impl<F, RB, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    type Output = Result<Response<Either<RB, Boxed<RB>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (done, bytes_min) = (*this.done, *this.bytes_min);
        this.inner.poll(cx).map_ok(|answer| finish(answer, done, bytes_min))
    }
}

fn finish<RB>(mut answer: Response<RB>, done: Done, bytes_min: u64) -> Response<Either<RB, Boxed<RB>>>
where
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    let status = answer.status();
    if !status.is_success() {
        return answer.map(Either::Left);
    }
    match done {
        Done::Nothing => {}
        Done::Varies => vary(&mut answer),
        Done::Described(coding) if coding::gains(answer.headers(), bytes_min) => {
            vary(&mut answer);
            if let Some(coding) = coding {
                let headers = answer.headers_mut();
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
                headers.remove(header::CONTENT_LENGTH);
                headers.remove(header::ACCEPT_RANGES);
                coding::weaken(headers);
            }
        }
        Done::Compressed(coding) if gains(&answer, bytes_min) => match coding {
            Some(coding) => return compressed(answer, coding).map(|body| Either::Right(Box::pin(body))),
            None => vary(&mut answer),
        },
        Done::Compressed(_) if status == StatusCode::PARTIAL_CONTENT => vary(&mut answer),
        Done::Described(_) | Done::Compressed(_) => {}
    }
    answer.map(Either::Left)
}

fn gains<RB: Body>(answer: &Response<RB>, bytes_min: u64) -> bool {
    answer.body().size_hint().exact().is_none_or(|len| len >= bytes_min) && coding::gains(answer.headers(), bytes_min)
}

/// Others get it compressed: who keeps it must tell them apart (RFC 9110 §12.5.5).
fn vary<B>(answer: &mut Response<B>) {
    let headers = answer.headers_mut();
    let tells_apart = matches!(Vary::of(headers), Vary::Fields(names) if names.contains(&header::ACCEPT_ENCODING));
    if !tells_apart {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Every answer that comes to it is compressed.
#[derive(Clone, Copy, Debug)]
struct Always;

impl Predicate for Always {
    fn should_compress<B: Body>(&self, _: &Response<B>) -> bool {
        true
    }
}

/// Compresses an answer that [`gains`], by a service that is asked for this coding alone and answers at once.
fn compressed<RB>(answer: Response<RB>, coding: Coding) -> Response<CompressionBody<RB>>
where
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    let mut ask = Request::new(());
    ask.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding.as_str()));
    let mut answer = Some(answer);
    let given = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(answer.take().expect("it is asked once"))));
    let answered = Compression::new(given).compress_when(Always).call(ask).now_or_never();
    let Ok(mut answer) = answered.expect("nothing is waited for");
    coding::weaken(answer.headers_mut());
    answer
}

impl<F> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
