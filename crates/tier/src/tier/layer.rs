use std::{sync::Arc, time::Duration};

use edge_cache_core::{
    NoEvents, NoStore, Pressure, SharedClock, SharedEvents, SharedRng, Store, SystemClock, SystemRng, marker::Markers,
};
use tokio_util::task::TaskTracker;
use tower_layer::Layer;

use super::Tier;
use crate::{explain::Explainer, flight::Flights, keeper::Keeper, notes::Notes};

/// What a tier waits for, and how long.
#[derive(Clone, Copy, Debug)]
pub struct TierConfig {
    /// Longest wait for another request's fill; then the request is answered stale, or one of all that wait asks further in as well, at most one in this time. A fill is polled by the request that leads it until
    /// that has its answer or is dropped: this bounds what a future costs others that is held and not polled. Default: 2 s.
    pub wait_max: Duration,
    /// Longest wait for the origin when a stale copy may be used instead, under the guarded policy; the fill goes on. Default: 150 ms.
    pub wait_soft: Duration,
    /// How long a key whose answer could not be stored is not coalesced (hit-for-miss). Default: 120 s.
    pub hit_for_miss: Duration,
    /// How long a key whose origin failed is served stale before the origin is tried again. Default: 30 s.
    pub retry_throttle: Duration,
    /// How long an entry with validators is kept past its last use. Default: 1 h.
    pub keep_validators: Duration,
    /// How long past its freshness an answer may be served when the origin cannot be reached and the answer does not forbid it
    /// (RFC 9111 §4.2.4), or when a client says that stale will do. Its own `stale-if-error` counts instead. Default: 1 h.
    pub stale_if_disconnected: Duration,
    /// How long past its freshness an answer may be served without asking while the origin is pressed, under the guarded policy; never
    /// past what the answer or its route allows for errors. Default: 10 min.
    pub stale_under_pressure: Duration,
    /// β of early refresh: how much earlier than a fill takes a hit asks anew for what is still fresh, under the guarded policy (XFetch, VLDB
    /// 2015); 0 for never. Default: 1.
    pub early_refresh: f64,
    /// Longest silence within an origin's body; then it counts as cut short. Default: 30 s.
    pub body_idle_max: Duration,
    /// How long the rest of a body is still read that no client waits for any more; what has not come to its end by then is given up. Default: 10 s.
    pub abandoned_max: Duration,
    /// Keep `Cache-Tag` and the like with stored answers. Default: false.
    pub keep_tags: bool,
    /// Longest wait for another process's fill of a key that a shared tier lacks; then the origin is asked all the same. Zero for no
    /// wait. Default: 2 s.
    pub lease_wait: Duration,
}

impl Default for TierConfig {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_secs(2),
            wait_soft: Duration::from_millis(150),
            hit_for_miss: Duration::from_secs(120),
            retry_throttle: Duration::from_secs(30),
            keep_validators: Duration::from_secs(3600),
            stale_if_disconnected: Duration::from_secs(3600),
            stale_under_pressure: Duration::from_secs(600),
            early_refresh: 1.0,
            body_idle_max: Duration::from_secs(30),
            abandoned_max: Duration::from_secs(10),
            keep_tags: false,
            lease_wait: Duration::from_secs(2),
        }
    }
}

/// What failed behind hits is tried again there after this part of the time that clients spare the origin after a failure.
const DEFERRED_SHARE: u32 = 10;

/// A cache tier over `St`. All state lives in the layer, so every service that it makes shares one cache (axum makes one a route).
///
/// A layer that is [off](Self::off) passes everything through, so that a stack's type does not depend on its configuration.
#[derive(Clone, Debug)]
pub struct TierLayer<St> {
    shared: Option<Arc<Shared<St>>>,
}

#[derive(Debug)]
pub(crate) struct Shared<St> {
    pub(crate) store: St,
    pub(crate) markers: Arc<Markers>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    pub(crate) events: SharedEvents,
    pub(crate) config: TierConfig,
    pub(crate) flights: Flights,
    /// Keys whose answers could not be stored.
    pub(crate) uncacheable: Notes<NoStore>,
    /// Keys whose origin just failed.
    pub(crate) failed: Notes<()>,
    /// Keys that were asked for in vain, or not at all, when nobody waited for it: nothing is asked for behind hits for a while.
    pub(crate) deferred: Notes<()>,
    pub(crate) tasks: TaskTracker,
    pub(crate) pressure: Pressure,
}

impl<St> Shared<St> {
    /// Tells this tier from every other that lives.
    pub(super) fn id(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }
}

impl<St: Store> TierLayer<St> {
    /// A tier over `store`. Tiers of one stack share `markers`, so that a purge reaches them all.
    #[must_use]
    pub fn new(store: St, markers: Arc<Markers>) -> Self {
        Self::build(
            store,
            markers,
            TierConfig::default(),
            Arc::new(SystemClock),
            Arc::new(SystemRng),
            Arc::new(NoEvents),
        )
    }

    /// A tier with everything chosen.
    #[must_use]
    pub fn build(
        store: St,
        markers: Arc<Markers>,
        config: TierConfig,
        clock: SharedClock,
        rng: SharedRng,
        events: SharedEvents,
    ) -> Self {
        let uncacheable = Notes::new(config.hit_for_miss, &NoStore::ALL);
        let failed = Notes::new(config.retry_throttle, &[()]);
        let deferred = Notes::new(config.retry_throttle / DEFERRED_SHARE, &[()]);
        let (flights, tasks, pressure) = (Flights::default(), TaskTracker::new(), Pressure::default());
        Self {
            shared: Some(Arc::new(Shared {
                store,
                markers,
                clock,
                rng,
                events,
                config,
                flights,
                uncacheable,
                failed,
                deferred,
                tasks,
                pressure,
            })),
        }
    }

    /// A layer that does nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self { shared: None }
    }

    pub(super) const fn shared(&self) -> Option<&Arc<Shared<St>>> {
        self.shared.as_ref()
    }

    /// How hard the origin is pressed: whoever watches it sets the level, and the tier spares it.
    #[must_use]
    pub fn pressure(&self) -> Option<&Pressure> {
        self.shared.as_ref().map(|shared| &shared.pressure)
    }

    /// The store, unless the layer is off.
    #[must_use]
    pub fn store(&self) -> Option<&St> {
        self.shared.as_ref().map(|shared| &shared.store)
    }

    /// The tier as somewhere to keep answers that no fill of its own brings, unless the layer is off.
    #[must_use]
    pub fn keeper(&self) -> Option<Keeper> {
        self.shared.clone().map(|shared| Keeper(Arc::new(shared)))
    }

    /// The tier as something that tells what it holds, unless the layer is off.
    #[must_use]
    pub fn explainer(&self) -> Option<Explainer> {
        self.shared.clone().map(|shared| Explainer(Arc::new(shared)))
    }

    /// Waits until the fills that run now have ended. Bound it by a deadline of your own.
    pub async fn drain(&self) {
        if let Some(shared) = &self.shared {
            shared.tasks.close();
            shared.tasks.wait().await;
            shared.tasks.reopen();
        }
    }
}

impl<St: Store, S> Layer<S> for TierLayer<St> {
    type Service = Tier<St, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Tier { inner, shared: self.shared.clone() }
    }
}
