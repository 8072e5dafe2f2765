use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

use crate::Feed;

pub(crate) type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;

/// What a scripted origin answers.
#[derive(Debug)]
pub struct Reply(pub(crate) Response<ReplyBody>);

impl Reply {
    /// An empty answer.
    ///
    /// # Panics
    /// When `status` is none.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let mut response = Response::new(full(Bytes::new()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        Self(response)
    }

    /// A 200 with this text and `Cache-Control`.
    #[must_use]
    pub fn cached(cache_control: &str, text: impl Into<Bytes>) -> Self {
        Self::new(200).header("cache-control", cache_control).body(text)
    }

    /// Adds a header.
    ///
    /// # Panics
    /// When it is malformed.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header name");
        self.0.headers_mut().append(name, HeaderValue::try_from(value).expect("a header value"));
        self
    }

    /// A body with a known length.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.0.body_mut() = full(body.into());
        self
    }

    /// A body of any kind.
    #[must_use]
    pub fn stream(mut self, body: UnsyncBoxBody<Bytes, io::Error>) -> Self {
        *self.0.body_mut() = body;
        self
    }

    /// A body that grows.
    #[must_use]
    pub fn feed(mut self, feed: Feed) -> Self {
        *self.0.body_mut() = feed.boxed_unsync();
        self
    }
}

fn full(bytes: Bytes) -> ReplyBody {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}
