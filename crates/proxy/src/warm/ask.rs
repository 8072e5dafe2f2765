//! Asking a running proxy to warm it.

use edge_cache_warmer::{Ask, AskError, How, Replay, Told};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderValue, header};

use super::said::from_cache;
use crate::client::{Client, Failure};

/// Background: the least urgent there is (RFC 9218 §4.1).
const URGENCY: HeaderValue = HeaderValue::from_static("u=7");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("cache-proxy-warm/", env!("CARGO_PKG_VERSION")));
/// Above it a body is given up; nothing of it is kept.
const BODY_BYTES_MAX: u64 = 1 << 30;

impl Ask for Client {
    fn ask(&self, replay: &Replay, how: How) -> BoxFuture<'static, Result<Told, AskError>> {
        let mut request = replay.request();
        let headers = request.headers_mut();
        headers.insert("priority", URGENCY);
        headers.insert(header::USER_AGENT, AGENT);
        if how == How::Refresh {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        let got = self.send(request, BODY_BYTES_MAX);
        async move {
            let got = got.await.map_err(|failure| match failure {
                Failure::Connect(error) => AskError::Connect(error),
                Failure::Transport(error) | Failure::BrokeOff(error) => AskError::Transport(error),
                Failure::TooLarge => AskError::TooLarge,
            })?;
            Ok(Told { status: got.status, from_cache: from_cache(&got.headers), body_bytes: got.body_bytes })
        }
        .boxed()
    }
}
