use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use edge_cache_core::BoxError;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

pin_project! {
    /// The origin's body as it comes, or the text of an answer made in its place.
    #[derive(Debug)]
    pub struct UpstreamBody {
        #[pin]
        kind: Kind,
    }
}

pin_project! {
    #[project = KindProj]
    #[derive(Debug)]
    enum Kind {
        Incoming { #[pin] body: Incoming },
        Text { text: Option<Bytes> },
    }
}

impl UpstreamBody {
    pub(super) const fn incoming(body: Incoming) -> Self {
        Self { kind: Kind::Incoming { body } }
    }

    pub(super) fn bytes(text: Bytes) -> Self {
        Self { kind: Kind::Text { text: Some(text) } }
    }

    pub(super) const fn empty() -> Self {
        Self { kind: Kind::Text { text: None } }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(match self.project().kind.project() {
            KindProj::Incoming { body } => ready!(body.poll_frame(cx)).map(|frame| frame.map_err(Into::into)),
            KindProj::Text { text } => text.take().map(|text| Ok(Frame::data(text))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Incoming { body } => body.is_end_stream(),
            Kind::Text { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Incoming { body } => body.size_hint(),
            Kind::Text { text } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}
