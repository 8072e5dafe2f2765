use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
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
            wait: Wait,
            // Held to the last byte.
            held: Option<(InUse, Place)>,
        },
        Text { text: Option<Bytes> },
    }
}

/// Why a body is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Cut {
    #[error("the answer took longer than origin.total_timeout")]
    TooLong,
    #[error("nothing came of the answer for origin.body_idle_max")]
    Silent,
}

/// How long a body may take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// When it has to be over.
    pub(super) end: Option<Instant>,
    /// The longest silence.
    pub(super) idle_max: Option<Duration>,
}

/// The wait for what comes next of a body.
#[derive(Debug, Default)]
struct Wait {
    limits: Limits,
    /// Since when there is one.
    since: Option<Instant>,
    /// What ends it, once there was one; it may ring too early, as it is set anew only then. Boxed: bodies are moved, and most come with their heads.
    timer: Option<Pin<Box<Sleep>>>,
}

impl UpstreamBody {
    /// A body that may take so long.
    pub(super) fn incoming(body: Incoming, held: (InUse, Place), limits: Limits) -> Self {
        let held = (!body.is_end_stream()).then_some(held);
        Self { kind: Kind::Incoming { body, wait: Wait { limits, ..Wait::default() }, held } }
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
            KindProj::Incoming { mut body, wait, held } => {
                let frame = wait.polled(body.as_mut(), cx);
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

impl Wait {
    /// The next frame, or the end of the time for it. Nobody waits for one while it is not asked for: then it is the client that takes its time.
    fn polled(
        &mut self,
        mut body: Pin<&mut Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
            self.since = None;
            // All of it is there: most answers come so, and have no need of a clock.
            let is_in_time = || self.limits.end.is_none_or(|end| Instant::now() < end);
            return Poll::Ready(match frame {
                Some(Ok(_)) if !body.is_end_stream() && !is_in_time() => Some(Err(Cut::TooLong.into())),
                frame => frame.map(|frame| frame.map_err(Into::into)),
            });
        }
        let Limits { end, idle_max } = self.limits;
        let silent = idle_max.map(|idle_max| *self.since.get_or_insert_with(Instant::now) + idle_max);
        let Some(until) = end.into_iter().chain(silent).min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= until {
                let why = if end == Some(until) { Cut::TooLong } else { Cut::Silent };
                return Poll::Ready(Some(Err(why.into())));
            }
            // It was set for a silence that is over.
            timer.as_mut().reset(until);
        }
    }
}
