use std::{sync::Arc, time::Duration};

use edge_cache_core::{
    BoxError, SharedClock, SharedEvents, SharedRng, Store, SystemClock, SystemRng,
    marker::{Guard, Markers, Ticket},
    route::{Route, Routes},
};
use edge_cache_disk::{DiskConfig, DiskError};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_origin::Permits;
use edge_cache_policy::{Mode, coding::Coding};
use edge_cache_redis::{Acknowledge, RedisBackplane, RedisConfig, RedisConfigError, RedisStore};
use edge_cache_telemetry::Metrics;
use edge_cache_tier::{
    AfterWrite, Audit, Backplane, IdentityWatch, InvalidateLayer, Keying, Numbered, Purger, Receipt, TierConfig,
    TierLayer,
};
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use tokio::time::timeout;

use edge_cache_warmer::HotSet;

use crate::{
    EdgeCache, Settings,
    cache::Parts,
    compress::CompressLayer,
    disk::Disk,
    settings::{self, SettingsError, TelemetrySettings, WarmSettings},
    warm::{self, Warming},
};

/// Chooses what a cache is made of. Everything has a default: a memory tier of 256 MiB, no Redis, the guarded policy.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct EdgeCacheBuilder {
    keying: Keying,
    routes: Vec<Route>,
    memory: MemoryConfig,
    redis: RedisConfig,
    disk: DiskConfig,
    tier: TierConfig,
    compress_bytes_min: u64,
    identity_check: Duration,
    clock: SharedClock,
    rng: SharedRng,
    after_write: Option<AfterWrite>,
    permits: Option<Permits>,
    warm: WarmSettings,
    telemetry: TelemetrySettings,
}

/// Why a cache cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Redis and a disk tier: purges are kept in the one or on the other.
    #[error("a disk tier is for a node without Redis: purges of other nodes would not reach it")]
    TwoOrders,
    /// Redis is configured wrongly. A Redis that is away is no error: its tier is down until it comes.
    #[error(transparent)]
    Redis(#[from] RedisConfigError),
    /// The disk tier's folder cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A route is declared wrongly, or a setting breaks its rule.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Spans cannot be sent.
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Otlp(#[from] edge_cache_telemetry::OtlpError),
    /// The access log cannot be opened.
    #[error("telemetry.access_log = \"{path}\": cannot be opened to append to it")]
    AccessLog {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Default for EdgeCacheBuilder {
    fn default() -> Self {
        Self {
            keying: Keying::default(),
            routes: Vec::new(),
            memory: MemoryConfig::default(),
            redis: RedisConfig::default(),
            disk: DiskConfig::default(),
            tier: TierConfig::default(),
            compress_bytes_min: 0,
            identity_check: settings::IDENTITY_CHECK,
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            after_write: None,
            permits: None,
            warm: WarmSettings::default(),
            telemetry: TelemetrySettings::default(),
        }
    }
}

impl EdgeCacheBuilder {
    /// Takes policy, tiers and routes from validated settings.
    ///
    /// # Errors
    /// When a declared route is malformed.
    pub fn settings(mut self, settings: &Settings) -> Result<Self, SettingsError> {
        self.keying.mode = settings.cache.policy.into();
        self.keying.tenant = settings.cache.tenant.as_str().into();
        self.keying.trusted = settings.cache.trusted.iter().copied().map(IpNet::from).collect();
        self.keying.purge_method = settings.cache.purge_method;
        self.keying.expose_tags = settings.cache.expose_tags;
        self.keying.steering_headers = settings.cache.steering_headers()?.into();
        self.tier = settings.cache.tier();
        self.identity_check = settings.cache.identity_check;
        self.keying.codings = settings.compression.codings();
        self.compress_bytes_min = settings.compression.bytes_min;
        self.memory = settings.memory.clone();
        self.redis = settings.redis.clone();
        self.warm = settings.warm.clone();
        self.telemetry = settings.telemetry.clone();
        self.disk = settings.disk.clone();
        self.routes.extend(settings.declared_routes()?);
        Ok(self)
    }

    /// Which rules apply. Default: [`Mode::Guarded`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.keying.mode = mode;
        self
    }

    /// Declares routes, beside those declared before.
    pub fn routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.routes.extend(routes);
        self
    }

    /// The memory tier.
    pub fn memory(mut self, memory: MemoryConfig) -> Self {
        self.memory = memory;
        self
    }

    /// The Redis tier; an empty URL for none.
    pub fn redis(mut self, redis: RedisConfig) -> Self {
        self.redis = redis;
        self
    }

    /// The disk tier of a node without Redis; an empty path for none. What it holds, and every purge, outlives the process.
    pub fn disk(mut self, disk: DiskConfig) -> Self {
        self.disk = disk;
        self
    }

    /// Whether `PURGE` requests of trusted clients purge their URI. Default: false.
    pub fn purge_method(mut self, purge_method: bool) -> Self {
        self.keying.purge_method = purge_method;
        self
    }

    /// Waits and throttles of every tier.
    pub fn tier(mut self, tier: TierConfig) -> Self {
        self.tier = tier;
        self
    }

    /// How often, at most, a request with credentials on a route that is declared not to depend on them is a sample for the
    /// [check](EdgeCache::identity_check); zero for never. Default: 10 s.
    pub fn identity_check(mut self, every: Duration) -> Self {
        self.identity_check = every;
        self
    }

    /// Compresses answers of at least `bytes_min` bytes before they are kept, by the coding that a client prefers; of equals the one named
    /// first. Default: none.
    pub fn compression(mut self, codings: impl IntoIterator<Item = Coding>, bytes_min: u64) -> Self {
        self.keying.codings = codings.into_iter().collect();
        self.compress_bytes_min = bytes_min;
        self
    }

    /// Clients, by address or network, whose `no-cache` and the like count under the guarded policy.
    pub fn trusted(mut self, clients: impl IntoIterator<Item = impl Into<IpNet>>) -> Self {
        self.keying.trusted = clients.into_iter().map(Into::into).collect();
        self
    }

    /// Who hears of a write whose answer named what it made stale, once that is purged and acknowledged: with the answer's extensions.
    pub fn after_write(mut self, hear: impl Fn(&http::Extensions) + Send + Sync + 'static) -> Self {
        self.after_write = Some(AfterWrite::new(hear));
        self
    }

    /// The permits to work at the origin, as a [`Database`](edge_cache_origin::database::Database) has them: the cache spares the origin as
    /// they run out, and lowers them while Redis is lost. [`EdgeCache::housekeeping`] must run for it.
    pub fn origin_permits(mut self, permits: Permits) -> Self {
        self.permits = Some(permits);
        self
    }

    /// How the cache is kept warm. Default: what is hot is counted, and kept warm once somebody runs a [`Warmer`](crate::Warmer).
    pub fn warm(mut self, warm: WarmSettings) -> Self {
        self.warm = warm;
        self
    }

    /// What is noted of requests. Default: they are counted, and the last 4096 kept.
    pub fn telemetry(mut self, telemetry: TelemetrySettings) -> Self {
        self.telemetry = telemetry;
        self
    }

    /// The clock, for tests.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The source of jitter, for tests.
    pub fn rng(mut self, rng: SharedRng) -> Self {
        self.rng = rng;
        self
    }

    /// Builds the cache. With Redis it must be called on a Tokio runtime; the connection is made at the first use, and the Redis tier
    /// works once [`EdgeCache::housekeeping`] runs.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<EdgeCache, BuildError> {
        let Self {
            mut keying,
            routes,
            memory,
            redis,
            disk,
            mut tier,
            compress_bytes_min,
            identity_check,
            clock,
            rng,
            after_write,
            permits,
            warm: warm_settings,
            telemetry,
        } = self;
        let compress = CompressLayer::new(Arc::clone(&keying.codings), compress_bytes_min);
        keying.routes = Arc::new(Routes::new(routes));
        keying.identity = Some(IdentityWatch::new(&keying.routes, keying.mode, Arc::clone(&clock)));
        tier.keep_tags = keying.expose_tags;
        let metrics = Metrics::new();
        let watch = telemetry.watch(&metrics)?;
        let events: SharedEvents = Arc::new(metrics.clone());
        let (lease, strict) = (redis.lease, redis.acknowledge == Acknowledge::Strict);
        let acknowledge_timeout = redis.acknowledge_timeout;
        let redis = match redis.url.is_empty() {
            false => Some(RedisStore::new(redis)?),
            true => None,
        };
        if redis.is_some() && disk.is_enabled() {
            return Err(BuildError::TwoOrders);
        }
        let disk = Disk::open(disk, &clock)?;
        // Who shares a tier shares the order of purges; who is alone numbers its own, on a disk for later runs too.
        let markers = match (&redis, &disk) {
            (Some(_), _) => Arc::new(Markers::shared(lease, strict)),
            (None, Some(disk)) => disk.markers(),
            (None, None) => Arc::new(Markers::alone(rand::random::<u128>().max(1))),
        };
        let backplane = redis.as_ref().map(|store| store.backplane(Arc::clone(&markers))).transpose()?;
        let memory = match memory.enabled {
            true => layer(MemoryStore::new(&memory), &markers, tier, &clock, &rng, &events),
            false => TierLayer::off(),
        };
        let redis = redis.map_or_else(TierLayer::off, |store| layer(store, &markers, tier, &clock, &rng, &events));
        let disk_store = disk.as_ref().map(|disk| disk.store.clone());
        let disk_tier =
            disk_store.map_or_else(TierLayer::off, |store| layer(store, &markers, tier, &clock, &rng, &events));
        let carrier =
            backplane.clone().map(|redis| Arc::new(Carrier { redis, acknowledge_timeout }) as Arc<dyn Backplane>);
        let carrier = carrier.or_else(|| disk.clone().map(|disk| Arc::new(disk) as Arc<dyn Backplane>));
        let began = markers.start();
        if !warm_settings.enabled {
            Warming::forget(&warm_settings);
        }
        let purger = Purger::new(markers, keying.clone(), Arc::clone(&clock), events, carrier);
        let warming = warm_settings.enabled.then(|| {
            Warming::new(warm::Parts {
                hot: HotSet::new(warm_settings.keys_max),
                settings: warm_settings,
                board: redis.store().map(RedisStore::hot_board),
                memory: memory.store().cloned().zip(memory.keeper()),
                further: redis.keeper().or(disk_tier.keeper()),
                purger: purger.clone(),
                pressure: memory.pressure().or(redis.pressure()).or(disk_tier.pressure()).cloned(),
                clock,
                rng,
                began,
            })
        });
        let invalidate = InvalidateLayer::new(purger.clone())
            .keeping([memory.keeper(), redis.keeper(), disk_tier.keeper()].into_iter().flatten())
            .after(after_write);
        Ok(EdgeCache::new(Parts {
            keying,
            invalidate,
            memory,
            redis,
            disk_tier,
            disk,
            compress,
            purger,
            backplane,
            metrics,
            watch,
            permits,
            warming,
            identity_check,
        }))
    }
}

fn layer<St: Store>(
    store: St,
    markers: &Arc<Markers>,
    tier: TierConfig,
    clock: &SharedClock,
    rng: &SharedRng,
    events: &SharedEvents,
) -> TierLayer<St> {
    TierLayer::build(store, Arc::clone(markers), tier, Arc::clone(clock), Arc::clone(rng), Arc::clone(events))
}

/// Redis as the purger's backplane: neither crate knows the other.
#[derive(Debug)]
struct Carrier {
    redis: RedisBackplane,
    acknowledge_timeout: Duration,
}

impl Backplane for Carrier {
    fn publish(&self, ticket: &Ticket, guard: Option<&Guard>) -> BoxFuture<'static, Result<Numbered, BoxError>> {
        let (redis, ticket, guard) = (self.redis.clone(), ticket.clone(), guard.cloned());
        let wait = self.acknowledge_timeout;
        Box::pin(async move {
            let delivery = redis.publish(&ticket, guard.as_ref()).await?;
            let published = delivery.published;
            // In a task of its own: whoever does not wait for it any more must not keep a silent node from being struck off.
            let work = tokio::spawn(async move { redis.acknowledge(delivery).await });
            let acknowledged = Box::pin(async move {
                match timeout(wait, work).await {
                    Ok(Ok(acknowledged)) => acknowledged.map(drop).map_err(BoxError::from),
                    Ok(Err(ended)) => Err(ended.into()),
                    Err(elapsed) => Err(elapsed.into()),
                }
            });
            Ok(Numbered { published, acknowledged })
        })
    }

    fn audit(&self, entry: &Audit, receipt: &Receipt) {
        let Audit { actor, reason, what, kind, .. } = entry.clone();
        let seq = receipt.seq.map_or_else(String::new, |seq| seq.to_string());
        let kind = kind.as_str().to_owned();
        self.redis.audit(vec![("actor", actor), ("reason", reason), ("what", what), ("kind", kind), ("seq", seq)]);
    }
}
