//! The body of a tier's answers.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use edge_cache_core::BoxError;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::shared_body::Reader;

pin_project! {
    /// The body of a [`Tier`](crate::Tier)'s answers: a stored one in one piece, one that still grows, or the inner service's own.
    #[derive(Debug)]
    pub struct TierBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind<B> {
        Full { bytes: Option<Bytes> },
        Growing { reader: Reader },
        Inner { #[pin] body: B },
    }
}

impl<B> TierBody<B> {
    pub(crate) const fn empty() -> Self {
        Self { kind: Kind::Full { bytes: None } }
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self { kind: Kind::Full { bytes: (!bytes.is_empty()).then_some(bytes) } }
    }

    pub(crate) const fn growing(reader: Reader) -> Self {
        Self { kind: Kind::Growing { reader } }
    }

    pub(crate) const fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }
}

impl<B> Default for TierBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<B> Body for TierBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Full { bytes } => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            KindProj::Growing { reader } => ready!(Pin::new(reader).poll_frame(cx)).map(|f| f.map_err(Into::into)),
            KindProj::Inner { body } => ready!(body.poll_frame(cx)).map(|frame| frame.map_err(Into::into)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full { bytes } => bytes.is_none(),
            Kind::Growing { reader } => reader.is_end_stream(),
            Kind::Inner { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Growing { reader } => reader.size_hint(),
            Kind::Inner { body } => body.size_hint(),
        }
    }
}
