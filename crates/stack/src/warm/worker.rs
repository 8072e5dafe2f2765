use std::{
    collections::{HashMap, HashSet},
    fmt,
    num::NonZeroUsize,
    pin::Pin,
    sync::atomic::Ordering,
    time::Duration,
};

use bytes::Bytes;
use edge_cache_core::{BoxError, CacheKey, FillLease, Freshness, Lease};
use edge_cache_warmer::{Ask, Finished, Go, Limits, Observer, Options, Outcome, Replay, Report, Target, run};
use http::{Request, Response};
use http_body::Body;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::{Readiness, Warming, ask::AskService, gate::Gate};

/// How often a node tells the others what is asked for there.
const SHARE: Duration = Duration::from_secs(30);
/// How often counts are halved.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// How often a start looks how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// For how many seconds from now each answer must be fresh, by the digest of what is asked.
pub type MinFresh = HashMap<u128, u64>;
type Before = Pin<Box<dyn Future<Output = Believed> + Send>>;

/// What of a snapshot may be used, as far as purges go that no tier remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Believed {
    /// All of it: nobody could purge while this process was down.
    Everything,
    /// What was kept under this [order of purges](edge_cache_core::marker::Fence::incarnation): whatever was purged since is known here.
    OfOrder(u128),
    /// Nothing: it is not known what was purged.
    Nothing,
}

/// Keeps a cache warm by asking the very service that clients ask: spawn its [`run`](Self::run), and drop it to stop.
///
/// ```
/// use axum::{Router, http::header::CACHE_CONTROL, routing::get};
/// use edge_cache::EdgeCache;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = EdgeCache::builder().build()?;
/// let app: Router = Router::new()
///     .route("/", get(|| async { ([(CACHE_CONTROL, "max-age=60")], "hello") }))
///     .layer(cache.layer());
/// if let Some(warmer) = cache.warmer(app.clone()) {
///     tokio::spawn(warmer.run::<axum::body::Body, _>());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a warmer does nothing until it runs"]
pub struct Warmer<S> {
    warming: Warming,
    service: S,
    plan: Vec<Replay>,
    before: Before,
}

impl<S> fmt::Debug for Warmer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warmer").field("plan", &self.plan.len()).finish_non_exhaustive()
    }
}

impl<S> Warmer<S> {
    pub(crate) fn new(warming: Warming, service: S) -> Self {
        warming.0.gate.close();
        Self { warming, service, plan: Vec::new(), before: Box::pin(std::future::ready(Believed::Everything)) }
    }

    /// Asks for these too, in every round and at the start.
    pub fn plan(mut self, plan: impl IntoIterator<Item = Replay>) -> Self {
        self.plan.extend(plan);
        self
    }

    /// What the run before held is believed as far as `before` says, once everything purged meanwhile is known here. What takes longer than
    /// the node may take to be ready is forgotten.
    pub fn after(mut self, before: impl Future<Output = Believed> + Send + 'static) -> Self {
        self.before = Box::pin(before);
        self
    }

    /// Warms without end.
    pub async fn run<B, RB>(self)
    where
        S: Service<Request<B>, Response = Response<RB>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Default + Send + 'static,
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<BoxError>,
    {
        let Self { warming, service, plan, before } = self;
        let share = async {
            let (mut share, mut halve) = (interval(SHARE), interval(HALF_LIFE));
            share.set_missed_tick_behavior(MissedTickBehavior::Delay);
            halve.set_missed_tick_behavior(MissedTickBehavior::Delay);
            halve.tick().await;
            loop {
                tokio::select! {
                    _ = share.tick() => warming.share().await,
                    _ = halve.tick() => warming.0.hot.decay(),
                }
            }
        };
        // Dropped, nobody warms any more: who waits for it would wait for ever.
        let _opens = OpensAtEnd(warming.0.gate.clone());
        let warm = async {
            let asker = |min_fresh| AskService::<S, B>::new(service.clone(), warming.0.settings.timeout, min_fresh);
            let mut lead = Lead(None);
            warming.start(&asker, &plan, before, &mut lead).await;
            warming.rounds(&asker, &plan, &mut lead).await;
        };
        tokio::join!(share, warm);
    }
}

struct OpensAtEnd(Gate);

impl Drop for OpensAtEnd {
    fn drop(&mut self) {
        self.0.open(Readiness::Unwarmed);
    }
}

/// The right to be the one node of all that asks the origin, as long as this worker lives.
pub(super) struct Lead(pub(super) Option<FillLease>);

impl Warming {
    async fn start<A: Ask>(&self, asker: &impl Fn(MinFresh) -> A, plan: &[Replay], before: Before, lead: &mut Lead) {
        let (settings, began) = (&self.0.settings, Instant::now());
        let mut work = Box::pin(async {
            let believed = timeout(settings.ready_timeout, before).await.unwrap_or(Believed::Nothing);
            let mut hot = self.restore(believed).await;
            let known: HashSet<CacheKey> = hot.iter().cloned().collect();
            // Not what is asked for here meanwhile: that is warm already, or was purged.
            let shared = loop {
                match self.shared().await {
                    Some(shared) => break shared,
                    None if self.is_ready() => break Vec::new(),
                    None => sleep(LOOK).await,
                }
            };
            hot.extend(shared.into_iter().filter(|key| !known.contains(key)));
            self.promote(&hot).await;
            self.look(&hot).await;
            // What is missing is asked of the origin, for as long as it takes; whether that is waited for is another matter.
            let asking = async {
                let missing = if self.is_ready() { &[] } else { &hot[..] };
                if !(missing.is_empty() && plan.is_empty()) && self.leads(lead).await {
                    let missing = missing.iter().filter_map(Replay::of_key);
                    self.ask(asker(MinFresh::new()), missing.chain(plan.iter().cloned()).collect()).await;
                }
            };
            let watching = async {
                while !self.is_ready() {
                    sleep(LOOK).await;
                    self.look(&hot).await;
                }
            };
            tokio::join!(asking, watching);
            self.look(&hot).await;
        });
        tokio::select! {
            () = &mut work => {}
            () = sleep(settings.ready_timeout) => {
                self.0.gate.open(Readiness::TimedOut);
                work.await;
            }
        }
        let warmth = self.warmth();
        let (readiness, held, hot) = (warmth.readiness.as_str(), warmth.held, warmth.hot);
        tracing::info!(readiness, held, hot, took_ms = began.elapsed().as_millis(), "the node has been warmed");
    }

    /// Notes how many of `hot` are held.
    async fn look(&self, hot: &[CacheKey]) {
        let mut held = 0;
        for key in hot {
            held += usize::from(self.freshness(key).await.is_some());
        }
        self.0.gate.note(held, hot.len(), self.0.settings.ready_share);
    }

    /// The life of what is held fresh, in memory or in what stands in for it.
    async fn freshness(&self, key: &CacheKey) -> Option<Freshness> {
        let tier = self.0.memory.as_ref().map(|(_, memory)| memory).or(self.0.further.as_ref())?;
        tier.freshness(key).await
    }

    fn is_ready(&self) -> bool {
        self.warmth().readiness.is_ready()
    }

    async fn rounds<A: Ask>(&self, asker: &impl Fn(MinFresh) -> A, plan: &[Replay], lead: &mut Lead) {
        let every = self.0.settings.every;
        if every.is_zero() {
            return std::future::pending().await;
        }
        loop {
            // A tenth more or less, so that nodes that began together do not stay so.
            sleep(every.mul_f64(0.9 + 0.2 * self.0.rng.unit())).await;
            self.round(asker, plan, lead).await;
        }
    }

    /// One round: what is hot and ends before the next one is asked for by the node that leads; the others take what it has stored.
    pub(super) async fn round<A: Ask>(&self, asker: &impl Fn(MinFresh) -> A, plan: &[Replay], lead: &mut Lead) {
        self.share().await;
        let keys = self.hottest().await;
        if !self.leads(lead).await {
            return self.promote(&keys).await;
        }
        self.0.done.rounds.fetch_add(1, Ordering::Relaxed);
        // Until the next round has come to its end.
        let settings = &self.0.settings;
        let lasts =
            Duration::from_secs(1) / settings.rate.max(1) * u32::try_from(keys.len() + plan.len()).unwrap_or(u32::MAX);
        let horizon = settings.every.mul_f64(1.1) + lasts;
        let now = self.0.clock.now();
        let mut min_fresh = MinFresh::new();
        let mut replays = Vec::with_capacity(keys.len() + plan.len());
        for key in &keys {
            let Some(replay) = Replay::of_key(key) else { continue };
            if let Some(Freshness { stored, fresh_until, .. }) = self.freshness(key).await {
                // Half of a short lifetime: else what can never be fresh for as long would be asked for each time.
                let wanted = horizon.min(fresh_until.since(stored) / 2);
                if fresh_until.since(now) >= wanted {
                    self.0.done.fresh.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                min_fresh.insert(replay.digest(), wanted.as_secs() + 1);
            }
            replays.push(replay);
        }
        replays.extend(plan.iter().cloned());
        self.ask(asker(min_fresh), replays).await;
    }

    /// Whether this node is the one that asks the origin. It stays so until its worker ends, or Redis says otherwise.
    async fn leads(&self, lead: &mut Lead) -> bool {
        let Some(board) = &self.0.board else { return true };
        if lead.0.as_ref().is_some_and(FillLease::is_lost) {
            lead.0 = None;
        }
        if lead.0.is_none() {
            match board.lead().await {
                Lease::Granted(lease) => lead.0 = Some(lease),
                // Also without an answer: Redis protects the origin no more then, and the others would all ask at once.
                Lease::Taken | Lease::Free => return false,
            }
        }
        true
    }

    async fn ask<A: Ask>(&self, asker: A, replays: Vec<Replay>) {
        let settings = &self.0.settings;
        let limits = Limits {
            interval: Duration::from_secs(1) / settings.rate.max(1),
            concurrency: NonZeroUsize::new(settings.concurrency).unwrap_or(NonZeroUsize::MIN),
            timeout: settings.timeout,
            ..Limits::default()
        };
        // In this process it is known whether an answer was stored.
        let options = Options { limits, refresh: false, verify: false };
        let targets = vec![Target { name: String::new(), asker, replays }];
        let gate = || if self.is_pressed() { Go::Stop } else { Go::Go };
        let report = run(targets, &options, &mut Counting(self), gate, &CancellationToken::new()).await;
        let Report { warmed, fresh, stopped, seconds, .. } = report;
        if stopped {
            self.0.done.stopped.fetch_add(1, Ordering::Relaxed);
        }
        let failed = report.failed_count();
        tracing::debug!(warmed, fresh, failed, stopped, seconds, "asked for what is hot");
    }
}

/// Counts what comes of a round, as it comes.
struct Counting<'a>(&'a Warming);

impl Observer for Counting<'_> {
    fn finished(&mut self, finished: &Finished<'_>) {
        let done = &self.0.0.done;
        let count = match finished.outcome {
            Outcome::Warmed => &done.warmed,
            Outcome::Fresh => &done.fresh,
            Outcome::Failed(_) => &done.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
