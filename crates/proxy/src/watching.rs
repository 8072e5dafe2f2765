//! Whoever watches the process from inside: the figures of each second, the monitor, the alerts.

mod alerting;
mod monitor;

use std::convert::Infallible;

use bytes::Bytes;
use edge_cache::{IdentityCheck, Settings, core::BoxError};
use futures_util::future::{BoxFuture, FutureExt, OptionFuture};
use http::{Request, Response};
use http_body::Body;
use tower::Service;

pub(crate) use self::{alerting::Alerting, monitor::Monitoring};
use crate::{
    body::ClientBody,
    exit::UsageError,
    origin::Origin,
    performance::{Performance, Sources},
};

/// What watching takes.
pub(crate) struct Watched {
    /// What was measured.
    pub(crate) performance: Performance,
    /// Measures, and holds the rules against it, until it is dropped.
    pub(crate) measure: BoxFuture<'static, ()>,
    /// Asks what the monitor asks, until it is dropped: before the process drains.
    pub(crate) ask: BoxFuture<'static, ()>,
}

/// `ask`, and whoever finds out whether routes that are declared not to depend on who asks do: both ask what no client asks for, until they are dropped.
pub(crate) fn beside(ask: BoxFuture<'static, ()>, identity: Option<IdentityCheck<Origin>>) -> BoxFuture<'static, ()> {
    async move {
        tokio::join!(ask, OptionFuture::from(identity.map(IdentityCheck::run)));
    }
    .boxed()
}

/// Watches `service`, which is what clients ask, and what `sources` tell. `page` is where the performance page is.
///
/// # Errors
/// A setting that breaks its rule.
pub(crate) fn watch<S, RB>(
    settings: &Settings,
    sources: Sources,
    service: S,
    (node, page): (&str, Option<String>),
) -> anyhow::Result<Watched>
where
    S: Service<Request<ClientBody>, Response = Response<RB>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    let monitor = monitor::start(&settings.monitor, service, sources.cache.metrics());
    let (monitoring, ask) = monitor.map_err(|error| UsageError(error.to_string()))?.unzip();
    let alerts = alerting::start(&settings.alerts, sources.clone(), monitoring.clone(), (node, page));
    let (alerting, tell) = alerts.map_err(|error| UsageError(error.to_string()))?.unzip();
    let performance = Performance::new(Sources { alerting, monitoring, ..sources });
    let measured = performance.clone();
    let measure = async move {
        tokio::join!(measured.run(), OptionFuture::from(tell));
    };
    let ask = async move {
        OptionFuture::from(ask).await;
    };
    Ok(Watched { performance, measure: measure.boxed(), ask: ask.boxed() })
}
