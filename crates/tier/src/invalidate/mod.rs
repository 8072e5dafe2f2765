//! Unsafe requests: run to their end, and what their answers make stale is purged before the client hears of it.
//!
//! Purged are the target URI, same-origin `Location` and `Content-Location` (RFC 9111 §4.4), and the groups that
//! `Cache-Group-Invalidation` names (RFC 9875), whenever the answer is no error. The request runs in a task of its own: a client
//! that leaves cannot keep a write from being purged.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use edge_cache_core::{TagHash, marker::PurgeKind};
use edge_cache_policy::{Mode, groups, request};
use http::{HeaderMap, Request, Response, StatusCode, Uri, header, response::Parts};
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Keying, Purger};

/// Purges what unsafe requests make stale; see the [module docs](self).
#[derive(Clone, Debug)]
pub struct InvalidateLayer {
    purger: Purger,
    tasks: TaskTracker,
}

impl InvalidateLayer {
    /// A layer that purges through `purger`.
    #[must_use]
    pub fn new(purger: Purger) -> Self {
        Self { purger, tasks: TaskTracker::new() }
    }

    /// Waits until the writes that run now have ended and are purged for. Bound it by a deadline of your own.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }
}

impl<S> Layer<S> for InvalidateLayer {
    type Service = Invalidate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Invalidate { inner, purger: self.purger.clone(), tasks: self.tasks.clone() }
    }
}

/// Service made by [`InvalidateLayer`].
#[derive(Clone, Debug)]
pub struct Invalidate<S> {
    inner: S,
    purger: Purger,
    tasks: TaskTracker,
}

impl<S, B, RB> Service<Request<B>> for Invalidate<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Send + 'static,
    RB: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<Oneshot<S, Request<B>>, RB, S::Error>;

    /// Always ready: the inner service is driven ready by the call that needs it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        if request::is_safe(req.method()) {
            return ResponseFuture { kind: Kind::Safe { inner: Oneshot::new(self.inner.clone(), req) } };
        }
        let (inner, purger) = (self.inner.clone(), self.purger.clone());
        let target = Written::of(&req);
        let task = self.tasks.spawn(async move {
            let (parts, body) = Oneshot::new(inner, req).await?.into_parts();
            // Only an answer that is no error says that something changed (RFC 9111 §4.4).
            let changed = parts.status.is_success() || parts.status.is_redirection();
            // A gateway that got no reply cannot tell: the write may have happened.
            let unknown = matches!(parts.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
            if changed || unknown {
                purge(&purger, stale_tags(&purger, target.as_ref(), &parts)).await;
            }
            Ok(Response::from_parts(parts, body))
        });
        ResponseFuture { kind: Kind::Unsafe { task } }
    }
}

/// The URI that a request writes to.
struct Written {
    scheme: String,
    authority: String,
    uri: Uri,
}

impl Written {
    fn of<B>(req: &Request<B>) -> Option<Self> {
        let (scheme, authority) = Keying::authority(req.uri(), req.headers())?;
        Some(Self { scheme: scheme.to_owned(), authority: authority.to_owned(), uri: req.uri().clone() })
    }

    /// `reference` resolved against this URI, if it is of the same origin.
    fn same_origin(&self, reference: &str) -> Option<(String, String)> {
        let reference = reference.split('#').next().unwrap_or_default();
        let whole;
        let reference = if reference.starts_with("//") {
            whole = format!("{}:{reference}", self.scheme);
            &whole
        } else {
            reference
        };
        match reference.parse::<Uri>().ok() {
            Some(uri) if uri.scheme().is_some() => {
                let same = uri.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case(&self.scheme))
                    && uri.authority().is_some_and(|a| a.as_str().eq_ignore_ascii_case(&self.authority));
                same.then(|| path_and_query(&uri))
            }
            Some(uri) if reference.starts_with('/') => Some(path_and_query(&uri)),
            _ => self.relative(reference),
        }
    }

    /// A reference relative to the target's path, or to the target itself where it is a query alone.
    fn relative(&self, reference: &str) -> Option<(String, String)> {
        let path = self.uri.path();
        let joined = match reference.strip_prefix('?') {
            Some(_) => format!("{path}{reference}"),
            None if reference.is_empty() || reference.contains("//") || reference.contains(':') => return None,
            None => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(directory, _)| directory)),
        };
        let uri: Uri = joined.parse().ok()?;
        let mut segments: Vec<&str> = Vec::new();
        for segment in uri.path().split('/').skip(1) {
            match segment {
                "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment),
            }
        }
        Some((format!("/{}", segments.join("/")), uri.query().unwrap_or_default().to_owned()))
    }
}

fn path_and_query(uri: &Uri) -> (String, String) {
    (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned())
}

/// What an answer makes stale: softly, and hard.
type Stale = [(PurgeKind, Vec<TagHash>); 2];

fn stale_tags(purger: &Purger, target: Option<&Written>, parts: &Parts) -> Stale {
    let mut tags = [(PurgeKind::Soft, Vec::new()), (PurgeKind::Hard, Vec::new())];
    for group in groups::invalidated(&parts.headers) {
        let tags = &mut tags[usize::from(group.kind == PurgeKind::Hard)].1;
        if let Some(Written { scheme, authority, .. }) = target {
            // A group belongs to the origin that names it (RFC 9875 §2.1).
            tags.push(TagHash::group(scheme, &authority.to_ascii_lowercase(), &purger.keying().tenant, &group.tag));
        }
        if purger.keying().mode == Mode::Guarded {
            // Our own handlers name in it what they tagged with `Cache-Tag`, one name space for the whole cache.
            tags.push(TagHash::user(&group.tag));
        }
    }
    if let Some(written) = target {
        let linked = [header::LOCATION, header::CONTENT_LOCATION];
        let linked = linked.iter().filter_map(|name| text(&parts.headers, name)).filter_map(|r| written.same_origin(r));
        for (path, query) in std::iter::once(path_and_query(&written.uri)).chain(linked) {
            // A URL without a key has nothing stored.
            if let Ok(located) = purger.keying().locate(&written.scheme, &written.authority, &path, &query) {
                tags[0].1.push(TagHash::key(&located.key.parts()));
            }
        }
    }
    tags
}

async fn purge(purger: &Purger, stale: Stale) {
    for (kind, tags) in stale.iter().filter(|(_, tags)| !tags.is_empty()) {
        purger.purge_tags(*kind, tags).await;
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pin_project_lite::pin_project! {
    /// Future of [`Invalidate`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, RB, E> {
        #[pin]
        kind: Kind<F, RB, E>,
    }
}

pin_project_lite::pin_project! {
    #[project = KindProj]
    enum Kind<F, RB, E> {
        Safe { #[pin] inner: F },
        Unsafe { task: tokio::task::JoinHandle<Result<Response<RB>, E>> },
    }
}

impl<F, RB, E> Future for ResponseFuture<F, RB, E>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().kind.project() {
            KindProj::Safe { inner } => inner.poll(cx),
            KindProj::Unsafe { task } => match ready!(Pin::new(task).poll(cx)).map_err(JoinError::try_into_panic) {
                Ok(result) => Poll::Ready(result),
                // The handler panicked: go on as if it had panicked here.
                Err(Ok(panic)) => std::panic::resume_unwind(panic),
                // Cancelled with the runtime that is shutting down: nobody will poll again.
                Err(Err(_)) => Poll::Pending,
            },
        }
    }
}

impl<F, RB, E> std::fmt::Debug for ResponseFuture<F, RB, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_within_one_origin() {
        let written =
            Written { scheme: "http".into(), authority: "h:1".into(), uri: Uri::from_static("/api/pitches/7") };
        let resolved = |reference: &str| written.same_origin(reference).map(|(path, _)| path);
        assert_eq!(resolved("/x?y#z").as_deref(), Some("/x"));
        assert_eq!(resolved("http://H:1/x").as_deref(), Some("/x"));
        for (reference, path) in
            [("8", "/api/pitches/8"), ("8/x", "/api/pitches/8/x"), ("../x", "/api/x"), ("?x=1", "/api/pitches/7")]
        {
            assert_eq!(resolved(reference).as_deref(), Some(path), "{reference}");
        }
        assert_eq!(resolved("http://other/x"), None);
        assert_eq!(resolved("https://h:1/x"), None);
        assert_eq!(resolved("//other/x"), None);
        assert_eq!(resolved("//h:1/x").as_deref(), Some("/x"));
    }
}
