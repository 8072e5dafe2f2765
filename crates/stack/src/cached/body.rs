use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use edge_cache_telemetry::HitRecord;
use http_body::{Body, Frame, SizeHint};

/// The body of a plain hit: in one piece.
#[derive(Debug, Default)]
pub struct HitBody {
    bytes: Bytes,
    // Counts when it is dropped: with this body.
    record: Option<HitRecord>,
}

impl HitBody {
    pub(super) const fn new(bytes: Bytes, record: Option<HitRecord>) -> Self {
        Self { bytes, record }
    }

    /// The bytes, for whoever hands them to the connection now; `None` where there are none, or no more.
    pub fn take(&mut self) -> Option<Bytes> {
        if self.bytes.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        if let Some(record) = &mut self.record {
            record.sent(bytes.len());
        }
        Some(bytes)
    }
}

impl Body for HitBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// The body of an answer of a [`Cached`](super::Cached) service.
#[derive(Debug)]
pub struct CachedBody<B>(Kind<B>);

#[derive(Debug)]
enum Kind<B> {
    Hit(HitBody),
    // Boxed: its room would be part of every hit.
    Layers(Pin<Box<B>>),
}

impl<B> CachedBody<B> {
    pub(super) fn layers(body: B) -> Self {
        Self(Kind::Layers(Box::pin(body)))
    }
}

impl<B> From<HitBody> for CachedBody<B> {
    fn from(body: HitBody) -> Self {
        Self(Kind::Hit(body))
    }
}

impl<B> Default for CachedBody<B> {
    fn default() -> Self {
        HitBody::default().into()
    }
}

impl<B: Body<Data = Bytes>> Body for CachedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.0 {
            Kind::Hit(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Layers(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Hit(body) => body.is_end_stream(),
            Kind::Layers(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Hit(body) => body.size_hint(),
            Kind::Layers(body) => body.size_hint(),
        }
    }
}
