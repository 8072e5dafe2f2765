//! Bodies: of requests on their way inward, and of a tier's answers.

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
    /// The body of a request inside the cache: the client's, or none, for requests that the cache makes itself.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        inner: Option<B>,
    }
}

impl<B> RequestBody<B> {
    pub(crate) const fn new(inner: B) -> Self {
        Self { inner: Some(inner) }
    }
}

impl<B> Default for RequestBody<B> {
    fn default() -> Self {
        Self { inner: None }
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().inner.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

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
        // Boxed: rare, and its room would be part of every answer.
        Part { part: Box<Part> },
        Inner { #[pin] body: B },
    }
}

/// The bytes of a growing body that a range request gets.
#[derive(Debug)]
struct Part {
    reader: Reader,
    skip: u64,
    left: u64,
}

impl Part {
    /// What of a chunk belongs to it; counts it off.
    fn cut(&mut self, chunk: &Bytes) -> Bytes {
        let len = chunk.len() as u64;
        let start = self.skip.min(len);
        let end = (start + self.left).min(len);
        self.skip -= start;
        self.left -= end - start;
        let at = |offset: u64| usize::try_from(offset).expect("an offset within a chunk");
        chunk.slice(at(start)..at(end))
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

    /// Only the bytes of `range`.
    pub(crate) fn growing_part(reader: Reader, range: &std::ops::Range<u64>) -> Self {
        let part = Part { reader, skip: range.start, left: range.end - range.start };
        Self { kind: Kind::Part { part: Box::new(part) } }
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
            KindProj::Part { part } => loop {
                if part.left == 0 {
                    break None;
                }
                match ready!(Pin::new(&mut part.reader).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                    Some(Ok(chunk)) => {
                        let cut = part.cut(&chunk);
                        if !cut.is_empty() {
                            break Some(Ok(Frame::data(cut)));
                        }
                    }
                    // Trailers speak of the whole.
                    Some(Err(_)) => {}
                    None => break None,
                }
            },
            KindProj::Inner { body } => ready!(body.poll_frame(cx)).map(|frame| frame.map_err(Into::into)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full { bytes } => bytes.is_none(),
            Kind::Growing { reader } => reader.is_end_stream(),
            Kind::Part { part } => part.left == 0 || part.reader.is_end_stream(),
            Kind::Inner { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full { bytes } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Growing { reader } => reader.size_hint(),
            Kind::Part { part } => SizeHint::with_exact(part.left),
            Kind::Inner { body } => body.size_hint(),
        }
    }
}
