use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{ResponseFuture, decision::Decided};
use crate::{Bypassed, Keyed, Keying, LookedUp, NoNewKeys, RequestBody, Trusted};

/// Service made by [`KeyLayer`](super::KeyLayer).
#[derive(Clone, Debug)]
pub struct Key<S> {
    pub(super) inner: S,
    pub(super) keying: Keying,
}

impl<S, B, RB> Service<Request<B>> for Key<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<RB>>,
    B: http_body::Body,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let (mut parts, body) = req.into_parts();
        let trusted = self.keying.trusts(&parts.extensions);
        if trusted {
            // For the layers further in.
            parts.extensions.insert(Trusted);
        }
        // A caller's own marks must not survive: only this layer decides what is keyed.
        parts.extensions.remove::<Keyed>();
        let already = parts.extensions.remove::<Decided>().filter(|decided| decided.is_by(&self.keying));
        if already.is_none() {
            // What was found under the key of somebody else's routes says nothing of this one's.
            parts.extensions.remove::<LookedUp>();
        }
        let decided = already.unwrap_or_else(|| {
            Decided::new(&self.keying, self.keying.decide(&mut parts, body.is_end_stream(), trusted))
        });
        let keep = parts.extensions.remove::<NoNewKeys>().is_none();
        match decided.apply(&mut parts, keep) {
            Ok(keyed) => {
                parts.extensions.insert(keyed);
            }
            Err(why) => {
                parts.extensions.insert(Bypassed(why));
            }
        }
        // The label of a path that has no key is the route's that it would have had.
        let route = Arc::clone(self.keying.routes.find(parts.uri.path()));
        let inner = self.inner.call(Request::from_parts(parts, RequestBody::new(body)));
        ResponseFuture::new(inner, route, self.keying.expose_tags)
    }
}
