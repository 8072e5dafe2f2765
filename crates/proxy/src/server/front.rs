//! What is settled before any tier: the length of the target, one host, and who the client is.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use edge_cache::tier::Trusted;
use futures_util::future::{Either, FutureExt, Map};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::{Either as EitherBody, Full};
use tower::Service;

/// The outermost service of one connection.
#[derive(Clone, Debug)]
pub(super) struct Front<S> {
    inner: S,
    uri_bytes_max: usize,
    trusted: bool,
}

impl<S> Front<S> {
    pub(super) const fn new(inner: S, uri_bytes_max: usize, trusted: bool) -> Self {
        Self { inner, uri_bytes_max, trusted }
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
    type Future = Either<Ready<Answer<RB>>, Map<S::Future, Inward<RB>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<B>) -> Self::Future {
        let target = req.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.uri_bytes_max {
            let max = self.uri_bytes_max;
            let text = format!("the request target has {target} bytes, at most {max} are allowed\n");
            return Either::Left(ready(Ok(refusal(StatusCode::URI_TOO_LONG, text))));
        }
        let hosts = req.headers().get_all(header::HOST).iter().count();
        if hosts > 1 || (hosts == 0 && req.version() == Version::HTTP_11) {
            // Whoever reads them differently answers for another host (RFC 9112 §3.2).
            let text = format!("{hosts} Host headers, one is needed\n");
            return Either::Left(ready(Ok(refusal(StatusCode::BAD_REQUEST, text))));
        }
        if self.trusted {
            req.extensions_mut().insert(Trusted);
        }
        let inward: Inward<RB> = |answer| answer.map(|response| response.map(EitherBody::Left));
        Either::Right(self.inner.call(req).map(inward))
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
