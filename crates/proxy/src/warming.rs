//! The cache kept warm while it serves: what to ask for beside what is hot, and when what the run before held may be believed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use edge_cache::{
    DiskStore, EdgeCache, Purge, PurgeKind, Settings, Target,
    core::BoxError,
    warm::Believed,
    warmer::{Replay, plan, split_scheme},
};
use edge_cache_origin::outbox::Progress;
use http::{Request, Response};
use http_body::Body;
use tokio::{task::JoinHandle, time::sleep};
use tower::Service;

use crate::{body::ClientBody, exit::UsageError};

/// How often it is looked whether the outbox has been read.
const LOOK: Duration = Duration::from_millis(20);
/// Between two tries to write down that everything is forgotten.
const AGAIN: Duration = Duration::from_secs(1);

/// What `warm.plan` names.
///
/// # Errors
/// A file that cannot be read, or is no plan.
pub(crate) fn plan(settings: &Settings) -> anyhow::Result<Vec<Replay>> {
    let (file, authority) = (&settings.warm.plan, &settings.warm.authority);
    if file.is_empty() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(file)
        .with_context(|| UsageError(format!("warm.plan = \"{file}\": must be a file that can be read")))?;
    let wanted = plan::parse(file, &text).map_err(|error| UsageError(error.to_string()))?;
    let (scheme, host) = split_scheme(authority);
    let replays = wanted.iter().map(|wanted| wanted.at(scheme, host));
    let replays = replays.collect::<Result<_, _>>();
    Ok(replays.map_err(|error| UsageError(format!("warm.authority = \"{authority}\": {error}")))?)
}

/// Keeps `cache` warm by asking `service`, until it is aborted. Where there is an outbox, what was held before counts once it has been read.
pub(crate) fn start<S, RB>(
    cache: &EdgeCache,
    service: S,
    plan: Vec<Replay>,
    outbox: Option<Arc<Progress>>,
) -> Option<JoinHandle<()>>
where
    S: Service<Request<ClientBody>, Response = Response<RB>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    // Where it holds nothing of an earlier run there is nothing to doubt.
    let earlier = cache.disk().filter(|disk| disk.entries() > 0);
    if let (Some(outbox), Some(disk)) = (outbox.clone(), earlier.cloned()) {
        disk.hold_back(true);
        tokio::spawn(believe_disk(cache.clone(), disk, outbox));
    }
    let mut warmer = cache.warmer(service)?.plan(plan);
    // Nodes that share a Redis find there what any of them purged.
    if let Some(outbox) = outbox.filter(|_| cache.redis().is_none()) {
        warmer = warmer.after(async move {
            // The order that was told until now: what was kept under it has missed nothing.
            told_before(&outbox).await.map_or(Believed::Nothing, Believed::OfOrder)
        });
    }
    Some(tokio::spawn(warmer.run()))
}

/// Lets the disk tell again what it held, once what was written while nobody ran is purged. A node that was not the one that was told has
/// missed purges that nobody can tell it any more: it forgets everything.
async fn believe_disk(cache: EdgeCache, disk: DiskStore, outbox: Arc<Progress>) {
    if told_before(&outbox).await != Some(cache.purger().incarnation()) {
        tracing::info!("what the disk holds is forgotten: another node was told what was purged since");
        let everything = Purge { targets: vec![Target::All], kind: PurgeKind::Hard };
        while !cache.purger().purge(&everything).await.is_ok_and(|receipt| receipt.acknowledged) {
            sleep(AGAIN).await;
        }
    }
    disk.hold_back(false);
}

/// Ends when everything that was written to the outbox before has been purged here. Tells the order of purges that its consumers told until
/// now; `None` where there was no consumer yet.
async fn told_before(outbox: &Progress) -> Option<u128> {
    loop {
        match outbox.caught_up() {
            Some(before) => return before.and_then(|order| u128::from_str_radix(order, 16).ok()),
            None => sleep(LOOK).await,
        }
    }
}
