//! The innermost service: an HTTP origin, or the Pitchey handlers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use edge_cache::{
    EdgeCache, Settings,
    core::{BoxError, Clock, SharedClock, SystemClock, SystemRng},
    settings::OriginKind,
    telemetry::{Metrics, Reading, Unit},
    tier::RequestBody,
};
use edge_cache_origin::{
    database::{Database, EndpointState, PoolState},
    upstream::{OriginState, Upstream},
};
use edge_cache_pitchey::{PitcheyOptions, migrate, router};
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};

use crate::body::ClientBody;

/// Whatever answers when the cache cannot; boxed here, once, inside every tier.
pub(crate) type Origin =
    BoxCloneSyncService<Request<RequestBody<ClientBody>>, Response<UnsyncBoxBody<Bytes, BoxError>>, Infallible>;

/// What stands behind the cache.
pub(crate) struct Behind {
    /// Answers.
    pub(crate) origin: Origin,
    /// Of the Pitchey handlers.
    pub(crate) database: Option<Database>,
    /// The way to HTTP origins.
    pub(crate) upstream: Option<HttpUpstream>,
}

/// Sends what the tiers ask to HTTP origins.
pub(crate) type HttpUpstream = Upstream<RequestBody<ClientBody>>;

/// The origin that the settings name.
pub(crate) async fn connect(settings: &Settings) -> anyhow::Result<Behind> {
    let clock: SharedClock = Arc::new(SystemClock);
    match settings.origin.kind {
        OriginKind::Http => {
            let upstream = Upstream::new(&settings.origin.upstream(), clock, Arc::new(SystemRng))?;
            Ok(Behind { origin: http(upstream.clone()), database: None, upstream: Some(upstream) })
        }
        OriginKind::Pitchey => {
            let mut config = settings.database.clone();
            if settings.outbox.enabled {
                // One of them is the consumer's.
                config.connections_max -= 1;
            }
            let database = Database::connect(config).await?;
            migrate(&database, SystemClock.now()).await.context("cannot bring the database to the newest schema")?;
            let options = PitcheyOptions {
                cors_origins: settings.origin.cors_origins.clone(),
                outbox: settings.outbox.enabled,
                clock,
            };
            Ok(Behind { origin: pitchey(database.clone(), options), database: Some(database), upstream: None })
        }
    }
}

fn http(upstream: HttpUpstream) -> Origin {
    let boxed = upstream.map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync));
    BoxCloneSyncService::new(boxed)
}

/// The Pitchey handlers over `database`.
pub(crate) fn pitchey(database: Database, options: PitcheyOptions) -> Origin {
    let handlers = router(database, options);
    let service = ServiceBuilder::new()
        .map_request(|req: Request<RequestBody<ClientBody>>| req.map(axum::body::Body::new))
        .map_response(|response: Response<axum::body::Body>| {
            response.map(|body| body.map_err(BoxError::from).boxed_unsync())
        })
        .service(handlers);
    BoxCloneSyncService::new(service)
}

/// Shows each HTTP origin in the metrics.
pub(crate) fn watch_upstream(metrics: &Metrics, upstream: &HttpUpstream) {
    for (at, origin) in upstream.state().into_iter().enumerate() {
        let add = |reading: Reading| metrics.read_at_scrape(reading.labelled("origin", origin.authority.to_string()));
        let gauge = |name, help, read: fn(&OriginState) -> f64| {
            let upstream = upstream.clone();
            add(Reading::gauge(name, help, Unit::None, move || read(&upstream.state()[at])));
        };
        gauge("upstream_in_flight", "Requests under way to the origin, to the last byte", |s| s.in_flight as f64);
        let help = "Whether the origin passes its health checks: 1 or 0; 1 where there are none";
        gauge("upstream_healthy", help, |s| f64::from(u8::from(s.healthy)));
        gauge("upstream_breaker", "Breaker of the origin: 0 closed, 1 half-open, 2 open", |s| s.breaker.as_gauge());
        let counter = |name, help, read: fn(&OriginState) -> u64| {
            let upstream = upstream.clone();
            add(Reading::counter(name, help, move || read(&upstream.state()[at])));
        };
        counter("upstream_requests", "Requests sent to the origin, checks aside", |s| s.requests);
        let help = "Requests that the origin failed at: not reached, too slow, no answer, or 502, 503, 504";
        counter("upstream_failures", help, |s| s.failures);
        counter("upstream_retries", "Requests that another origin had failed at before", |s| s.retries);
    }
}

/// Replicas are read only where they hold what this cache was purged for.
pub(crate) fn follow_purges(database: &Database, cache: &EdgeCache) {
    let purger = cache.purger().clone();
    database.follow_purges(Box::new(move || purger.reading()));
}

/// Shows the pools in the metrics.
pub(crate) fn watch(metrics: &Metrics, database: &Database) {
    let gauge = |name, help, unit, read: fn(&PoolState) -> f64| {
        let database = database.clone();
        metrics.read_at_scrape(Reading::gauge(name, help, unit, move || read(&database.state())));
    };
    gauge("database_connections", "Open connections to the database", Unit::None, |s| f64::from(s.connections));
    gauge("database_connections_idle", "Open connections that nobody uses", Unit::None, |s| f64::from(s.idle));
    gauge("database_connections_in_use", "Open connections at work", Unit::None, |s| f64::from(s.in_use));
    gauge("database_connections_max", "Most connections allowed", Unit::None, |s| f64::from(s.connections_max));
    gauge("database_waiting", "Callers that wait for a connection to be open", Unit::None, |s| s.waiting as f64);
    let counter = |name, help, read: fn(&PoolState) -> u64| {
        let database = database.clone();
        metrics.read_at_scrape(Reading::counter(name, help, move || read(&database.state())));
    };
    counter("database_checkouts", "Checkouts of connections", |s| s.checkouts);
    counter("database_waits", "Checkouts that had to wait for a connection", |s| s.waits);
    counter("database_wait_milliseconds", "Time spent waiting for connections", |s| millis(s.wait_time));
    counter("database_timeouts", "Checkouts given up at the acquire timeout", |s| s.timeouts);
    counter("database_connects", "Connections opened", |s| s.created);
    counter("database_connect_errors", "Connects that failed", |s| s.connect_errors);
    counter("database_closed_broken", "Connections closed because they broke or were left in a statement", |s| {
        s.closed_broken
    });
    counter("database_closed_aged", "Connections closed for age or idleness", |s| s.closed_aged);
    let queries = database.clone();
    let help = "Statements sent to the database";
    metrics.read_at_scrape(Reading::counter("database_queries", help, move || queries.queries_total()));
    for (at, endpoint) in database.endpoints().into_iter().enumerate() {
        watch_endpoint(metrics, database, at, &endpoint.name);
    }
}

/// Shows one way to the database, the `at`-th.
fn watch_endpoint(metrics: &Metrics, database: &Database, at: usize, name: &str) {
    let read = |read: fn(&EndpointState) -> f64| {
        let database = database.clone();
        move || database.endpoints().get(at).map_or(f64::NAN, read)
    };
    let gauge = |metric, help, of| {
        let gauge = Reading::gauge(metric, help, Unit::None, read(of));
        metrics.read_at_scrape(gauge.labelled("endpoint", name.to_owned()));
    };
    let help = "Breaker of each way to the database: 0 closed, 1 half-open, 2 open";
    gauge("database_breaker", help, |endpoint| endpoint.breaker.as_gauge());
    let help = "Open connections of each way to the database";
    gauge("database_endpoint_connections", help, |endpoint| f64::from(endpoint.pool.connections));
    let opened = database.clone();
    let help = "Times that a way to the database was found not to be fit for use";
    let opened = Reading::counter("database_breaker_opened", help, move || {
        opened.endpoints().get(at).map_or(0, |endpoint| endpoint.breaker_opened)
    });
    metrics.read_at_scrape(opened.labelled("endpoint", name.to_owned()));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
