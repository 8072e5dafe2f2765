//! The innermost service: an HTTP origin, or the Pitchey handlers.

mod service;

use std::sync::Arc;

use anyhow::Context;
use edge_cache::{
    EdgeCache, Settings,
    core::{BoxError, Clock, SharedClock, SystemClock, SystemRng},
    settings::OriginKind,
    telemetry::{Metrics, Reading, catalogue},
    tier::RequestBody,
};
use edge_cache_origin::{
    database::{Database, EndpointState, PoolState},
    upstream::{OriginState, Upstream},
};
use edge_cache_pitchey::{PitcheyOptions, migrate, router};
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::{ServiceBuilder, util::BoxCloneSyncService};

pub(crate) use self::service::Origin;
use crate::body::ClientBody;

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
            Ok(Behind { origin: Origin::Http(upstream.clone()), database: None, upstream: Some(upstream) })
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

/// The Pitchey handlers over `database`.
pub(crate) fn pitchey(database: Database, options: PitcheyOptions) -> Origin {
    let handlers = router(database, options);
    let service = ServiceBuilder::new()
        .map_request(|req: Request<RequestBody<ClientBody>>| req.map(axum::body::Body::new))
        .map_response(|response: Response<axum::body::Body>| {
            response.map(|body| body.map_err(BoxError::from).boxed_unsync())
        })
        .service(handlers);
    Origin::Handlers(BoxCloneSyncService::new(service))
}

/// Shows each HTTP origin in the metrics.
pub(crate) fn watch_upstream(metrics: &Metrics, upstream: &HttpUpstream) {
    for (at, origin) in upstream.state().into_iter().enumerate() {
        let add = |reading: Reading| metrics.read_at_scrape(reading.labelled(origin.authority.to_string()));
        let gauge = |metric, read: fn(&OriginState) -> f64| {
            let upstream = upstream.clone();
            add(Reading::gauge(metric, move || read(&upstream.state()[at])));
        };
        gauge(&catalogue::UPSTREAM_IN_FLIGHT, |s| s.in_flight as f64);
        gauge(&catalogue::UPSTREAM_HEALTHY, |s| f64::from(u8::from(s.healthy)));
        gauge(&catalogue::UPSTREAM_BREAKER, |s| s.breaker.as_gauge());
        let counter = |metric, read: fn(&OriginState) -> u64| {
            let upstream = upstream.clone();
            add(Reading::counter(metric, move || read(&upstream.state()[at])));
        };
        counter(&catalogue::UPSTREAM_REQUESTS, |s| s.requests);
        counter(&catalogue::UPSTREAM_FAILURES, |s| s.failures);
        counter(&catalogue::UPSTREAM_RETRIES, |s| s.retries);
    }
}

/// Replicas are read only where they hold what this cache was purged for.
pub(crate) fn follow_purges(database: &Database, cache: &EdgeCache) {
    let purger = cache.purger().clone();
    database.follow_purges(Box::new(move || purger.reading()));
}

/// Shows the pools in the metrics.
pub(crate) fn watch(metrics: &Metrics, database: &Database) {
    let gauge = |metric, read: fn(&PoolState) -> f64| {
        let database = database.clone();
        metrics.read_at_scrape(Reading::gauge(metric, move || read(&database.state())));
    };
    gauge(&catalogue::DATABASE_CONNECTIONS, |s| f64::from(s.connections));
    gauge(&catalogue::DATABASE_CONNECTIONS_IDLE, |s| f64::from(s.idle));
    gauge(&catalogue::DATABASE_CONNECTIONS_IN_USE, |s| f64::from(s.in_use));
    gauge(&catalogue::DATABASE_CONNECTIONS_MAX, |s| f64::from(s.connections_max));
    gauge(&catalogue::DATABASE_WAITING, |s| s.waiting as f64);
    let counter = |metric, read: fn(&PoolState) -> u64| {
        let database = database.clone();
        metrics.read_at_scrape(Reading::counter(metric, move || read(&database.state())));
    };
    counter(&catalogue::DATABASE_CHECKOUTS, |s| s.checkouts);
    counter(&catalogue::DATABASE_WAITS, |s| s.waits);
    counter(&catalogue::DATABASE_TIMEOUTS, |s| s.timeouts);
    counter(&catalogue::DATABASE_CONNECTS, |s| s.created);
    counter(&catalogue::DATABASE_CONNECT_ERRORS, |s| s.connect_errors);
    counter(&catalogue::DATABASE_CLOSED_BROKEN, |s| s.closed_broken);
    counter(&catalogue::DATABASE_CLOSED_AGED, |s| s.closed_aged);
    let (waits, queries) = (database.clone(), database.clone());
    metrics.read_at_scrape(Reading::seconds(&catalogue::DATABASE_WAIT, move || waits.state().wait_time));
    metrics.read_at_scrape(Reading::counter(&catalogue::DATABASE_QUERIES, move || queries.queries_total()));
    for (at, endpoint) in database.endpoints().into_iter().enumerate() {
        watch_endpoint(metrics, database, at, &endpoint);
    }
}

/// Shows one way to the database, the `at`-th.
fn watch_endpoint(metrics: &Metrics, database: &Database, at: usize, EndpointState { name, role, .. }: &EndpointState) {
    let gauge = |metric, read: fn(&EndpointState) -> f64| {
        let database = database.clone();
        let gauge = Reading::gauge(metric, move || database.endpoints().get(at).map_or(f64::NAN, read));
        gauge.labelled(name.to_owned())
    };
    let breaker = gauge(&catalogue::DATABASE_BREAKER, |endpoint| endpoint.breaker.as_gauge());
    metrics.read_at_scrape(breaker.labelled(role.as_str()));
    metrics.read_at_scrape(gauge(&catalogue::DATABASE_ENDPOINT_CONNECTIONS, |endpoint| {
        f64::from(endpoint.pool.connections)
    }));
    let opened = database.clone();
    let opened = Reading::counter(&catalogue::DATABASE_BREAKER_OPENED, move || {
        opened.endpoints().get(at).map_or(0, |endpoint| endpoint.breaker_opened)
    });
    metrics.read_at_scrape(opened.labelled(name.to_owned()));
}
