use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use edge_cache_core::BoxError;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{member::Place, pool::InUse};

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
        Incoming {
            #[pin]
            body: Incoming,
            // The end of the time that the whole answer may take, and what tells of it, once something has to be waited for. Boxed: bodies are moved, and
            // most come with their heads.
            end: Option<Instant>,
            timer: Option<Pin<Box<Sleep>>>,
            // Held to the last byte.
            held: Option<(InUse, Place)>,
        },
        Text { text: Option<Bytes> },
    }
}

/// The answer took longer than `origin.total_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer took longer than origin.total_timeout")]
struct TooLong;

impl UpstreamBody {
    /// A body that may come until `end`.
    pub(super) fn incoming(body: Incoming, held: (InUse, Place), end: Option<Instant>) -> Self {
        let (end, held) = if body.is_end_stream() { (None, None) } else { (end, Some(held)) };
        Self { kind: Kind::Incoming { body, end, timer: None, held } }
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
        match self.project().kind.project() {
            KindProj::Incoming { mut body, end, timer, held } => {
                let frame = polled(body.as_mut(), *end, timer, cx);
                let is_over = match &frame {
                    Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
                    Poll::Ready(None | Some(Err(_))) => true,
                    Poll::Pending => false,
                };
                if is_over {
                    *held = None;
                }
                frame
            }
            KindProj::Text { text } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Incoming { body, .. } => body.is_end_stream(),
            Kind::Text { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Incoming { body, .. } => body.size_hint(),
            Kind::Text { text } => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
        }
    }
}

/// The next frame, or the end of the time; the timer is set only where there is something to wait for.
fn polled(
    mut body: Pin<&mut Incoming>,
    end: Option<Instant>,
    timer: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
    let frame = body.as_mut().poll_frame(cx);
    let Some(end) = end else { return frame.map_err(Into::into) };
    match frame {
        // All of it is there: most answers come so, and have no need of a clock.
        Poll::Ready(frame) if frame.is_none() || body.is_end_stream() || Instant::now() < end => {
            Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
        }
        Poll::Ready(_) => Poll::Ready(Some(Err(TooLong.into()))),
        Poll::Pending => {
            ready!(timer.get_or_insert_with(|| Box::pin(sleep_until(end))).as_mut().poll(cx));
            Poll::Ready(Some(Err(TooLong.into())))
        }
    }
}
