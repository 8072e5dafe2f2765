//! What is hot on running nodes, as a source.

use std::path::Path;

use anyhow::{Context, anyhow};
use edge_cache::{
    RedisStore, Settings,
    core::{CacheKey, Clock, SystemClock},
};
use edge_cache_warmer::{Replay, Wanted};
use http::{HeaderName, HeaderValue};

use crate::{dial::Dialer, exit::UsageError, operate::client};

/// From the Redis that the nodes share.
pub(super) async fn of_redis(config: &Path, top: usize, scheme: &str) -> anyhow::Result<Vec<Wanted>> {
    let settings = Settings::load(config)?;
    if settings.redis.url.is_empty() {
        let rule = "its redis.url is empty: where nodes share no Redis, name one of them with --admin";
        return Err(UsageError(format!("--config {}: {rule}", config.display())).into());
    }
    let (url, tenant) = (settings.redis.url_redacted(), settings.cache.tenant.clone());
    let board = RedisStore::new(settings.redis)?.hot_board();
    let hot = board.top(top, SystemClock.now()).await.with_context(|| format!("no hot set from {url}"))?;
    let keys = hot.into_iter().filter_map(|(fields, _)| CacheKey::from_fields(&fields));
    Ok(keys
        .filter(|key| key.parts().tenant == tenant)
        .filter_map(|key| wanted(&Replay::of_key(&key)?, scheme))
        .collect())
}

/// From one node.
pub(super) async fn of_node(admin: &Dialer, top: usize, scheme: &str) -> anyhow::Result<Vec<Wanted>> {
    let (status, answer) = client::get(admin, &format!("/hot?n={top}")).await?;
    let keys = answer["keys"].as_array().filter(|_| status.is_success());
    let keys = keys.ok_or_else(|| anyhow!("--admin {admin}: what answered tells no hot set ({status})"))?;
    let of = |hot: &serde_json::Value| {
        let headers = hot["headers"].as_object()?.iter().filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value.as_str()?).ok()?))
        });
        wanted(&Replay::from_url(hot["url"].as_str()?, headers).ok()?, scheme)
    };
    Ok(keys.iter().filter_map(of).collect())
}

/// As sources name it; `None` for what is asked by another scheme than this run asks by.
fn wanted(replay: &Replay, scheme: &str) -> Option<Wanted> {
    (replay.scheme().as_str() == scheme).then(|| Wanted {
        authority: Some(replay.authority().to_string()),
        headers: replay.headers().to_vec(),
        ..Wanted::path(replay.path_and_query().as_str())
    })
}
