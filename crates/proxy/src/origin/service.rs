//! Whatever answers when the cache cannot, as one type.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use edge_cache::{core::BoxError, tier::RequestBody};
use edge_cache_origin::upstream::UpstreamBody;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tower::{Service, util::BoxCloneSyncService};

use super::HttpUpstream;
use crate::body::ClientBody;

type Handlers =
    BoxCloneSyncService<Request<RequestBody<ClientBody>>, Response<UnsyncBoxBody<Bytes, BoxError>>, Infallible>;

/// The service inside every tier. It is cloned for each request that goes further than memory, and what goes to another server is on its way often: so that
/// one is not behind a pointer.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Servers that are asked over HTTP.
    Http(HttpUpstream),
    /// Handlers of this process.
    Handlers(Handlers),
}

/// Future of [`Origin`].
pub(crate) enum Answering {
    Http(<HttpUpstream as Service<Request<RequestBody<ClientBody>>>>::Future),
    Handlers(<Handlers as Service<Request<RequestBody<ClientBody>>>>::Future),
}

/// The body of an answer of [`Origin`].
#[derive(Debug)]
pub(crate) enum OriginBody {
    Http(UpstreamBody),
    Handlers(UnsyncBoxBody<Bytes, BoxError>),
}

impl Service<Request<RequestBody<ClientBody>>> for Origin {
    type Response = Response<OriginBody>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self {
            Self::Http(upstream) => upstream.poll_ready(cx),
            Self::Handlers(handlers) => handlers.poll_ready(cx),
        }
    }

    fn call(&mut self, req: Request<RequestBody<ClientBody>>) -> Answering {
        match self {
            Self::Http(upstream) => Answering::Http(upstream.call(req)),
            Self::Handlers(handlers) => Answering::Handlers(handlers.call(req)),
        }
    }
}

impl Future for Answering {
    type Output = Result<Response<OriginBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Http(answer) => answer.as_mut().poll(cx).map_ok(|answer| answer.map(OriginBody::Http)),
            Self::Handlers(answer) => answer.as_mut().poll(cx).map_ok(|answer| answer.map(OriginBody::Handlers)),
        }
    }
}

impl Body for OriginBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Http(body) => Pin::new(body).poll_frame(cx),
            Self::Handlers(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http(body) => body.is_end_stream(),
            Self::Handlers(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http(body) => body.size_hint(),
            Self::Handlers(body) => body.size_hint(),
        }
    }
}
