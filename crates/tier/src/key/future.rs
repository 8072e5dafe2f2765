use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use edge_cache_core::route::{Matched, Route};
use edge_cache_policy::groups;
use http::Response;
use pin_project_lite::pin_project;

pin_project! {
    /// Future of [`Key`](super::Key).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        route: Option<Arc<Route>>,
        expose_tags: bool,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, route: Arc<Route>, expose_tags: bool) -> Self {
        Self { inner, route: Some(route), expose_tags }
    }
}

impl<F: Future<Output = Result<Response<B>, E>>, B, E> Future for ResponseFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut result = ready!(this.inner.poll(cx));
        if let Ok(response) = &mut result {
            if !*this.expose_tags {
                groups::strip(response.headers_mut());
            }
            if let Some(route) = this.route.take() {
                response.extensions_mut().insert(Matched(route));
            }
        }
        Poll::Ready(result)
    }
}
