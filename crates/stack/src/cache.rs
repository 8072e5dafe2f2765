use std::{collections::HashSet, sync::Arc, time::Duration};

use edge_cache_core::{
    Bypass, Entry, Kind, TagHash, TierName,
    marker::{PurgeKind, Standing},
    route::{Route, Routes},
};
use edge_cache_disk::DiskStore;
use edge_cache_memory::{Eviction, MemoryStore};
use edge_cache_origin::Permits;
use edge_cache_policy::{identity::Distrust, request};
use edge_cache_redis::{BackplaneError, Following, RedisBackplane, RedisStore};
use edge_cache_telemetry::{Metrics, ObserveLayer, Reading, Watch, catalogue};
use edge_cache_tier::{
    IdentityWatch, InvalidateLayer, KeyLayer, Keying, Located, Purge, Purger, TierLayer, TierReport,
};
use edge_cache_warmer::{HotSet, WarmLayer};
use http::HeaderMap;
use ipnet::IpNet;
use tower_layer::Layer;

use crate::{
    EdgeCacheBuilder,
    cached::{Cached, fast::Fast},
    compress::CompressLayer,
    disk::Disk,
    governor::{Governed, Governor},
    identity::{self, IdentityCheck},
    warm::{Warmer, Warming, Warmth},
};

/// A cache: its tiers, its purger and its metrics. Cheap to clone; clones are the same cache.
#[derive(Clone, Debug)]
pub struct EdgeCache {
    layer: EdgeCacheLayer,
    purger: Purger,
    backplane: Option<RedisBackplane>,
    metrics: Metrics,
    governor: Option<Governor>,
    warming: Option<Warming>,
    disk: Option<Disk>,
    identity_check: Duration,
}

/// What a cache is made of.
pub(crate) struct Parts {
    pub(crate) keying: Keying,
    pub(crate) invalidate: InvalidateLayer,
    pub(crate) memory: TierLayer<MemoryStore>,
    pub(crate) redis: TierLayer<RedisStore>,
    pub(crate) disk_tier: TierLayer<DiskStore>,
    pub(crate) disk: Option<Disk>,
    pub(crate) compress: CompressLayer,
    pub(crate) purger: Purger,
    pub(crate) backplane: Option<RedisBackplane>,
    pub(crate) metrics: Metrics,
    pub(crate) watch: Option<Watch>,
    pub(crate) permits: Option<Permits>,
    pub(crate) warming: Option<Warming>,
    pub(crate) identity_check: Duration,
}

/// The cache as a Tower layer: `Observe · Key · Warm · Invalidate · Tier<Memory> · Tier<Redis> · Tier<Disk> · Compress`, and before them all what
/// answers [plain hits](Cached).
#[derive(Clone, Debug)]
pub struct EdgeCacheLayer {
    fast: Fast,
    observe: ObserveLayer,
    key: KeyLayer,
    warm: WarmLayer,
    invalidate: InvalidateLayer,
    memory: TierLayer<MemoryStore>,
    redis: TierLayer<RedisStore>,
    disk: TierLayer<DiskStore>,
    compress: CompressLayer,
}

impl<S> Layer<S> for EdgeCacheLayer {
    type Service = Cached<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let tiers = self.memory.layer(self.redis.layer(self.disk.layer(self.compress.layer(inner))));
        let layers = self.observe.layer(self.key.layer(self.warm.layer(self.invalidate.layer(tiers))));
        Cached::new(self.fast.clone(), layers)
    }
}

impl EdgeCache {
    /// Chooses what the cache is made of.
    pub fn builder() -> EdgeCacheBuilder {
        EdgeCacheBuilder::default()
    }

    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
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
        } = parts;
        if let Some(log) = watch.as_ref().and_then(|watch| watch.access.clone()) {
            metrics.read_at_scrape(Reading::counter(&catalogue::ACCESS_LOG_DROPPED, move || log.dropped()));
        }
        if let Some(store) = memory.store() {
            metrics.expect(TierName::Memory);
            watch_memory(&metrics, store);
        }
        if let Some(store) = redis.store() {
            metrics.expect(TierName::Redis);
            watch_redis(&metrics, store);
        }
        if let Some(disk) = &disk {
            metrics.expect(TierName::Disk);
            disk.watch(&metrics);
        }
        if let Some(backplane) = &backplane {
            watch_backplane(&metrics, backplane, &purger);
        }
        let pressures = [memory.pressure(), redis.pressure(), disk_tier.pressure()];
        let pressures = pressures.into_iter().flatten().cloned().collect();
        let governor = permits.map(|permits| Governor::new(permits, redis.store().cloned(), pressures));
        if let Some(governor) = &governor {
            governor.watch(&metrics);
        }
        let observe = watch.map_or_else(ObserveLayer::off, ObserveLayer::new);
        let hot = warming.as_ref().map(|warming| warming.hot().clone());
        let layer = EdgeCacheLayer {
            fast: Fast::new(keying.clone(), memory.clone(), hot.clone(), observe.hits(keying.routes.iter().count())),
            observe,
            key: KeyLayer::new(keying),
            warm: hot.map_or(WarmLayer::off(), WarmLayer::new),
            invalidate,
            memory,
            redis,
            disk: disk_tier,
            compress,
        };
        if let Some(warming) = &warming {
            warming.watch(&metrics);
        }
        if let Some(watch) = &purger.keying().identity {
            identity::show(watch, &purger, &metrics);
        }
        Self { layer, purger, backplane, metrics, governor, warming, disk, identity_check }
    }

    /// Who finds out whether routes that are declared not to depend on who asks do, by asking `origin`: the service that stands inside this cache's layer.
    /// `None` where it is switched off, and after the first call.
    pub fn identity_check<S>(&self, origin: S) -> Option<IdentityCheck<S>> {
        let watch = self.purger.keying().identity.clone().filter(|_| !self.identity_check.is_zero())?;
        let pressures = [self.layer.memory.pressure(), self.layer.redis.pressure(), self.layer.disk.pressure()];
        let pressures = pressures.into_iter().flatten().cloned().collect();
        Some(IdentityCheck::new(watch.clone(), watch.sample(self.identity_check)?, pressures, origin))
    }

    /// The routes whose answers were found to depend on who asks, against their declaration, and why that is believed: nothing of them is cached any more.
    #[must_use]
    pub fn distrusted(&self) -> Vec<(String, Distrust)> {
        let keying = self.purger.keying();
        let declared = keying.identity.iter().flat_map(IdentityWatch::declared);
        declared.filter_map(|(_, name, why)| Some((name.to_owned(), why?))).collect()
    }

    /// Who keeps this cache warm, by asking `service`: the service that clients ask, with this cache's layer around it. `None` where
    /// warming is off. From now on the node is not ready until it is warm, or has been warmed for long enough.
    pub fn warmer<S>(&self, service: S) -> Option<Warmer<S>> {
        self.warming.clone().map(|warming| Warmer::new(warming, service))
    }

    #[cfg(test)]
    pub(crate) fn warming(&self) -> Option<&Warming> {
        self.warming.as_ref()
    }

    /// How warm the node is since its start.
    #[must_use]
    pub fn warmth(&self) -> Warmth {
        self.warming.as_ref().map_or_else(Warmth::default, Warming::warmth)
    }

    /// What is asked for most; `None` where it is not counted.
    #[must_use]
    pub fn hot(&self) -> Option<&HotSet> {
        self.warming.as_ref().map(Warming::hot)
    }

    /// Keeps for the next start what is hot: the hottest of memory in the snapshot, where there is to be one, what is hot here in Redis,
    /// what waits for the disk on it, and the last lines of the access log and the last spans.
    /// Call it when nothing is served any more, and before [`leave`](Self::leave); `all_ended` tells whether every request, and every
    /// [fill](Self::drain), has. Bound it by a deadline of your own.
    pub async fn keep(&self, all_ended: bool) {
        let memory = async {
            if let Some(warming) = &self.warming {
                warming.share().await;
                warming.keep(all_ended).await;
            }
        };
        let disk = async {
            if let Some(disk) = &self.disk {
                disk.end().await;
            }
        };
        let lines = async {
            let Some(watch) = self.watch() else { return };
            if let Some(log) = &watch.access {
                log.flush().await;
            }
            if let Some(spans) = &watch.spans {
                spans.flush().await;
            }
        };
        tokio::join!(memory, disk, lines);
    }

    /// The layer. Every service that it makes shares this cache.
    #[must_use]
    pub fn layer(&self) -> EdgeCacheLayer {
        self.layer.clone()
    }

    /// Purges every tier.
    #[must_use]
    pub const fn purger(&self) -> &Purger {
        &self.purger
    }

    /// What happened so far.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whoever looks at requests: the last of them, and the access log; `None` where nobody does.
    #[must_use]
    pub fn watch(&self) -> Option<&Watch> {
        self.layer.observe.watch()
    }

    /// The declared routes, the fallback last.
    #[must_use]
    pub fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.purger.keying().routes)
    }

    /// The same cache, with the same tiers, under other declarations: these `routes`, and these clients whose directives count.
    ///
    /// Purges go by them from now on, for every clone; requests do in services that the [`layer`](Self::layer) of what is returned makes. What is stored
    /// under keys that no request comes to any more stays until it ends or has to give way.
    #[must_use]
    pub fn redeclared(
        &self,
        routes: impl IntoIterator<Item = Route>,
        trusted: impl IntoIterator<Item = IpNet>,
    ) -> Self {
        let mut keying = Keying::clone(&self.purger.keying());
        keying.routes = Arc::new(Routes::new(routes));
        keying.trusted = trusted.into_iter().collect();
        keying.identity = keying.identity.map(|watch| watch.redeclared(&keying.routes, keying.mode));
        self.purger.set_keying(keying.clone());
        let mut layer = self.layer.clone();
        let hot = self.warming.as_ref().map(|warming| warming.hot().clone());
        let hits = layer.observe.hits(keying.routes.iter().count());
        layer.fast = Fast::new(keying.clone(), layer.memory.clone(), hot, hits);
        layer.key = KeyLayer::new(keying);
        Self { layer, ..self.clone() }
    }

    /// The memory tier's store, unless it is off.
    #[must_use]
    pub fn memory(&self) -> Option<&MemoryStore> {
        self.layer.memory.store()
    }

    /// The Redis tier's store, unless there is none.
    #[must_use]
    pub fn redis(&self) -> Option<&RedisStore> {
        self.layer.redis.store()
    }

    /// The disk tier's store, unless there is none.
    #[must_use]
    pub fn disk(&self) -> Option<&DiskStore> {
        self.layer.disk.store()
    }

    /// What this node may serve: a node that lost touch with the others serves only what it read from the origin a moment ago.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.purger.standing()
    }

    /// How many entries in memory `purge` would take. What Redis holds cannot be counted: a purge looks nothing up.
    ///
    /// # Errors
    /// A URL that has no key, and why.
    pub fn count(&self, purge: &Purge) -> Result<usize, Bypass> {
        let tags: HashSet<TagHash> = self.purger.tags(purge)?.into_iter().collect();
        // A hard purge takes what a soft one left, too.
        let takes =
            |entry: &Entry| self.purger.is_live(entry) || purge.kind == PurgeKind::Hard && !self.purger.is_gone(entry);
        let Some(memory) = self.memory() else { return Ok(0) };
        let is_hit = |entry: &Entry| {
            entry.head().kind != Kind::VariantIndex
                && entry.head().tags.as_slice().iter().any(|tag| tags.contains(tag))
                && takes(entry)
        };
        Ok(memory.count(is_hit))
    }

    /// The key of a URL, and what each tier holds of it and would do with it, for a request with `headers`.
    ///
    /// # Errors
    /// Why it has no key.
    pub async fn explain(
        &self,
        (scheme, authority, path, query): (&str, &str, &str, &str),
        headers: &HeaderMap,
    ) -> Result<(Located, Vec<TierReport>), Bypass> {
        let located = self.purger.keying().locate(scheme, authority, path, query)?;
        let tiers = [self.layer.memory.explainer(), self.layer.redis.explainer(), self.layer.disk.explainer()];
        let mut reports = Vec::new();
        for tier in tiers.into_iter().flatten() {
            reports.push(tier.explain(&located, headers).await);
        }
        Ok((located, reports))
    }

    /// Why a GET with `headers` goes past the cache, though its URL has a key.
    #[must_use]
    pub fn bypass(&self, located: &Located, headers: &HeaderMap) -> Option<Bypass> {
        if located.route.uncacheable {
            return Some(Bypass::Route);
        }
        if self.purger.keying().is_distrusted(located) {
            return Some(Bypass::Distrusted);
        }
        request::identity(&mut headers.clone(), &located.route.identity, located.mode).err()
    }

    /// What is seen of the origin's permits and done about them; `None` where none were given to the cache.
    #[must_use]
    pub fn governed(&self) -> Option<Governed> {
        self.governor.as_ref().map(Governor::governed)
    }

    /// How this node follows the purges of others; `None` for a node alone.
    #[must_use]
    pub fn following(&self) -> Option<Following> {
        self.backplane.as_ref().map(RedisBackplane::following)
    }

    /// Leaves the other nodes, so that no purge waits for this one: call it when nothing is served any more. What waits to be published
    /// is published first. Bound it by a deadline of your own.
    ///
    /// # Errors
    /// Redis did not hear it: the others wait once, until this node's lease is over.
    pub async fn leave(&self) -> Result<(), BackplaneError> {
        match &self.backplane {
            Some(backplane) => backplane.leave().await,
            None => Ok(()),
        }
    }

    /// Learns the purges of other nodes once, so that what Redis holds can be used from the first request on.
    ///
    /// # Errors
    /// Why Redis did not tell them. [`housekeeping`](Self::housekeeping) goes on asking.
    pub async fn sync(&self) -> Result<(), BackplaneError> {
        match &self.backplane {
            Some(backplane) => backplane.sync().await,
            None => Ok(()),
        }
    }

    /// Housekeeping without end: spawn it, and drop it to stop. It learns the purges of other nodes (without it the Redis
    /// tier is not used), drops expired entries from memory where no traffic does, writes what waits for the disk, governs the origin's
    /// permits, and purges routes whose declaration was found to be wrong.
    pub async fn housekeeping(self) {
        let tidy = async {
            let mut beat = tokio::time::interval(Duration::from_secs(1));
            beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                beat.tick().await;
                if let Some(store) = self.memory() {
                    store.tidy();
                }
                if let Some(disk) = &self.disk {
                    disk.tidy().await;
                }
                if let Some(warming) = &self.warming {
                    warming.tidy();
                }
            }
        };
        let follow = async {
            if let Some(backplane) = self.backplane.clone() {
                backplane.follow().await;
            }
        };
        let govern = async {
            if let Some(governor) = &self.governor {
                governor.run().await;
            }
        };
        let write = async {
            if let Some(log) = self.watch().and_then(|watch| watch.access.as_ref()) {
                log.run().await;
            }
        };
        let distrust = async {
            identity::purge(&self.purger).await;
        };
        tokio::join!(tidy, follow, govern, write, distrust);
    }

    /// Waits until the writes that run now have ended and are purged for, and the fills have ended and are kept. Bound it by a
    /// deadline of your own.
    pub async fn drain(&self) {
        self.layer.invalidate.drain().await;
        self.layer.memory.drain().await;
        self.layer.redis.drain().await;
        self.layer.disk.drain().await;
    }
}

fn watch_memory(metrics: &Metrics, store: &MemoryStore) {
    let gauge = |metric, read: fn(&MemoryStore) -> f64| {
        let store = store.clone();
        metrics.read_at_scrape(Reading::gauge(metric, move || read(&store)));
    };
    gauge(&catalogue::MEMORY_ENTRIES, |store| {
        // moka counts at its housekeeping; the figure is of now.
        store.tidy();
        store.entries() as f64
    });
    gauge(&catalogue::MEMORY_USED, |store| store.weight_bytes() as f64);
    gauge(&catalogue::MEMORY_CAPACITY, |store| store.capacity_bytes() as f64);
    for (why, label) in [(Eviction::Size, "size"), (Eviction::Expired, "expired"), (Eviction::Replaced, "replaced")] {
        let store = store.clone();
        let reading = Reading::counter(&catalogue::MEMORY_EVICTIONS, move || store.evicted(why));
        metrics.read_at_scrape(reading.labelled(label));
    }
}

fn watch_backplane(metrics: &Metrics, backplane: &RedisBackplane, purger: &Purger) {
    let of_purger = |metric, read: fn(&Purger) -> f64| {
        let purger = purger.clone();
        metrics.read_at_scrape(Reading::gauge(metric, move || read(&purger)));
    };
    of_purger(&catalogue::BACKPLANE_IN_STEP, |purger| {
        f64::from(u8::from(!matches!(purger.standing(), Standing::CutOff { .. })))
    });
    of_purger(&catalogue::BACKPLANE_WAITING_TAGS, |purger| purger.waiting_tags() as f64);
    let gauge = |metric, read: fn(Following) -> f64| {
        let backplane = backplane.clone();
        metrics.read_at_scrape(Reading::gauge(metric, move || read(backplane.following())));
    };
    gauge(&catalogue::BACKPLANE_LAG, |following| following.heard.map_or(f64::NAN, |heard| heard.as_secs_f64()));
    gauge(&catalogue::BACKPLANE_NODES, |following| following.nodes as f64);
    let counter = |metric, read: fn(Following) -> u64| {
        let backplane = backplane.clone();
        metrics.read_at_scrape(Reading::counter(metric, move || read(backplane.following())));
    };
    counter(&catalogue::BACKPLANE_GAPS, |following| following.gaps);
    counter(&catalogue::BACKPLANE_LOSSES, |following| following.losses);
}

fn watch_redis(metrics: &Metrics, store: &RedisStore) {
    let (reads, writes) = (store.clone(), store.clone());
    let read = Reading::gauge(&catalogue::REDIS_BREAKER, move || reads.read_breaker().as_gauge());
    let write = Reading::gauge(&catalogue::REDIS_BREAKER, move || writes.write_breaker().as_gauge());
    metrics.read_at_scrape(read.labelled("read"));
    metrics.read_at_scrape(write.labelled("write"));
}
