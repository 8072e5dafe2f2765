//! The hot set of all nodes, kept in Redis: each adds what its clients asked for, any can read what is hot everywhere.
//!
//! One sorted set for each stretch of time, member a key's fields, score what it saves; old ones expire, and count half for each stretch
//! that has passed. Efficiency only: nothing waits for it, and a Redis that is away or empty costs a cold start.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use edge_cache_core::{BoxError, Lease, StoreError, TierName, Timestamp, marker::Fence};
use redis::{RedisError, Value};
use tokio::time::timeout;

use crate::{RedisConfig, leases::Leases, link::Link};

/// The length of one stretch.
const STRETCH: Duration = Duration::from_secs(600);
/// Stretches that count.
const STRETCHES: i64 = 3;
/// Members kept of one stretch.
const MEMBERS_MAX: isize = 4096;
/// Fields longer than this are not worth a place.
const FIELDS_BYTES_MAX: usize = 4096;
/// Members written with one command.
const AT_ONCE: usize = 256;

/// Where nodes tell each other what is hot. Cheap to clone.
#[derive(Clone)]
pub struct HotBoard(Arc<Inner>);

struct Inner {
    link: Link,
    leases: Leases,
    config: RedisConfig,
}

impl fmt::Debug for HotBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotBoard").field("prefix", &self.0.config.key_prefix).finish_non_exhaustive()
    }
}

impl HotBoard {
    pub(crate) fn new(link: Link, leases: Leases, config: RedisConfig) -> Self {
        Self(Arc::new(Inner { link, leases, config }))
    }

    /// Adds what this node saw: a key's [fields](edge_cache_core::CacheKey::fields), and what it saved.
    ///
    /// # Errors
    /// Redis is away or refused; what was not added is not counted there.
    pub async fn add(&self, seen: &[(impl AsRef<[u8]>, f64)], now: Timestamp) -> Result<(), StoreError> {
        let name = self.name(stretch(now));
        let worth = seen.iter().filter(|(fields, score)| fields.as_ref().len() <= FIELDS_BYTES_MAX && *score > 0.0);
        let worth: Vec<_> = worth.collect();
        for some in worth.chunks(AT_ONCE) {
            let mut pipe = redis::pipe();
            for (fields, score) in some {
                pipe.cmd("ZINCRBY").arg(&name).arg(*score).arg(fields.as_ref()).ignore();
            }
            pipe.cmd("ZREMRANGEBYRANK").arg(&name).arg(0).arg(-1 - MEMBERS_MAX).ignore();
            let lasts = STRETCH * u32::try_from(STRETCHES + 1).expect("a few");
            pipe.cmd("PEXPIRE").arg(&name).arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)).ignore();
            let mut link = self.0.link.clone();
            self.bounded(async move { pipe.query_async::<Value>(&mut link).await }).await?;
        }
        Ok(())
    }

    /// The `n` keys that save most, the most first: their fields, and what they save.
    ///
    /// # Errors
    /// Redis is away or refused.
    pub async fn top(&self, n: usize, now: Timestamp) -> Result<Vec<(Vec<u8>, f64)>, StoreError> {
        let mut scores: HashMap<Vec<u8>, f64> = HashMap::new();
        let last = isize::try_from(n).unwrap_or(MEMBERS_MAX).min(MEMBERS_MAX) - 1;
        if last < 0 {
            return Ok(Vec::new());
        }
        for age in 0..STRETCHES {
            let mut command = redis::cmd("ZREVRANGE");
            command.arg(self.name(stretch(now) - age)).arg(0).arg(last).arg("WITHSCORES");
            let mut link = self.0.link.clone();
            let found =
                self.bounded(async move { command.query_async::<Vec<(Vec<u8>, f64)>>(&mut link).await }).await?;
            let weight = 0.5_f64.powi(i32::try_from(age).unwrap_or(i32::MAX));
            for (fields, score) in found {
                *scores.entry(fields).or_default() += score * weight;
            }
        }
        let mut all: Vec<_> = scores.into_iter().collect();
        // Of equals the same ones in every node.
        all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(n);
        Ok(all)
    }

    /// Asks to be the one node of all that warms, until what is given is dropped.
    pub async fn lead(&self) -> Lease {
        let name = format!("{{{}}}:warmer", self.0.config.key_prefix);
        self.0.leases.take(name, Fence::default(), false).await
    }

    fn name(&self, stretch: i64) -> String {
        // In braces: on a cluster all of them lie on one node.
        format!("{{{}}}:hot:{stretch}", self.0.config.key_prefix)
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
        let unavailable = |source: BoxError| StoreError::Unavailable { tier: TierName::Redis, source };
        // Nobody waits for it: it may take longer than what a request asks.
        match timeout(self.0.config.write_timeout * 4, call).await {
            Ok(answer) => answer.map_err(|error| unavailable(error.into())),
            Err(elapsed) => Err(unavailable(elapsed.into())),
        }
    }
}

fn stretch(now: Timestamp) -> i64 {
    now.as_secs().div_euclid(i64::try_from(STRETCH.as_secs()).expect("minutes"))
}
