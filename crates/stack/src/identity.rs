//! Finds out whether routes that are declared not to depend on who asks do: a sample of what clients ask with credentials is asked of the origin again, with
//! them and without.

use std::{fmt, pin::pin, time::Duration};

use bytes::Bytes;
use edge_cache_core::{
    BoxError, Deadline, Level, OwnRequest, Pressure, Priority, PurgedBy, TagHash, marker::PurgeKind,
};
use edge_cache_policy::identity::{Compared, Distrust, Likeness, is_no_answer, said_against};
use edge_cache_telemetry::{Metrics, Reading, catalogue};
use edge_cache_tier::{
    Audit, IdentityWatch, Purger, RequestBody,
    identity::{CheckResult, Sample},
};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tower::{Service, ServiceExt};
use xxhash_rust::xxh3::Xxh3;

/// Longest body that is compared. Of longer ones nothing can be said.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Longest time that the origin may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is asked after a first answer without credentials: with them (`true`) or without. Asked in turn, a page that is one of two, or the newer of two
/// origins, would be taken for one that depends on who asks; by chance it is so once in 64 times.
const ORDER: [bool; 6] = [true, false, false, true, true, false];

/// An origin that samples can be asked of: whatever may stand behind the cache, for requests with bodies `B`. There is nothing to implement.
pub trait Asked<B>:
    Service<Request<RequestBody<B>>, Response = Response<Self::Body>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// Of its answers.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B, RB> Asked<B> for S
where
    S: Service<Request<RequestBody<B>>, Response = Response<RB>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    RB: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = RB;
}

/// Asks the origin about samples: spawn its [`run`](Self::run), and drop it to stop.
///
/// ```
/// use axum::{Router, http::header::CACHE_CONTROL, routing::get};
/// use edge_cache::{EdgeCache, Route, core::route::{Identity, PathPattern}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut lists = Route::new("lists", PathPattern::parse("/lists/*")?);
/// lists.identity = Identity::Free;
/// let cache = EdgeCache::builder().routes([lists]).build()?;
/// let handlers = Router::new().route("/lists/all", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "all") }));
/// let app: Router = handlers.clone().layer(cache.layer());
/// if let Some(check) = cache.identity_check(handlers) {
///     tokio::spawn(check.run::<axum::body::Body>());
/// }
/// // It purges what is found to be wrong.
/// tokio::spawn(cache.housekeeping());
/// # drop(app);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is asked before it runs"]
pub struct IdentityCheck<S> {
    watch: IdentityWatch,
    samples: mpsc::Receiver<Sample>,
    pressures: Vec<Pressure>,
    origin: S,
}

impl<S> fmt::Debug for IdentityCheck<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityCheck").field("watch", &self.watch).finish_non_exhaustive()
    }
}

/// What one answer was.
enum Answer {
    Of(Likeness),
    /// It says itself that it depends on who asks.
    Against(Distrust),
    /// None came, or not in time.
    None,
    TooLong,
}

impl<S> IdentityCheck<S> {
    pub(crate) const fn new(
        watch: IdentityWatch,
        samples: mpsc::Receiver<Sample>,
        pressures: Vec<Pressure>,
        origin: S,
    ) -> Self {
        Self { watch, samples, pressures, origin }
    }

    /// Checks without end.
    #[expect(clippy::manual_async_fn, reason = "whoever boxes it could not see through the alias that it is `Send`")]
    pub fn run<B: Send + 'static>(mut self) -> impl Future<Output = ()> + Send
    where
        S: Asked<B>,
    {
        async move {
            while let Some(sample) = self.samples.recv().await {
                self.judge(&sample).await;
            }
        }
    }

    async fn judge<B>(&self, sample: &Sample)
    where
        S: Asked<B>,
    {
        let is_pressed = self.pressures.iter().any(|pressure| pressure.level() >= Level::Trim);
        if is_pressed || sample.watch.is_distrusted(sample.route_at) {
            self.watch.count(CheckResult::Dropped);
            return;
        }
        let result = match self.check(sample).await {
            Some(Compared::Same) => CheckResult::Same,
            Some(Compared::Undecided) => CheckResult::Undecided,
            None => CheckResult::Failed,
            Some(Compared::Differs(why)) => {
                sample.watch.distrust(sample.route_at, why);
                CheckResult::Differs
            }
        };
        self.watch.count(result);
    }

    /// What the origin's answers say; `None` where it failed.
    async fn check<B>(&self, sample: &Sample) -> Option<Compared>
    where
        S: Asked<B>,
    {
        let mut anonymous = sample.headers.clone();
        anonymous.remove(header::COOKIE);
        anonymous.remove(header::AUTHORIZATION);
        let first = match self.ask(sample, &anonymous).await {
            Answer::Of(likeness) => likeness,
            other => return other.alone(),
        };
        let mut found = Compared::Undecided;
        for with_credentials in ORDER {
            let headers = if with_credentials { &sample.headers } else { &anonymous };
            let answer = match self.ask(sample, headers).await {
                Answer::Of(likeness) => likeness,
                other => return other.alone(),
            };
            found = match (found, first.compare(&answer)) {
                // It changes by itself.
                (_, Compared::Differs(_) | Compared::Undecided) if !with_credentials => {
                    return Some(Compared::Undecided);
                }
                (found, _) if !with_credentials => found,
                (Compared::Undecided, Compared::Differs(why)) => Compared::Differs(why),
                (Compared::Undecided, said) => return Some(said),
                (found, Compared::Differs(_)) => found,
                (_, Compared::Same | Compared::Undecided) => return Some(Compared::Undecided),
            };
        }
        Some(found)
    }

    /// Asks the origin as for a refresh: what has no room for it refuses it first, and no client waits for it.
    async fn ask<B>(&self, sample: &Sample, headers: &HeaderMap) -> Answer
    where
        S: Asked<B>,
    {
        let mut request = Request::new(RequestBody::default());
        request.uri_mut().clone_from(&sample.uri);
        *request.version_mut() = sample.version;
        request.headers_mut().clone_from(headers);
        request.extensions_mut().insert(OwnRequest);
        request.extensions_mut().insert(Priority::Refresh);
        request.extensions_mut().insert(Deadline((Instant::now() + PATIENCE).into_std()));
        let asked = async {
            let Ok(response) = self.origin.clone().oneshot(request).await else { return Answer::None };
            let (parts, body) = response.into_parts();
            if is_no_answer(parts.status) {
                return Answer::None;
            }
            match said_against(sample.watch.identity(sample.route_at), parts.status, &parts.headers) {
                Some(why) => Answer::Against(why),
                None => read(parts.status, &parts.headers, body).await,
            }
        };
        timeout(PATIENCE, asked).await.unwrap_or(Answer::None)
    }
}

impl Answer {
    /// What an answer that cannot be compared says.
    fn alone(self) -> Option<Compared> {
        match self {
            Self::Against(why) => Some(Compared::Differs(why)),
            Self::None => None,
            Self::Of(_) | Self::TooLong => Some(Compared::Undecided),
        }
    }
}

/// Reads a body to its end; only its digest is kept.
async fn read<RB>(status: StatusCode, headers: &HeaderMap, body: RB) -> Answer
where
    RB: Body<Data = Bytes>,
{
    let (mut body, mut hasher, mut len) = (pin!(body), Xxh3::new(), 0);
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else { return Answer::None };
        let Some(data) = frame.data_ref() else { continue };
        len += data.len();
        if len > BODY_BYTES_MAX {
            return Answer::TooLong;
        }
        hasher.update(data);
    }
    Answer::Of(Likeness::of(status, headers, hasher.digest128()))
}

/// Purges what is stored of routes that are not believed any more, without end.
pub(crate) async fn purge(purger: &Purger) {
    loop {
        // The declarations of now: others may have taken the place of those.
        let keying = purger.keying();
        let Some(watch) = &keying.identity else { return };
        for route_at in watch.untold() {
            let Some((_, name, Some(why))) = watch.declared().find(|(at, ..)| *at == route_at) else { continue };
            let tags = [TagHash::route(&keying.tenant, name)];
            let receipt = purger.purge_tags(PurgeKind::Hard, &tags).await;
            let audit = Audit {
                by: PurgedBy::Distrust,
                actor: "identity check".to_owned(),
                reason: why.as_reason().to_owned(),
                what: format!("route {name}"),
                kind: PurgeKind::Hard,
            };
            purger.audit(&audit, &receipt);
        }
        watch.news().await;
    }
}

/// Shows which routes are believed, of those that are declared at the start, and what came of the samples.
pub(crate) fn show(watch: &IdentityWatch, purger: &Purger, metrics: &Metrics) {
    for (_, name, _) in watch.declared() {
        let (purger, route) = (purger.clone(), name.to_owned());
        let is_distrusted = move || {
            let keying = purger.keying();
            let mut declared = keying.identity.iter().flat_map(IdentityWatch::declared);
            declared.any(|(_, name, why)| name == route && why.is_some())
        };
        let gauge = Reading::gauge(&catalogue::IDENTITY_DISTRUSTED, move || f64::from(u8::from(is_distrusted())));
        metrics.read_at_scrape(gauge.labelled(name.to_owned()));
    }
    for result in CheckResult::ALL {
        let watch = watch.clone();
        let counter = Reading::counter(&catalogue::IDENTITY_CHECKS, move || watch.counted(result));
        metrics.read_at_scrape(counter.labelled(result.as_str()));
    }
}

#[cfg(test)]
mod tests;
