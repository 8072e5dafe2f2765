use std::{
    sync::Arc,
    task::{Context, Poll},
};

use edge_cache_core::Bypass;
use edge_cache_policy::{Mode, coding, conditional, request, steering};
use http::{Method, Request, Response, Uri, uri::PathAndQuery};
use tower_service::Service;

use super::ResponseFuture;
use crate::{Bypassed, Keyed, Keying, RequestBody, Trusted, keyed::Inner};

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
        // A caller's own marks must not survive: only this layer decides what is keyed.
        parts.extensions.remove::<Keyed>();
        match self.key(&mut parts, body.is_end_stream()) {
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

impl<S> Key<S> {
    fn key(&self, parts: &mut http::request::Parts, no_body: bool) -> Result<Keyed, Bypass> {
        if !request::cacheable_method(&parts.method) {
            return Err(Bypass::NoKey);
        }
        if !no_body {
            return Err(Bypass::Body);
        }
        if !request::asks_to_switch(parts.version, &parts.headers).is_empty() || parts.method == Method::CONNECT {
            return Err(Bypass::NoKey);
        }
        if conditional::guards_a_change(&parts.headers) {
            return Err(Bypass::Precondition);
        }
        let (scheme, authority) = Keying::authority(&parts.uri, &parts.headers).ok_or(Bypass::NoKey)?;
        let query = parts.uri.query().unwrap_or_default();
        let located = self.keying.locate(scheme, authority, parts.uri.path(), query)?;
        if located.route.uncacheable {
            return Err(Bypass::Route);
        }
        let mode = located.mode;
        let authorization = request::identity(&mut parts.headers, &located.route.identity, mode)?;
        if mode == Mode::Guarded {
            steering::strip(&mut parts.headers);
        }
        if !self.keying.codings.is_empty() {
            let taken = coding::accepted(&parts.headers, &self.keying.codings);
            coding::ask_for(&mut parts.headers, &taken);
        }
        let trusted = parts.extensions.get::<Trusted>().is_some();
        let directives = request::directives(&parts.headers, mode, trusted);
        if let Some(query) = located.canonical_query {
            // The origin is asked the canonical question: what is stored under a key is the answer to that key.
            parts.uri = with_query(&parts.uri, &query).ok_or(Bypass::Query)?;
        }
        Ok(Keyed::new(Inner { key: located.key, route: located.route, mode, directives, authorization }))
    }
}

/// `None` where the query grew beyond what a URI may hold.
fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let target = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}
