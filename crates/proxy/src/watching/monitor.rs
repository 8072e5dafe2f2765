//! The monitor in the process: it asks the service that clients ask.

use std::{convert::Infallible, fmt, marker::PhantomData, pin::pin, time::Duration};

use bytes::Bytes;
use edge_cache::{
    Metrics,
    core::{BoxError, Deadline, OwnRequest},
    telemetry::{Reading, catalogue},
    tier::Trusted,
};
use edge_cache_probe::{
    Answer, Ask, AskError, Monitor, MonitorConfig, Question, Way,
    monitor::{CheckSnapshot, MonitorConfigError, State, View},
    said,
};
use futures_util::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use http_body::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use crate::body::ClientBody;

/// What the monitor has found. Clones see the same.
#[derive(Clone)]
pub(crate) struct Monitoring {
    view: View,
    every: Duration,
}

/// Who asks, until it is dropped; `None` where there is nothing to ask.
pub(super) fn start<S, RB>(
    config: &MonitorConfig,
    service: S,
    metrics: &Metrics,
) -> Result<Option<(Monitoring, impl Future<Output = ()> + Send + use<S, RB>)>, MonitorConfigError>
where
    S: Service<Request<ClientBody>, Response = Response<RB>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    if !config.enabled || config.check.is_empty() {
        return Ok(None);
    }
    let asker = AskService { service, timeout: config.timeout, _body: PhantomData };
    let monitor = Monitor::new(config, asker)?;
    let monitoring = Monitoring { view: monitor.view(), every: config.every };
    monitoring.watch(metrics);
    Ok(Some((monitoring, monitor.run())))
}

/// As the page names the ways.
const fn way(way: Way) -> &'static str {
    match way {
        Way::Through => "cache",
        Way::Past => "origin",
    }
}

impl Monitoring {
    /// Whether a check has failed in this many rounds in a row; `None` before the first round.
    pub(crate) fn is_failing(&self, rounds: u32) -> Option<bool> {
        let snapshot = self.view.snapshot();
        let is_failing = |check: &CheckSnapshot| check.consecutive_failures >= u64::from(rounds);
        snapshot.last_round_at.map(|_| snapshot.checks.iter().any(is_failing))
    }

    fn watch(&self, metrics: &Metrics) {
        for (at, check) in self.view.snapshot().checks.into_iter().enumerate() {
            let read = |read: fn(&CheckSnapshot) -> f64| {
                let view = self.view.clone();
                move || view.snapshot().checks.get(at).map_or(f64::NAN, read)
            };
            let labels = |reading: Reading| reading.labelled(check.name.clone()).labelled(way(check.way));
            metrics.read_at_scrape(labels(Reading::gauge(
                &catalogue::MONITOR_UP,
                read(|check| match check.state {
                    State::Up => 1.0,
                    State::Down => 0.0,
                    _ => f64::NAN,
                }),
            )));
            metrics.read_at_scrape(labels(Reading::gauge(
                &catalogue::MONITOR_DURATION,
                read(|check| check.last.as_ref().map_or(f64::NAN, |last| last.millis / 1000.0)),
            )));
            let count = |result, count: fn(&CheckSnapshot) -> u64| {
                let view = self.view.clone();
                let read = move || view.snapshot().checks.get(at).map_or(0, count);
                metrics.read_at_scrape(labels(Reading::counter(&catalogue::MONITOR_CHECKS, read)).labelled(result));
            };
            count("ok", |check| check.ok);
            count("failed", |check| check.failed);
        }
    }

    /// As the page shows it.
    pub(crate) fn json(&self) -> Value {
        let snapshot = self.view.snapshot();
        let day = &snapshot.day;
        json!({
            "every_seconds": self.every.as_secs_f64(),
            "checks": snapshot.checks.iter().map(line).collect::<Vec<_>>(),
            "day": {
                "checks": day.checks,
                "successes": day.successes,
                "failures": day.failures,
                "connection_errors": day.connection_errors,
                "uptime": day.uptime,
            },
        })
    }
}

fn line(check: &CheckSnapshot) -> Value {
    let last = check.last.as_ref();
    json!({
        "name": check.name,
        "url": check.path,
        "way": way(check.way),
        "state": check.state.as_str(),
        "status": last.and_then(|last| last.status),
        "millis": last.map(|last| last.millis),
        "at": last.map(|last| last.at),
        "error": last.and_then(|last| last.error.as_deref()),
        "consecutive_failures": check.consecutive_failures,
    })
}

/// Asks a service in this process, as a client that is trusted.
struct AskService<S, RB> {
    service: S,
    timeout: Duration,
    _body: PhantomData<fn() -> RB>,
}

impl<S: Clone, RB> Clone for AskService<S, RB> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), timeout: self.timeout, _body: PhantomData }
    }
}

impl<S, RB> fmt::Debug for AskService<S, RB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskService").finish_non_exhaustive()
    }
}

impl<S, RB> Ask for AskService<S, RB>
where
    S: Service<Request<ClientBody>, Response = Response<RB>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<BoxError>,
{
    fn ask(&self, question: &Question) -> BoxFuture<'static, Result<Answer, AskError>> {
        let service = self.service.clone();
        let mut request = question.request().map(|()| ClientBody::default());
        // What this process asks of itself counts, whatever strangers may ask.
        request.extensions_mut().insert(OwnRequest);
        request.extensions_mut().insert(Trusted);
        request.extensions_mut().insert(Deadline((Instant::now() + self.timeout).into_std()));
        let most = question.body_bytes_max;
        async move {
            let response = service.oneshot(request).await.map_err(|never| match never {})?;
            let (parts, body) = response.into_parts();
            let (by, detail) = said(&parts.headers);
            let (mut body, mut body_bytes) = (pin!(body), 0_u64);
            while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                let frame = frame.map_err(|error| AskError::BrokeOff(error.into()))?;
                body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if body_bytes > most {
                    return Err(AskError::TooLarge);
                }
            }
            Ok(Answer { status: parts.status, by, detail, body_bytes })
        }
        .boxed()
    }
}
