use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bb8::ManageConnection;
use bb8_postgres::PostgresConnectionManager;
use edge_cache_core::{BoxError, SharedRng};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Link, Liveness};
use crate::database::error::{ConnectTimeout, NotWanted};
use crate::database::target::PostgresTarget;
use crate::database::{ConnectError, DatabaseConfig};

type Inner = PostgresConnectionManager<MakeRustlsConnect>;

/// How much longer than the server's own limit an answer is waited for.
const PATIENCE_BEYOND: Duration = Duration::from_millis(500);
/// What a pooler says to settings of the session.
const REFUSED_SETTING: &str = "unsupported startup parameter";

/// bb8-postgres's manager with four things added: a bound on server connections over all the ways to them, a bound on connecting,
/// connections that end at different times, and poolers found out by what they refuse.
pub(crate) struct PostgresManager {
    direct: Inner,
    plain: Inner,
    tls: MakeRustlsConnect,
    /// Found to take no settings: statements are limited from here.
    is_pooler: AtomicBool,
    place: String,
    connect_timeout: Duration,
    statement_timeout: Duration,
    lifetime_max: Duration,
    rng: SharedRng,
    /// One permit for each server connection, held until it is really gone. None: connections are not bounded.
    budget: Option<Arc<Semaphore>>,
    liveness: Liveness,
    /// Connections given up for their age.
    aged: Arc<AtomicU64>,
}

impl PostgresManager {
    pub(crate) fn new(
        target: PostgresTarget,
        config: &DatabaseConfig,
        budget: Option<Arc<Semaphore>>,
        liveness: Liveness,
        rng: SharedRng,
    ) -> Self {
        let place = target.place();
        let PostgresTarget { direct, plain, tls, name: _ } = target;
        Self {
            direct: Inner::new(direct, tls.clone()),
            plain: Inner::new(plain, tls.clone()),
            tls,
            is_pooler: AtomicBool::new(false),
            place,
            connect_timeout: config.connect_timeout,
            statement_timeout: config.statement_timeout,
            lifetime_max: config.lifetime_max,
            rng,
            budget,
            liveness,
            aged: Arc::default(),
        }
    }

    pub(crate) fn aged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.aged)
    }

    async fn open(&self) -> Result<Link, BoxError> {
        let permit = match &self.budget {
            Some(budget) => Some(Arc::clone(budget).acquire_owned().await?),
            None => None,
        };
        let session = self.liveness.session();
        let client = self.client().await?;
        // A server enforces the limit itself; this one holds when it does not answer at all.
        let patience = match self.is_pooler.load(Ordering::Relaxed) {
            true => (self.statement_timeout, true),
            false => (self.statement_timeout + PATIENCE_BEYOND, false),
        };
        let expires = Instant::now() + self.lifetime_max.mul_f64(1.0 - self.rng.unit() / 10.0);
        Ok(Link::new(client, self.tls.clone(), (self.liveness.clone(), session), patience, expires, permit))
    }

    async fn client(&self) -> Result<Client, tokio_postgres::Error> {
        if !self.is_pooler.load(Ordering::Relaxed) {
            match self.direct.connect().await {
                Err(error) if refuses_settings(&error) => {
                    tracing::info!(place = self.place, "this is a pooler: statements are limited by this process");
                    self.is_pooler.store(true, Ordering::Relaxed);
                }
                done => return done,
            }
        }
        self.plain.connect().await
    }
}

fn refuses_settings(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| said.message().contains(REFUSED_SETTING))
}

impl ManageConnection for PostgresManager {
    type Connection = Link;
    type Error = Arc<ConnectError>;

    async fn connect(&self) -> Result<Link, Self::Error> {
        let refuse = |source| Arc::new(ConnectError { place: self.place.clone(), source });
        let not_wanted = self.liveness.connects();
        tokio::select! {
            opened = timeout(self.connect_timeout, self.open()) => match opened {
                Ok(opened) => opened.map_err(refuse),
                Err(_) => Err(refuse(ConnectTimeout(self.connect_timeout).into())),
            },
            () = not_wanted.cancelled() => Err(refuse(NotWanted.into())),
        }
    }

    async fn is_valid(&self, link: &mut Link) -> Result<(), Self::Error> {
        link.ping().await.map_err(|error| Arc::new(ConnectError { place: self.place.clone(), source: error.into() }))
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        let aged = link.is_aged();
        let unfit = link.is_unfit();
        if aged && !unfit {
            self.aged.fetch_add(1, Ordering::Relaxed);
        }
        aged || unfit
    }
}
