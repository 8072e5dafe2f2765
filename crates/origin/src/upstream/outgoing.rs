//! The body of a request on its way to an origin.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

/// A body that is sent.
#[derive(Debug)]
pub(super) enum Outgoing<B> {
    Own(B),
    /// To be had back where no connection came about, for another origin.
    Lent(Loan<B>),
}

/// A body that can be had back.
#[derive(Debug)]
pub(super) struct Loan<B>(Arc<Mutex<Option<B>>>);

impl<B: Default> Outgoing<B> {
    /// Lends the body.
    pub(super) fn lend(&mut self) -> Loan<B> {
        let shared = match std::mem::take(self) {
            Self::Own(body) => Arc::new(Mutex::new(Some(body))),
            Self::Lent(Loan(shared)) => shared,
        };
        *self = Self::Lent(Loan(Arc::clone(&shared)));
        Loan(shared)
    }
}

impl<B: Default> Default for Outgoing<B> {
    fn default() -> Self {
        Self::Own(B::default())
    }
}

impl<B> Loan<B> {
    /// The body, as it was if nothing was sent.
    pub(super) fn back(self) -> Option<B> {
        self.0.lock().take()
    }
}

impl<B: Body + Unpin> Body for Outgoing<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.get_mut() {
            Self::Own(body) => Pin::new(body).poll_frame(cx),
            Self::Lent(loan) => match loan.0.lock().as_mut() {
                Some(body) => Pin::new(body).poll_frame(cx),
                None => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Lent(loan) => loan.0.lock().as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Lent(loan) => loan.0.lock().as_ref().map_or_else(SizeHint::default, Body::size_hint),
        }
    }
}
