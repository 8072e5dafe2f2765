//! Unsafe requests: run to their end, and what their answers make stale is purged before the client hears of it.
//!
//! Purged are the target URI, same-origin `Location` and `Content-Location` (RFC 9111 §4.4), and the groups that
//! `Cache-Group-Invalidation` names (RFC 9875), whenever the answer is no error, or does not tell whether the write happened. An answer to a POST that stands for later GETs is kept. The request runs in a task of its own: a client
//! that leaves cannot keep a write from being purged.

mod answer;
mod by_method;
mod written;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use edge_cache_core::{
    BoxError, TagHash, Trail,
    headers::CACHE_GROUP_INVALIDATION,
    marker::{Guard, PurgeKind, Start},
};
use edge_cache_policy::{Mode, groups, request};
use http::{Extensions, HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;
use tower::util::Oneshot;
use tower_layer::Layer;
use tower_service::Service;

use self::{
    answer::Post,
    written::{Written, path_and_query},
};
use crate::{Keeper, Purger, TierBody, shared_body::SharedBody};

/// Longest silence within a body that is kept; the same as a tier's default.
const BODY_IDLE_MAX: Duration = Duration::from_secs(30);

/// Purges what unsafe requests make stale; see the [module docs](self).
#[derive(Clone, Debug)]
pub struct InvalidateLayer {
    purger: Purger,
    keepers: Arc<[Keeper]>,
    tasks: TaskTracker,
    after: Option<AfterWrite>,
}

/// Hears of a write whose answer named what it made stale, once that is purged and acknowledged: with the answer's extensions.
#[derive(Clone)]
pub struct AfterWrite(Arc<dyn Fn(&Extensions) + Send + Sync>);

impl AfterWrite {
    /// Calls `hear`, which must not block.
    pub fn new(hear: impl Fn(&Extensions) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }
}

impl std::fmt::Debug for AfterWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AfterWrite")
    }
}

impl InvalidateLayer {
    /// A layer that purges through `purger`.
    #[must_use]
    pub fn new(purger: Purger) -> Self {
        Self { purger, keepers: Arc::new([]), tasks: TaskTracker::new(), after: None }
    }

    /// Who hears of writes that are purged for. Default: nobody.
    #[must_use]
    pub fn after(mut self, after: Option<AfterWrite>) -> Self {
        self.after = after;
        self
    }

    /// The tiers in which answers to a POST are kept that stand for later GETs (RFC 9110 §9.3.3). Default: none.
    #[must_use]
    pub fn keeping(mut self, tiers: impl IntoIterator<Item = Keeper>) -> Self {
        self.keepers = tiers.into_iter().collect();
        self
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
        let Self { purger, keepers, tasks, after } = self.clone();
        Invalidate { inner, purger, keepers, tasks, after }
    }
}

/// Service made by [`InvalidateLayer`].
#[derive(Clone, Debug)]
pub struct Invalidate<S> {
    inner: S,
    purger: Purger,
    keepers: Arc<[Keeper]>,
    tasks: TaskTracker,
    after: Option<AfterWrite>,
}

impl<S, B, RB> Service<Request<B>> for Invalidate<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    type Response = Response<TierBody<RB>>;
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
        let Self { inner, purger, keepers, tasks, after } = self.clone();
        let written = Written::of(&req);
        if by_method::is_asked(&purger, &req) {
            let (trusted, hard) = (by_method::is_trusted(&req), by_method::is_hard(&req));
            let task = self.tasks.spawn(async move { Ok(by_method::purge(purger, written, trusted, hard).await) });
            return ResponseFuture { kind: Kind::Unsafe { task } };
        }
        let what = format!("{} {}", req.method(), req.uri().path());
        let trail = Trail::of(req.extensions());
        let post = (!keepers.is_empty()).then(|| Post::of(&req, written.as_ref(), &purger)).flatten();
        let task = self.tasks.spawn(async move {
            let (parts, body) = match Oneshot::new(inner, req).await {
                Ok(response) => response.into_parts(),
                Err(error) => {
                    // Whether the write happened, nobody can tell.
                    let (stale, _) = stale_tags(&purger, written.as_ref(), &HeaderMap::new());
                    purge(&purger, stale, None).await;
                    return Err(error);
                }
            };
            // Only an answer that is no error says that something changed (RFC 9111 §4.4).
            let changed = parts.status.is_success() || parts.status.is_redirection();
            // A gateway that got no reply cannot tell: the write may have happened.
            let unknown = matches!(parts.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
            if !(changed || unknown) {
                return Ok(Response::from_parts(parts, TierBody::inner(body)));
            }
            let max = keepers.iter().map(|keeper| keeper.0.body_bytes_max()).min().unwrap_or(0);
            let kept = match (&written, post) {
                (Some(written), Some(post)) if body.size_hint().exact().is_some_and(|len| len <= max) => {
                    post.head(&parts, written, &keepers, purger.now()).map(|(head, guard)| (post, head, guard))
                }
                _ => None,
            };
            let (stale, mode) = stale_tags(&purger, written.as_ref(), &parts.headers);
            let took = stale.each_ref().map(|(kind, tags)| (*kind, tags.len()));
            let (start, acknowledged) = purge(&purger, stale, kept.as_ref().map(|(_, _, guard)| guard)).await;
            for (kind, tags) in took.into_iter().filter(|(_, tags)| *tags > 0) {
                trail.note("purge", format!("{}: {tags} tags", kind.as_str()));
                purger.wrote(&what, kind, tags);
            }
            if !acknowledged {
                trail.note("purge", "not yet known to be everywhere");
            }
            // To the letter of RFC 9875 the groups are no tags: then what the answer names is not all that was made stale.
            let named = mode == Mode::Guarded && parts.headers.contains_key(CACHE_GROUP_INVALIDATION);
            if let (Some(after), true) = (&after, acknowledged && named) {
                after.0(&parts.extensions);
            }
            let (Some(start), Some((post, head, _))) = (start, kept) else {
                return Ok(Response::from_parts(parts, TierBody::inner(body)));
            };
            let shared = SharedBody::new(body.size_hint().exact());
            let reader = shared.reader().expect("nothing was read yet");
            tasks.spawn(post.stream(head, start, body, shared, keepers, BODY_IDLE_MAX));
            Ok(Response::from_parts(parts, TierBody::growing(reader)))
        });
        ResponseFuture { kind: Kind::Unsafe { task } }
    }
}

/// What an answer makes stale: softly, and hard.
type Stale = [(PurgeKind, Vec<TagHash>); 2];

/// What a write to `target` makes stale by an answer with these headers, and the rules that say so.
fn stale_tags(purger: &Purger, target: Option<&Written>, headers: &HeaderMap) -> (Stale, Mode) {
    let mut tags = [(PurgeKind::Soft, Vec::new()), (PurgeKind::Hard, Vec::new())];
    // The rules of the route that was written to; those of the whole where the URI has no key.
    let mode = target.and_then(|written| {
        let (path, query) = path_and_query(&written.uri);
        purger.keying().locate(&written.scheme, &written.authority, &path, &query).ok()
    });
    let mode = mode.map_or(purger.keying().mode, |located| located.mode);
    for group in groups::invalidated(headers) {
        let tags = &mut tags[usize::from(group.kind == PurgeKind::Hard)].1;
        if let Some(Written { scheme, authority, .. }) = target {
            // A group belongs to the origin that names it (RFC 9875 §2.1).
            tags.push(TagHash::group(scheme, &authority.to_ascii_lowercase(), &purger.keying().tenant, &group.tag));
        }
        if mode == Mode::Guarded {
            // Our own handlers name in it what they tagged with `Cache-Tag`, one name space for the whole cache.
            tags.push(TagHash::user(&group.tag));
        }
    }
    if let Some(written) = target {
        let linked = [header::LOCATION, header::CONTENT_LOCATION];
        let linked = linked.iter().filter_map(|name| text(headers, name)).filter_map(|r| written.same_origin(r));
        for (path, query) in std::iter::once(path_and_query(&written.uri)).chain(linked) {
            // A URL without a key has nothing stored.
            if let Ok(located) = purger.keying().locate(&written.scheme, &written.authority, &path, &query) {
                tags[0].1.push(TagHash::key(&located.key.parts()));
            }
        }
    }
    (tags, mode)
}

/// Purges; tells whether that is acknowledged, and the start of an answer that is as new as the purge of its own URI, if `guard` holds. That purge, a soft one, comes last,
/// so that the answer is newer than all that it purges itself.
async fn purge(purger: &Purger, stale: Stale, guard: Option<&Guard>) -> (Option<Start>, bool) {
    let [(soft, own), (hard, groups)] = stale;
    let groups = groups.is_empty() || purger.purge_tags(hard, &groups).await.acknowledged;
    if own.is_empty() {
        return (None, groups);
    }
    let (own, start) = purger.purge_guarded(soft, &own, guard).await;
    (start, groups && own.acknowledged)
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
        Unsafe { task: tokio::task::JoinHandle<Result<Response<TierBody<RB>>, E>> },
    }
}

impl<F, RB, E> Future for ResponseFuture<F, RB, E>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<TierBody<RB>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Safe { inner } => inner.poll(cx).map_ok(|response| response.map(TierBody::inner)),
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
