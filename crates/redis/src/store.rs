use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use edge_cache_breaker::{Breaker, BreakerConfig, State};
use edge_cache_core::{
    BoxError, CacheKey, Entry, Lease, Store, StoreError, TierName,
    marker::{Fence, Markers},
};
use edge_cache_wire as wire;
use redis::AsyncCommands;

use crate::{HotBoard, RedisBackplane, RedisConfig, RedisConfigError, leases::Leases, link::Link, name::EntryName};

/// Values from this size on travel on the connection for large ones.
const LARGE_BYTES: usize = 64 << 10;

/// The Redis tier's store. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    small: Link,
    /// So that large values do not stand in the way of small ones.
    large: Link,
    /// Reads and writes fail apart: a server that is out of memory still answers reads.
    reads: Breaker,
    writes: Breaker,
    leases: Leases,
    /// Nodes that the backplane knows: alone there is nobody to take a lease from.
    nodes: Arc<AtomicUsize>,
    config: RedisConfig,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// A store on the servers that `config` names. Connects at the first use, so a server that is away is a tier that is down, not
    /// an error here. Must be called on a Tokio runtime.
    ///
    /// # Errors
    /// A value of `config` that breaks its rule.
    pub fn new(config: RedisConfig) -> Result<Self, RedisConfigError> {
        config.validate()?;
        let answer_max = config.read_timeout.max(config.write_timeout);
        let link = || Link::new(&config, answer_max);
        let (small, large) = (link()?, link()?);
        // One answer is enough: unlike a database it bears all calls at once, and behind a memory tier they are few.
        let breaker = |name| Breaker::named(name, BreakerConfig { ramp_max: 1, ..BreakerConfig::default() });
        let (leases, nodes) = (Leases::new(small.clone(), config.read_timeout), Arc::default());
        Ok(Self(Arc::new(Inner {
            small,
            large,
            reads: breaker("redis reads"),
            writes: breaker("redis writes"),
            leases,
            nodes,
            config,
        })))
    }

    /// Whether Redis answers now.
    ///
    /// # Errors
    /// Why not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.0.small.clone();
        let asked = async move { redis::cmd("PING").query_async::<()>(&mut connection).await };
        self.0.reads.call(self.0.config.read_timeout, asked).await.map_err(unavailable)
    }

    /// The state of the breaker over reads.
    #[must_use]
    pub fn read_breaker(&self) -> State {
        self.0.reads.state()
    }

    /// The state of the breaker over writes.
    #[must_use]
    pub fn write_breaker(&self) -> State {
        self.0.writes.state()
    }

    /// The backplane over the same servers, which keeps `markers` up to date. Spawn its [`follow`](RedisBackplane::follow), or no copy
    /// in Redis is ever believed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn backplane(&self, markers: Arc<Markers>) -> Result<RedisBackplane, RedisConfigError> {
        let config = self.0.config.clone();
        let link = || Link::new(&config, config.write_timeout);
        let links = [link()?, link()?];
        Ok(RedisBackplane::new(links, config, markers, Arc::clone(&self.0.nodes)))
    }

    /// Where nodes that share these servers tell each other what is hot.
    #[must_use]
    pub fn hot_board(&self) -> HotBoard {
        HotBoard::new(self.0.small.clone(), self.0.leases.clone(), self.0.config.clone())
    }

    fn name<'a>(&'a self, key: &'a CacheKey) -> EntryName<'a> {
        EntryName { prefix: &self.0.config.key_prefix, key }
    }
}

fn unavailable(source: impl Into<BoxError>) -> StoreError {
    StoreError::Unavailable { tier: TierName::Redis, source: source.into() }
}

impl Store for RedisStore {
    type Get = Pin<Box<dyn Future<Output = Result<Option<Entry>, StoreError>> + Send>>;
    type Put = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

    fn name(&self) -> TierName {
        TierName::Redis
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn body_bytes_max(&self) -> u64 {
        self.0.config.body_bytes_max
    }

    fn get(&self, key: &CacheKey) -> Self::Get {
        let (this, key) = (self.clone(), key.clone());
        Box::pin(async move {
            // Pinned here, and not moved from one future into the next: it is large.
            let asked = pin!(this.0.small.get(this.name(&key)));
            let found = this.0.reads.call(this.0.config.read_timeout, asked).await.map_err(unavailable)?;
            let Some(frame) = found else { return Ok(None) };
            wire::decode(&frame, &key, this.0.config.body_bytes_max)
                .map_err(|source| StoreError::Corrupt { tier: TierName::Redis, source: source.into() })
        })
    }

    fn put(&self, key: CacheKey, entry: Entry, keep: Duration) -> Self::Put {
        let this = self.clone();
        Box::pin(async move {
            let frame = wire::encode(&key, &entry, this.0.config.compress_bytes_min);
            let connection = if frame.len() < LARGE_BYTES { &this.0.small } else { &this.0.large };
            let (mut connection, name) = (connection.clone(), this.name(&key));
            let millis = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1);
            let asked = async move { connection.pset_ex::<_, _, ()>(name, &frame[..], millis).await };
            this.0.writes.call(this.0.config.write_timeout, asked).await.map_err(unavailable)
        })
    }

    fn lease(&self, key: &CacheKey, fence: Fence, takes_over: bool) -> Pin<Box<dyn Future<Output = Lease> + Send>> {
        let is_alone = self.0.nodes.load(Ordering::Acquire) < 2;
        if is_alone || !self.0.config.fill_leases || self.0.reads.state() == State::Open {
            return Box::pin(std::future::ready(Lease::Free));
        }
        let (leases, name) = (self.0.leases.clone(), format!("{}:l:{key}", self.0.config.key_prefix));
        Box::pin(async move { leases.take(name, fence, takes_over).await })
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        let (this, key) = (self.clone(), key.clone());
        Box::pin(async move {
            let (mut connection, name) = (this.0.small.clone(), this.name(&key));
            let asked = async move { connection.unlink::<_, ()>(name).await };
            this.0.writes.call(this.0.config.write_timeout, asked).await.map_err(unavailable)
        })
    }
}
