//! Whether what is declared of routes, that their answers do not depend on who asks, is still believed; and samples of requests by which to find out.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_core::{
    Mode, SharedClock,
    route::{Identity, Route, Routes},
};
use edge_cache_policy::{identity::Distrust, steering};
use http::{HeaderMap, HeaderName, Method, Uri, Version, header, request::Parts};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

/// Samples that wait to be looked at: more are dropped.
const QUEUE: usize = 16;
const NEVER: i64 = i64::MIN;

/// The declared routes of a cache, and which of them are not believed any more. Clones share it.
#[derive(Clone)]
pub struct IdentityWatch(Arc<Inner>);

struct Inner {
    /// By their place among all routes.
    routes: Box<[Declared]>,
    shared: Arc<Shared>,
}

/// What outlives a change of the declarations.
struct Shared {
    /// The declarations of now: what is found out late counts for them too.
    latest: Mutex<Weak<Inner>>,
    clock: SharedClock,
    sampling: OnceLock<Sampling>,
    /// Somebody was distrusted.
    news: Notify,
    results: [AtomicU64; CheckResult::ALL.len()],
}

struct Declared {
    name: String,
    identity: Identity,
    /// Set once, and for good: only another declaration could be better.
    distrusted: OnceLock<Distrust>,
    is_told: AtomicBool,
    sampled: AtomicI64,
}

#[derive(Debug)]
struct Sampling {
    every: Duration,
    queue: mpsc::Sender<Sample>,
}

/// A request as a client sent it, with the credentials that its route's declaration takes off, and without what makes its answer another: conditions,
/// ranges, codings.
#[derive(Clone)]
pub struct Sample {
    /// Whose route it is.
    pub watch: IdentityWatch,
    /// The route's place among all.
    pub route_at: usize,
    /// What was asked for, in the canonical spelling.
    pub uri: Uri,
    /// The version.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither target nor headers: they are a client's.
        f.debug_struct("Sample").field("route_at", &self.route_at).finish_non_exhaustive()
    }
}

/// What came of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// The declaration holds.
    Same,
    /// It does not.
    Differs,
    /// Nothing can be said: what is answered without credentials changes by itself, or is too long, or the credentials were refused.
    Undecided,
    /// The origin failed, or had no time for it.
    Failed,
    /// It was not looked at: the origin was pressed, or there were too many.
    Dropped,
}

impl CheckResult {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Same, Self::Differs, Self::Undecided, Self::Failed, Self::Dropped];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Undecided => "undecided",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Debug for IdentityWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityWatch").field("sampling", &self.0.shared.sampling).finish_non_exhaustive()
    }
}

impl IdentityWatch {
    /// Watches those of `routes` that declare an identity, under `mode` where they have no rules of their own. Under [`Mode::Rfc`] nothing is declared.
    #[must_use]
    pub fn new(routes: &Routes, mode: Mode, clock: SharedClock) -> Self {
        let shared = Shared {
            latest: Mutex::default(),
            clock,
            sampling: OnceLock::new(),
            news: Notify::new(),
            results: Default::default(),
        };
        Self::over(routes, mode, &Arc::new(shared))
    }

    fn over(routes: &Routes, mode: Mode, shared: &Arc<Shared>) -> Self {
        let declared = |route: &Route| {
            let counts = route.policy.unwrap_or(mode) == Mode::Guarded && !route.uncacheable;
            Declared {
                name: route.name.clone().into_owned(),
                identity: if counts { route.identity.clone() } else { Identity::Private },
                distrusted: OnceLock::new(),
                is_told: AtomicBool::new(false),
                sampled: AtomicI64::new(NEVER),
            }
        };
        let routes = routes.iter().map(declared).collect();
        let new = Arc::new(Inner { routes, shared: Arc::clone(shared) });
        *shared.latest.lock() = Arc::downgrade(&new);
        Self(new)
    }

    /// The same for other declarations. What was not believed and is declared as before is not believed now.
    #[must_use]
    pub fn redeclared(&self, routes: &Routes, mode: Mode) -> Self {
        // Known as the latest before anything is copied, so that nothing falls between.
        let new = Self::over(routes, mode, &self.0.shared);
        for route in &new.0.routes {
            let same = |old: &&Declared| old.name == route.name && old.identity == route.identity;
            let distrusted = self.0.routes.iter().find(same).and_then(|old| old.distrusted.get());
            if let Some(why) = distrusted {
                route.distrusted.get_or_init(|| *why);
            }
        }
        // Whatever of that is not purged yet.
        self.0.shared.news.notify_one();
        new
    }

    /// From now on samples are taken: of each route one in `every` at most. `None` where they are taken already.
    pub fn sample(&self, every: Duration) -> Option<mpsc::Receiver<Sample>> {
        let (queue, samples) = mpsc::channel(QUEUE);
        self.0.shared.sampling.set(Sampling { every, queue }).ok().map(|()| samples)
    }

    /// Whether the declaration of the route at this place is not believed any more.
    #[must_use]
    pub fn is_distrusted(&self, route_at: usize) -> bool {
        self.0.routes.get(route_at).is_some_and(|route| route.distrusted.get().is_some())
    }

    /// The routes that declare an identity: place, name, and why they are not believed any more.
    pub fn declared(&self) -> impl Iterator<Item = (usize, &str, Option<Distrust>)> {
        let all = self.0.routes.iter().enumerate().filter(|(_, route)| route.is_declared());
        all.map(|(at, route)| (at, route.name.as_str(), route.distrusted.get().copied()))
    }

    /// What is declared of the route at this place.
    #[must_use]
    pub fn identity(&self, route_at: usize) -> &Identity {
        self.0.routes.get(route_at).map_or(&Identity::Private, |route| &route.identity)
    }

    /// Believes a route's declaration no more. From here on its requests go past the cache; [`untold`](Self::untold) tells whoever purges.
    pub fn distrust(&self, route_at: usize, why: Distrust) {
        let Some(route) = self.0.routes.get(route_at).filter(|route| route.is_declared()) else { return };
        let latest = self.0.shared.latest.lock().upgrade().filter(|latest| !Arc::ptr_eq(latest, &self.0));
        if let Some(latest) = latest.map(Self) {
            let same = |later: &Declared| later.name == route.name && later.identity == route.identity;
            latest.0.routes.iter().position(same).into_iter().for_each(|at| latest.distrust(at, why));
        }
        if route.distrusted.set(why).is_err() {
            return;
        }
        let (name, why) = (&route.name, why.as_reason());
        tracing::error!(
            target: "edge_cache::identity",
            route = name,
            "the answers of a route depend on who asks, against its declaration: {why}. Nothing of it is cached any more, until it is declared otherwise"
        );
        self.0.shared.news.notify_one();
    }

    /// Routes that came to be distrusted since this was asked last, for the one who purges them.
    #[must_use]
    pub fn untold(&self) -> Vec<usize> {
        let all = self.0.routes.iter().enumerate();
        let news =
            all.filter(|(_, route)| route.distrusted.get().is_some() && !route.is_told.swap(true, Ordering::Relaxed));
        news.map(|(at, _)| at).collect()
    }

    /// Waits until some may be [untold](Self::untold), of these or of later declarations.
    pub async fn news(&self) {
        self.0.shared.news.notified().await;
    }

    /// Counts what came of a sample.
    pub fn count(&self, result: CheckResult) {
        self.0.shared.results[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many samples came to this.
    #[must_use]
    pub fn counted(&self, result: CheckResult) -> u64 {
        self.0.shared.results[result as usize].load(Ordering::Relaxed)
    }

    /// The headers of a request as they are now, if it bears credentials and it is time for a sample of its route.
    pub(crate) fn wanted(&self, route_at: usize, parts: &Parts) -> Option<HeaderMap> {
        let bears = parts.headers.contains_key(header::COOKIE) || parts.headers.contains_key(header::AUTHORIZATION);
        if !bears || parts.method != Method::GET {
            return None;
        }
        let (sampling, route) = (self.0.shared.sampling.get()?, self.0.routes.get(route_at)?);
        route.due(sampling.every, self.0.shared.clock.now().as_millis())?;
        Some(parts.headers.clone())
    }

    /// Hands in a sample, unless another of the route came first; without what steers the origin, `further` names included.
    pub(crate) fn offer(&self, mut sample: Sample, further: &[HeaderName]) {
        let (Some(sampling), Some(route)) = (self.0.shared.sampling.get(), self.0.routes.get(sample.route_at)) else {
            return;
        };
        let now = self.0.shared.clock.now().as_millis();
        let is_first = route.due(sampling.every, now).is_some_and(|last| {
            route.sampled.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        if !is_first {
            return;
        }
        steering::strip(&mut sample.headers, further);
        for name in [
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_UNMODIFIED_SINCE,
            header::ACCEPT_ENCODING,
        ] {
            sample.headers.remove(name);
        }
        if sampling.queue.try_send(sample).is_err() {
            self.count(CheckResult::Dropped);
        }
    }
}

impl Declared {
    fn is_declared(&self) -> bool {
        !matches!(self.identity, Identity::Private)
    }

    /// When the last sample was taken, if it is time for the next. A clock that was set back does not make it late.
    fn due(&self, every: Duration, now: i64) -> Option<i64> {
        let last = self.sampled.load(Ordering::Relaxed);
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        let is_due = last == NEVER || now < last || now.saturating_sub(last) >= every;
        (is_due && self.is_declared()).then_some(last)
    }
}

/// What is believed of one route, handed inward with its requests.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    pub(crate) watch: IdentityWatch,
    pub(crate) route_at: usize,
}

#[cfg(test)]
mod tests;
