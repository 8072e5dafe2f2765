//! The cache kept warm while it serves: what to ask for beside what is hot, and when what the run before held may be believed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use edge_cache::{
    EdgeCache, Settings,
    core::BoxError,
    warmer::{Replay, plan},
};
use edge_cache_origin::outbox::Progress;
use http::{Request, Response};
use http_body::Body;
use tokio::{task::JoinHandle, time::sleep};
use tower::Service;

use crate::{body::ClientBody, exit::UsageError};

/// How often it is looked whether the outbox has been read.
const LOOK: Duration = Duration::from_millis(20);

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
    let replays = wanted.iter().map(|wanted| wanted.at("http", authority));
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
    if let (Some(outbox), Some(disk)) = (outbox.clone(), cache.disk().cloned()) {
        disk.hold_back(true);
        tokio::spawn(async move {
            read_once(outbox).await;
            disk.hold_back(false);
        });
    }
    let mut warmer = cache.warmer(service)?.plan(plan);
    if let Some(outbox) = outbox {
        warmer = warmer.after(async {
            read_once(outbox).await;
            true
        });
    }
    Some(tokio::spawn(warmer.run()))
}

/// Ends when this node has read the outbox once: what was written to it while nobody ran has been purged then.
async fn read_once(outbox: Arc<Progress>) {
    while outbox.lag().is_none() {
        sleep(LOOK).await;
    }
}
