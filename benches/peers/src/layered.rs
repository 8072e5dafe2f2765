//! A cache that is a layer, in front of a handler in the same process, served as the floor is.

use std::{
    convert::Infallible,
    error::Error,
    future::{self, Ready},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, service::service_fn};
use tower::{Layer, Service, ServiceExt};

use crate::{content, serving};

/// Answers `/item/N?bytes=` as the origin does, and counts.
#[derive(Clone, Debug, Default)]
pub struct Handler {
    asked: Arc<AtomicU64>,
}

impl Handler {
    /// How often this handler and its clones were asked.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }
}

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.asked.fetch_add(1, Relaxed);
        let uri = request.uri();
        let number = uri.path().strip_prefix("/item/").and_then(|number| number.parse().ok());
        let length = uri.query().and_then(|query| query.strip_prefix("bytes=")?.parse().ok());
        let answer = match (number, length) {
            (Some(number), Some(length)) => content::item(number, length, content::CACHEABLE),
            _ => plain(StatusCode::NOT_FOUND, String::new()),
        };
        future::ready(Ok(answer))
    }
}

/// Serves a handler behind `layer` on one thread. `/count` is answered past it: how often the handler was asked.
///
/// # Errors
/// When there is no port or no thread to be had.
pub fn serve<L, S, B>(layer: L) -> anyhow::Result<()>
where
    L: Layer<Handler, Service = S>,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Send,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let handler = Handler::default();
    let cached = layer.layer(handler.clone());
    serving::serve(1, move || {
        let (cached, handler) = (cached.clone(), handler.clone());
        service_fn(move |request: Request<Incoming>| {
            let (cached, handler) = (cached.clone(), handler.clone());
            async move {
                if request.uri().path() == "/count" {
                    let count = plain(StatusCode::OK, handler.asked().to_string());
                    return Ok::<_, Infallible>(count.map(Either::Left));
                }
                let answer = cached.oneshot(request).await.map(|answer| answer.map(Either::Right));
                Ok(answer.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, String::new()).map(Either::Left)))
            }
        })
    })
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    answer
}
