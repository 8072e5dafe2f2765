//! Without a running proxy: Redis is filled from the origin by the same stack, in this process.

use std::{path::Path, time::Duration};

use anyhow::Context;
use edge_cache::{
    Cached, EdgeCache, Settings,
    settings::OriginKind,
    warm::{AskService, MinFresh},
};
use tokio::task::JoinHandle;
use tower::Layer;

use crate::{
    body::ClientBody,
    exit::UsageError,
    origin::{self, Behind, Origin},
};

/// How long what is still being stored is waited for, and Redis told that this node leaves.
const LEAVE: Duration = Duration::from_secs(5);

/// How the stack in this process is asked.
pub(super) type Asker = AskService<Cached<Origin>, ClientBody>;

/// A node that serves nobody.
pub(super) struct Direct {
    cache: EdgeCache,
    service: Cached<Origin>,
    housekeeping: JoinHandle<()>,
}

impl Direct {
    /// The stack that `config` describes, without memory: what is warm then is in Redis.
    ///
    /// # Errors
    /// A configuration without Redis, or a Redis or an origin that is away.
    pub(super) async fn start(config: &Path) -> anyhow::Result<Self> {
        let mut settings = Settings::load(config)?;
        if settings.redis.url.is_empty() {
            let rule =
                "its redis.url is empty: what --direct fills must outlive it; warm running proxies with --target";
            return Err(UsageError(format!("--config {}: {rule}", config.display())).into());
        }
        (settings.memory.enabled, settings.warm.enabled, settings.outbox.enabled) = (false, false, false);
        settings.validate()?;
        let own = match settings.origin.kind {
            OriginKind::Http => {
                settings.origin.name = settings.origin.upstream().name;
                Vec::new()
            }
            OriginKind::Pitchey => edge_cache_pitchey::routes(),
        };
        let Behind { origin, database, upstream } = origin::connect(&settings).await?;
        let mut builder = EdgeCache::builder().settings(&settings)?.routes(own);
        let permits = database.as_ref().map(edge_cache_origin::database::Database::permits);
        if let Some(permits) = permits.or(upstream.as_ref().map(origin::HttpUpstream::permits)) {
            builder = builder.origin_permits(permits.clone());
        }
        let cache = builder.build()?;
        if let Some(database) = &database {
            origin::follow_purges(database, &cache);
        }
        cache.sync().await.with_context(|| format!("nothing can be stored in {}", settings.redis.url_redacted()))?;
        let housekeeping = tokio::spawn(cache.clone().housekeeping());
        Ok(Self { service: cache.layer().layer(origin), cache, housekeeping })
    }

    /// Asks through every tier, for at most `timeout` a request.
    pub(super) fn asker(&self, timeout: Duration) -> Asker {
        AskService::new(self.service.clone(), timeout, MinFresh::new())
    }

    /// Waits until everything is stored, and leaves the other nodes.
    pub(super) async fn end(self) {
        let leave = async {
            self.cache.drain().await;
            self.cache.leave().await
        };
        match tokio::time::timeout(LEAVE, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "left without a word to redis"),
            Err(_) => tracing::warn!("left before everything was known to be stored"),
        }
        self.housekeeping.abort();
    }
}
