//! The ways to a Postgres, in order, within one bound on connections.

use std::sync::Arc;
use std::time::Duration;

use edge_cache_core::SharedRng;
use tokio::sync::Semaphore;

use super::endpoint::{Endpoint, Lent};
use super::replica::Replicas;
use super::target::Target;
use super::{DatabaseConfig, DbError, EndpointState, Pooling, Role, Unavailable};

const WITHOUT_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The ways to one Postgres, the preferred one first.
pub(super) struct Chain {
    endpoints: Vec<Arc<Endpoint>>,
    pub(super) replicas: Replicas,
    /// What all of them may have open together. None: connections are not bounded.
    budget: Option<Arc<Semaphore>>,
}

impl Chain {
    pub(super) fn new(targets: (Vec<Target>, Vec<Target>), config: &DatabaseConfig, rng: &SharedRng) -> Self {
        let bound = usize::try_from(config.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        let budget = (config.pooling == Pooling::Pooled).then(|| Arc::new(Semaphore::new(bound)));
        let (chain, replicas) = targets;
        // Where there is nowhere else to go, a server that is only very slow had better be waited for.
        let is_alone = chain.len() + replicas.len() == 1;
        let patience = match config.pooling {
            Pooling::Pooled if is_alone => config.statement_timeout,
            Pooling::Pooled => config.acquire_timeout,
            // Nothing is to come between the incident and who measures it.
            Pooling::PerRequest => WITHOUT_LIMIT,
        };
        let endpoint = |target| match target {
            Target::Postgres(target) => {
                Some(Arc::new(Endpoint::new(*target, config, patience, budget.clone(), Arc::clone(rng))))
            }
            Target::Sqlite(_) => None,
        };
        let endpoints = chain.into_iter().filter_map(endpoint).collect();
        let replicas = Replicas::new(replicas.into_iter().filter_map(endpoint).collect(), config.replica_lag_max);
        Self { endpoints, replicas, budget }
    }

    /// Proves one way, the first that can be gone.
    ///
    /// # Errors
    /// Why the first cannot, if none can.
    pub(super) async fn prove(&self) -> Result<(), DbError> {
        let mut why = None;
        for endpoint in &self.endpoints {
            match endpoint.prove().await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if self.endpoints.len() > 1 {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(endpoint = endpoint.name(), error, "this way to the database is closed");
                    }
                    why.get_or_insert(error);
                }
            }
        }
        why.map_or(Ok(()), Err)
    }

    /// Goes along the ways, for one request.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk { chain: self, next: 0, why: None }
    }

    /// A connection to a replica that is new enough for what is read now.
    pub(super) async fn lend_replica(&self) -> Option<Lent> {
        let endpoint = self.replicas.pick()?;
        self.make_room(endpoint);
        endpoint.lend().await.ok()
    }

    /// Whether the preferred way is fine.
    pub(super) fn is_calm(&self) -> bool {
        self.endpoints.first().is_some_and(|endpoint| endpoint.is_trusted())
    }

    /// Where everything that may be open is open elsewhere, something idle is closed for this one.
    fn make_room(&self, wanted: &Arc<Endpoint>) {
        let full = self.budget.as_ref().is_some_and(|budget| budget.available_permits() == 0);
        if full && !wanted.has_idle() {
            let mut others = self.all().filter(|endpoint| !Arc::ptr_eq(endpoint, wanted));
            others.find(|endpoint| endpoint.close_one());
        }
    }

    pub(super) fn make_room_for_replica(&self, at: usize) {
        if let Some(endpoint) = self.replicas.endpoints().nth(at) {
            self.make_room(endpoint);
        }
    }

    /// All ways, the replicas last.
    fn all(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.iter().chain(self.replicas.endpoints())
    }

    pub(super) fn states(&self) -> Vec<EndpointState> {
        let ways = self.endpoints.iter().enumerate();
        let role = |at| if at == 0 { Role::Primary } else { Role::Fallback };
        let ways = ways.map(|(at, way)| way.state(role(at)));
        ways.chain(self.replicas.endpoints().map(|replica| replica.state(Role::Replica))).collect()
    }
}

/// A request on its way along the chain.
pub(super) struct Walk<'a> {
    chain: &'a Chain,
    next: usize,
    /// Why the ways so far came to nothing.
    why: Option<DbError>,
}

impl Walk<'_> {
    /// A connection on the next way that has one.
    ///
    /// # Errors
    /// None is left: why the first came to nothing, or that all are left alone.
    pub(super) async fn next(&mut self) -> Result<Lent, DbError> {
        while let Some(endpoint) = self.chain.endpoints.get(self.next) {
            self.chain.make_room(endpoint);
            self.next += 1;
            match endpoint.lend().await {
                Ok(lent) => return Ok(lent),
                Err(error) => self.note(error),
            }
        }
        Err(self.why.take().unwrap_or(DbError::Unavailable { reason: Unavailable::Connect, source: None }))
    }

    /// Remembers why a way came to nothing: the first that was really tried says most.
    pub(super) fn note(&mut self, error: DbError) {
        let tells = |error: &DbError| error.unavailability() != Some(Unavailable::BreakerOpen);
        if self.why.as_ref().is_none_or(|why| !tells(why) && tells(&error)) {
            self.why = Some(error);
        }
    }
}
