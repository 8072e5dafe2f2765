use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::sync::mpsc;

type Piece = io::Result<Frame<Bytes>>;

/// A body that grows as its [`Feeder`] says.
#[derive(Debug)]
pub struct Feed(mpsc::UnboundedReceiver<Piece>);

/// Feeds a [`Feed`]. Dropping it ends the body well.
#[derive(Debug)]
pub struct Feeder(mpsc::UnboundedSender<Piece>);

impl Feed {
    /// An empty body and what feeds it.
    #[must_use]
    pub fn new() -> (Feeder, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Feeder(sender), Self(receiver))
    }
}

impl Feeder {
    /// Sends a piece. Whether anybody still reads.
    pub fn push(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(piece.into()))).is_ok()
    }

    /// Ends the body with trailers.
    pub fn trailers(self, trailers: HeaderMap) -> bool {
        self.0.send(Ok(Frame::trailers(trailers))).is_ok()
    }

    /// Breaks the connection in the middle of the body.
    pub fn cut(self) -> bool {
        self.0.send(Err(io::ErrorKind::ConnectionAborted.into())).is_ok()
    }
}

impl Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(cx)
    }
}
