//! The innermost service: an HTTP origin, or the Pitchey handlers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use edge_cache::{
    Settings,
    core::{BoxError, Clock, SharedClock, SystemClock},
    settings::OriginKind,
    telemetry::{Metrics, Reading, Unit},
    tier::RequestBody,
};
use edge_cache_origin::{
    database::{Database, PoolState},
    upstream::Upstream,
};
use edge_cache_pitchey::{PitcheyOptions, migrate, router};
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};

/// Whatever answers when the cache cannot; boxed here, once, inside every tier.
pub(crate) type Origin =
    BoxCloneSyncService<Request<RequestBody<Incoming>>, Response<UnsyncBoxBody<Bytes, BoxError>>, Infallible>;

/// The origin that the settings name, and its database if it has one.
pub(crate) async fn connect(settings: &Settings) -> anyhow::Result<(Origin, Option<Database>)> {
    let clock: SharedClock = Arc::new(SystemClock);
    match settings.origin.kind {
        OriginKind::Http => Ok((http(settings, clock)?, None)),
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
            Ok((pitchey(database.clone(), options), Some(database)))
        }
    }
}

fn http(settings: &Settings, clock: SharedClock) -> anyhow::Result<Origin> {
    let upstream = Upstream::new(&settings.origin.upstream(), clock)?;
    let boxed = upstream.map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync));
    Ok(BoxCloneSyncService::new(boxed))
}

/// The Pitchey handlers over `database`.
pub(crate) fn pitchey(database: Database, options: PitcheyOptions) -> Origin {
    let handlers = router(database, options);
    let service = ServiceBuilder::new()
        .map_request(|req: Request<RequestBody<Incoming>>| req.map(axum::body::Body::new))
        .map_response(|response: Response<axum::body::Body>| {
            response.map(|body| body.map_err(BoxError::from).boxed_unsync())
        })
        .service(handlers);
    BoxCloneSyncService::new(service)
}

/// Shows the pool in the metrics.
pub(crate) fn watch(metrics: &Metrics, database: &Database) {
    let gauge = |name, help, unit, read: fn(&PoolState) -> f64| {
        let database = database.clone();
        metrics.read_at_scrape(Reading::gauge(name, help, unit, move || read(&database.state())));
    };
    gauge("database_connections", "Open connections to the database", Unit::None, |s| f64::from(s.connections));
    gauge("database_connections_in_use", "Open connections at work", Unit::None, |s| f64::from(s.in_use));
    gauge("database_connections_max", "Most connections allowed", Unit::None, |s| f64::from(s.connections_max));
    let counter = |name, help, read: fn(&PoolState) -> u64| {
        let database = database.clone();
        metrics.read_at_scrape(Reading::counter(name, help, move || read(&database.state())));
    };
    counter("database_waits", "Checkouts that had to wait for a connection", |s| s.waits);
    counter("database_wait_milliseconds", "Time spent waiting for connections", |s| millis(s.wait_time));
    counter("database_timeouts", "Checkouts given up at the acquire timeout", |s| s.timeouts);
    counter("database_connects", "Connections opened", |s| s.created);
    counter("database_connect_errors", "Connects that failed", |s| s.connect_errors);
    let queries = database.clone();
    let help = "Statements sent to the database";
    metrics.read_at_scrape(Reading::counter("database_queries", help, move || queries.queries_total()));
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
