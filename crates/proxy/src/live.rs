//! What is served, for those in this process who ask it themselves.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use arc_swap::ArcSwap;
use edge_cache::Cached;
use http::Request;
use tower::Service;

use crate::{body::ClientBody, origin::Origin};

/// The service that clients ask at the time: another one may take its place. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Live(Arc<ArcSwap<Cached<Origin>>>);

impl Live {
    pub(crate) fn new(service: Cached<Origin>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(service)))
    }

    /// Asks `service` from now on.
    pub(crate) fn set(&self, service: Cached<Origin>) {
        self.0.store(Arc::new(service));
    }
}

impl Service<Request<ClientBody>> for Live {
    type Response = <Cached<Origin> as Service<Request<ClientBody>>>::Response;
    type Error = Infallible;
    type Future = <Cached<Origin> as Service<Request<ClientBody>>>::Future;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The layers are always ready to be called.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> Self::Future {
        Cached::clone(&self.0.load()).call(request)
    }
}
