//! Checks: each origin is asked for a path again and again. Beside its breaker, which they tell nothing.

use std::{sync::Arc, time::Duration};

use edge_cache_core::BoxError;
use http::{Request, Version, uri::PathAndQuery};
use http_body::Body;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    UpstreamConfig, UpstreamError,
    forwarding::{self, Gateway},
    member::Member,
    pool::Pool,
    send::point,
};

/// Checks in a row that must fail before an origin counts as ill.
const FAILURES: u32 = 2;

/// How origins are checked.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    path: PathAndQuery,
    every: Duration,
    wait: Duration,
    gateway: Gateway,
}

impl Checks {
    /// As configured; `None` for not at all.
    pub(super) fn of(config: &UpstreamConfig) -> Result<Option<Self>, UpstreamError> {
        let Some(path) = config.health_path()? else { return Ok(None) };
        let (every, wait) = (config.health_interval, config.health_timeout);
        if every.is_zero() {
            return Err(UpstreamError::new("health_interval", "0s", "must be above zero"));
        }
        Ok(Some(Self { path, every, wait, gateway: Gateway::named(config.name()?) }))
    }

    /// Checks one origin for ever.
    pub(super) async fn run<B>(self, pool: Pool<B>, member: Arc<Member>)
    where
        B: Body + Default + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut row = Row::default();
        loop {
            ticks.tick().await;
            let mut req = Request::new(B::default());
            *req.uri_mut() = self.path.clone().into();
            point(&mut req, &member.target);
            // An origin that is a gateway too must see a circle.
            forwarding::forward(&mut req, &self.gateway);
            *req.version_mut() = Version::HTTP_11;
            // The body is dropped unread: its connection is used for nothing else.
            let well = match timeout(self.wait, pool.ask_once(req)).await {
                Ok(Ok(answer)) => answer.status().is_success() || answer.status().is_redirection(),
                Ok(Err(_)) | Err(_) => false,
            };
            let healthy = row.is_healthy_after(well);
            if member.found_healthy(healthy) != healthy {
                let origin = member.target.authority.as_str();
                if healthy {
                    tracing::info!(origin, "origin is well again");
                } else {
                    tracing::warn!(origin, path = self.path.as_str(), "origin fails its checks");
                }
            }
        }
    }
}

/// Failures in a row.
#[derive(Debug, Default)]
struct Row(u32);

impl Row {
    fn is_healthy_after(&mut self, well: bool) -> bool {
        self.0 = if well { 0 } else { self.0.saturating_add(1) };
        self.0 < FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_in_a_row_and_one_success() {
        let mut row = Row::default();
        let found = [false, true, false, false, false, true, false].map(|well| row.is_healthy_after(well));
        assert_eq!(found, [true, true, true, false, false, true, true]);
    }
}
