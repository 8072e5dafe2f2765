//! Asks the served service itself, as a client would.

use std::{fmt, marker::PhantomData, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use edge_cache_core::{BoxError, Deadline, Handoff, Outcome, OwnRequest, Priority, Served};
use edge_cache_tier::Trusted;
use edge_cache_warmer::{Ask, AskError, FromCache, How, Replay, Told};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use super::worker::MinFresh;

/// Longest body that is read: no tier keeps one as long.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Asks a service in this process, at the lowest priority: one with the cache's layer around it.
pub struct AskService<S, B> {
    service: S,
    timeout: Duration,
    min_fresh: Arc<MinFresh>,
    _body: PhantomData<fn() -> B>,
}

impl<S: Clone, B> Clone for AskService<S, B> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            timeout: self.timeout,
            min_fresh: Arc::clone(&self.min_fresh),
            _body: PhantomData,
        }
    }
}

impl<S, B> fmt::Debug for AskService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskService").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl<S, B> AskService<S, B> {
    /// Asks `service`, whose origin may work for at most `timeout` on each; an answer that is to be found fresh must be so for `min_fresh`.
    pub fn new(service: S, timeout: Duration, min_fresh: MinFresh) -> Self {
        Self { service, timeout, min_fresh: Arc::new(min_fresh), _body: PhantomData }
    }

    fn request(&self, replay: &Replay, how: How) -> Request<B>
    where
        B: Default,
    {
        let (mut parts, ()) = replay.request().into_parts();
        if replay.scheme().as_str() != "http" {
            // Whoever keys takes the scheme from an absolute target, and else http.
            parts.uri = Uri::try_from(replay.to_string()).unwrap_or(parts.uri);
        }
        let wants = match how {
            How::IfNeeded => self.min_fresh.get(&replay.digest()).map(|seconds| format!("min-fresh={seconds}")),
            How::Refresh => Some("no-cache".to_owned()),
            How::ReadBack => None,
        };
        if let Some(wants) = wants.and_then(|wants| HeaderValue::try_from(wants).ok()) {
            parts.headers.insert(header::CACHE_CONTROL, wants);
        }
        // What this process asks of itself counts, whatever strangers may ask.
        parts.extensions.insert(OwnRequest);
        parts.extensions.insert(Trusted);
        parts.extensions.insert(Priority::Warm);
        parts.extensions.insert(Deadline((Instant::now() + self.timeout).into_std()));
        Request::from_parts(parts, B::default())
    }
}

impl<S, B, RB> Ask for AskService<S, B>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Default + Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    fn ask(&self, replay: &Replay, how: How) -> BoxFuture<'static, Result<Told, AskError>> {
        let (service, request) = (self.service.clone(), self.request(replay, how));
        async move {
            let response = service.oneshot(request).await.map_err(|error| AskError::Transport(error.into()))?;
            let (parts, body) = response.into_parts();
            let kept = parts.extensions.get::<Handoff>().is_some();
            let from_cache = match parts.extensions.get::<Outcome>().map(|outcome| outcome.served) {
                Some(Served::Hit) => FromCache::Fresh,
                Some(Served::Stale) => FromCache::Stale,
                Some(Served::Miss | Served::Coalesced) if kept => FromCache::Stored,
                Some(Served::Miss | Served::Coalesced | Served::Error) => FromCache::NotStored { detail: None },
                Some(Served::Bypass) => FromCache::NotStored { detail: Some("bypass".to_owned()) },
                None => FromCache::Untold,
            };
            let body_bytes = read(body).await?;
            Ok(Told { status: parts.status, from_cache, body_bytes })
        }
        .boxed()
    }
}

/// Reads a body to its end: what is stored is stored by then.
async fn read<RB>(body: RB) -> Result<u64, AskError>
where
    RB: Body<Data = Bytes>,
    RB::Error: Into<BoxError>,
{
    let (mut body, mut bytes) = (pin!(body), 0_u64);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| AskError::Transport(error.into()))?;
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        if bytes > BODY_BYTES_MAX {
            return Err(AskError::TooLarge);
        }
    }
    Ok(bytes)
}
