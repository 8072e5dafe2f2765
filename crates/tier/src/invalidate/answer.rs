//! The answer to a POST that stands for later GETs of the same URI: it says so by `Content-Location`, and how long it is fresh
//! (RFC 9110 §9.3.3).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use edge_cache_core::{
    BoxError, Entry, Head, Timestamp,
    marker::{Guard, Start},
};
use edge_cache_policy::{Mode, request, response, steering, vary::Vary};
use http::{HeaderMap, Method, Request, StatusCode, header, response::Parts};
use http_body::Body;
use tokio::time::{Instant, timeout};

use super::{Written, text};
use crate::{
    Keeper, Keyed, Purger,
    keyed::Inner,
    shared_body::{SharedBody, Writing},
    tier::plan::{Exchange, Planned},
    variants::Variant,
};

/// What of a POST an answer to it needs to be kept.
pub(super) struct Post {
    keyed: Keyed,
    headers: HeaderMap,
    start: Start,
    requested: Timestamp,
    began: Instant,
}

impl Post {
    /// Of a request whose answer may be kept. Taken before the request goes inward.
    pub(super) fn of<B>(req: &Request<B>, written: Option<&Written>, purger: &Purger) -> Option<Self> {
        let written = written.filter(|_| *req.method() == Method::POST)?;
        let (path, query) = super::path_and_query(&written.uri);
        let located = purger.keying().locate(&written.scheme, &written.authority, &path, &query).ok()?;
        // A write is sent on as it came: with its credentials, with what steers an origin, and with every parameter. Under `guarded` its
        // answer is for others only where a read would have been asked the same question.
        let sent = req.headers();
        let steered = || steering::any(sent, &purger.keying().steering_headers);
        let own = sent.contains_key(header::AUTHORIZATION) || sent.contains_key(header::COOKIE) || steered();
        if located.mode == Mode::Guarded && (own || located.canonical_target.is_some()) {
            return None;
        }
        let mut headers = sent.clone();
        let authorization = request::identity(&mut headers, &located.route.identity, located.mode).ok()?;
        let directives = request::directives(&headers, Mode::Rfc, true);
        if located.route.uncacheable || directives.no_store || purger.keying().is_distrusted(&located) {
            return None;
        }
        let belief = purger.keying().belief(located.route_at, located.mode);
        let inner = Inner {
            key: located.key,
            route: located.route,
            mode: located.mode,
            directives,
            authorization,
            belief,
            brings: true,
        };
        let (start, requested) = (purger.start(), purger.now());
        Some(Self { keyed: Keyed::new(inner), headers, start, requested, began: Instant::now() })
    }

    /// The head to keep the answer under, if it stands for a GET.
    pub(super) fn head(
        &self,
        parts: &Parts,
        written: &Written,
        keepers: &[Keeper],
        now: Timestamp,
    ) -> Option<(Arc<Head>, Guard)> {
        let location = written.same_origin(text(&parts.headers, &header::CONTENT_LOCATION)?)?;
        let stands = parts.status == StatusCode::OK
            && location == super::path_and_query(&written.uri)
            && response::names_its_freshness(&parts.headers);
        let keeper = keepers.first().filter(|_| stands)?;
        let mut exchange = Exchange {
            keyed: &self.keyed,
            start: self.start,
            requested: self.requested,
            received: now,
            took: self.began.elapsed(),
            unit: 0.0,
            keep_tags: false,
        };
        keeper.0.complete(&mut exchange);
        // What only its client may have is reason enough to keep nothing.
        let Planned { head, withheld, .. } = exchange.head(parts.status, &parts.headers, None).ok()?;
        let guard = Guard { start: self.start, tags: head.tags.as_slice().to_vec() };
        withheld.is_empty().then_some((head, guard))
    }

    /// Passes a body on and keeps it when it has ended well.
    pub(super) async fn stream<RB>(
        self,
        head: Arc<Head>,
        start: Start,
        body: RB,
        shared: Arc<SharedBody>,
        keepers: Arc<[Keeper]>,
        idle_max: std::time::Duration,
    ) where
        RB: Body<Data = Bytes>,
        RB::Error: Into<BoxError>,
    {
        // A body that panics must not leave its reader waiting.
        let _writing = Writing(Arc::clone(&shared));
        let mut body = std::pin::pin!(body);
        let len = body.size_hint().exact().unwrap_or(0);
        let (mut all, mut trailers) = (BytesMut::new(), None);
        loop {
            let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx));
            // What went wrong is not told apart: the body is cut.
            match timeout(idle_max, frame).await.map(|frame| frame.map(Result::ok)) {
                Ok(Some(Some(frame))) => match frame.into_data() {
                    Ok(chunk) if all.len() as u64 + chunk.len() as u64 > len => return shared.cut(),
                    Ok(chunk) => {
                        all.extend_from_slice(&chunk);
                        if all.len() as u64 == len {
                            // Kept before the last bytes go out, so that a client that has them all finds it.
                            self.keep(&head, start, all.clone().freeze(), &keepers).await;
                        }
                        shared.push(chunk);
                    }
                    Err(frame) => trailers = frame.into_trailers().ok(),
                },
                Ok(None) if all.len() as u64 == len => {
                    if len == 0 {
                        self.keep(&head, start, Bytes::new(), &keepers).await;
                    }
                    return shared.finish(trailers);
                }
                _ => return shared.cut(),
            }
        }
    }

    async fn keep(&self, head: &Head, start: Start, body: Bytes, keepers: &[Keeper]) {
        let variant = match Vary::of(&head.headers.unpack()) {
            Vary::Fields(names) => Some(Variant::of(names, self.keyed.key(), &self.headers)),
            Vary::None | Vary::Star => None,
        };
        let entry = Entry::new(Head { fence: start.fence, ..Head::clone(head) }, body, start);
        for keeper in keepers {
            keeper.0.keep(self.keyed.key().clone(), entry.clone(), variant.clone()).await;
        }
    }
}
